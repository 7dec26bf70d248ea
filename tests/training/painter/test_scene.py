"""A scene follows from its seed alone; held-out pairs never come up by themselves; everything fits and stands out."""

from __future__ import annotations

from collections import Counter

import pytest

from modules.training.painter.colours import COLOURS, distance
from modules.training.painter.places import GROUNDS, PLACES, RELATIONS, STYLES, TIMES
from modules.training.painter.scene import CONTRAST, draw, held_out, unseen
from modules.training.painter.things import THINGS

SCENES = [draw(seed) for seed in range(1500)]


def test_the_same_seed_gives_the_same_scene_and_others_differ() -> None:
    assert [draw(seed) for seed in range(50)] == SCENES[:50]
    assert len(set(SCENES)) == len(SCENES)


def test_there_is_enough_to_paint() -> None:
    assert len(THINGS) >= 24
    assert len(COLOURS) >= 12


def test_held_out_pairs_come_up_only_when_asked_for() -> None:
    drawn = {(thing.kind, thing.colour) for scene in SCENES for thing in scene.things}
    assert not drawn & set(unseen())
    kind, colour = unseen()[0]
    assert held_out(kind, colour)
    asked = draw(3, pair=(kind, colour))
    assert (asked.things[0].kind, asked.things[0].colour) == (kind, colour)


def test_held_out_are_two_kinds_of_each_colour_and_no_two_colours_of_a_kind() -> None:
    assert len({kind for kind, _ in unseen()}) == len(unseen())
    assert Counter(colour for _, colour in unseen()) == dict.fromkeys(COLOURS, 2)
    assert len(unseen()) / (len(THINGS) * len(COLOURS)) == 1 / 14
    drawn = {(thing.kind, thing.colour) for scene in SCENES for thing in scene.things}
    assert {kind for kind, _ in drawn} == set(THINGS)
    assert {colour for _, colour in drawn} == set(COLOURS)


def test_nothing_is_less_than_four_cells_of_the_latents_wide() -> None:
    assert min(thing.radius for scene in SCENES for thing in scene.things) * 2 * 16 >= 4


def test_everything_there_is_comes_up() -> None:
    assert {scene.ground for scene in SCENES} == set(GROUNDS)
    assert {scene.time for scene in SCENES} == set(TIMES)
    assert {scene.style for scene in SCENES} == set(STYLES)
    assert {scene.relation for scene in SCENES} == {"", *RELATIONS}
    assert {thing.count for scene in SCENES for thing in scene.things} == {1, 2, 3}
    assert {thing.place for scene in SCENES for thing in scene.things} == {"", *PLACES}


def test_things_stay_in_the_picture_and_differ_from_what_is_behind() -> None:
    for scene in SCENES:
        for thing in scene.things:
            assert distance(COLOURS[thing.colour], scene.behind(thing)) >= CONTRAST
            for x, y in thing.spots():
                assert thing.radius * 0.85 <= x <= 1 - thing.radius * 0.85
                assert thing.radius * 0.85 <= y <= 1 - thing.radius * 0.85


@pytest.mark.parametrize(
    ("relation", "axis", "sign"), [("left of", 0, -1), ("right of", 0, 1), ("above", 1, -1), ("below", 1, 1)]
)
def test_a_relation_says_where_the_first_is_seen_from_the_second(relation: str, axis: int, sign: int) -> None:
    found = [scene for scene in SCENES if scene.relation == relation]
    assert found
    for scene in found:
        first, second = ((thing.x, thing.y)[axis] for thing in scene.things)
        assert (first - second) * sign > 0.3


def test_a_place_is_where_the_thing_is() -> None:
    for place, (_, (x, y)) in PLACES.items():
        for scene in SCENES:
            if scene.things[0].place == place:
                assert abs(scene.things[0].x - x) < 0.15
                assert abs(scene.things[0].y - y) < 0.15


def test_pairs_that_never_stand_out_do_not_exist() -> None:
    """Every pair can be asked for at every place."""
    for index, (kind, colour) in enumerate((kind, colour) for kind in ("circle", "boat") for colour in COLOURS):
        for place in PLACES:
            draw(index, pair=(kind, colour), place=place)
