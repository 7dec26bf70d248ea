"""A caption names thing and colour, tells what it says it tells, and is rarely worded twice the same."""

from __future__ import annotations

import random

import pytest

from modules.prompts import tokens
from modules.training.painter import captions, colours, things
from modules.training.painter.captions import FACTS, caption, plural
from modules.training.painter.scene import draw

SCENES = [draw(seed) for seed in range(400)]


def words(table: dict[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    return table.get(name, (name,))


def test_every_thing_is_named_with_its_colour_if_colours_are_told() -> None:
    dice = random.Random(0)
    for scene in SCENES:
        made = caption(scene, dice)
        text, coloured = made.text, "colour" in made.told
        for thing in scene.things:
            names = [plural(name) if thing.count > 1 else name for name in words(things.SYNONYMS, thing.kind)]
            called = [f"{colour} " for colour in words(colours.SYNONYMS, thing.colour)] if coloured else [""]
            assert any(colour + name in text for colour in called for name in names), text


def test_facts_come_and_go() -> None:
    dice = random.Random(1)
    told = [caption(scene, dice).told for scene in SCENES]
    for fact in FACTS:
        assert any(fact in each for each in told)
        assert any(fact not in each for each in told)


def test_what_is_told_can_be_read() -> None:
    dice = random.Random(2)
    for scene in SCENES:
        made = caption(scene, dice, everything=True)
        if "place" in made.told:
            assert any(phrase in made.text for phrase in captions._PLACE[scene.things[0].place])
        if "relation" in made.told:
            assert any(phrase in made.text for phrase in captions._RELATION[scene.relation])
        if scene.things[0].count > 1:
            assert any(word in made.text for word in captions._COUNT[scene.things[0].count])


def test_one_scene_has_many_captions_and_the_dice_decide() -> None:
    scene = draw(5)
    found = {caption(scene, random.Random(seed)).text for seed in range(100)}
    assert len(found) > 80
    assert caption(scene, random.Random(7)) == caption(scene, random.Random(7))


def test_captions_are_clean_and_fit_a_chunk() -> None:
    dice = random.Random(3)
    for scene in SCENES:
        text = caption(scene, dice).text
        assert text == " ".join(text.split())
        assert not text.endswith(",")
        assert tokens.count(text) <= 75


@pytest.mark.parametrize(
    ("one", "many"), [("boat", "boats"), ("fish", "fish"), ("crescent moon", "crescent moons"), ("leaf", "leaves")]
)
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many
