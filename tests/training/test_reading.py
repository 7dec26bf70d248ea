"""Reading captions: labels agree with the scene, what is untold is said to be, codes do not mix, it learns."""

from __future__ import annotations

import dataclasses
import random

import torch

from modules.prompts import tokens
from modules.training import models
from modules.training.painter.captions import caption
from modules.training.painter.colours import COLOURS
from modules.training.painter.scene import draw
from modules.training.painter.things import THINGS
from modules.training.reading import ANSWERS, NOTHING, QUESTIONS, SLOTS, UNTOLD, ReadingTask, answers, codes
from modules.training.recipes import find

RECIPE = find("test")


def test_labels_are_the_facts_that_are_told() -> None:
    for seed in range(300):
        scene = draw(seed)
        told = caption(scene, random.Random(seed))
        said = {
            question: ANSWERS[question][label]
            for question, label in zip(ANSWERS, answers(scene, told), strict=True)
        }  # fmt: skip
        first, *others = scene.things
        assert said["kind"] == first.kind
        assert said["second kind"] == (others[0].kind if others else NOTHING)
        assert said["colour"] == (first.colour if "colour" in told.told else UNTOLD)
        for fact in ("place", "ground", "backdrop", "time", "style", "relation"):
            assert (said[fact] == UNTOLD) == (fact not in told.told)
        if said["backdrop"] != UNTOLD:
            assert f"{said['backdrop']} background" in told.text


def test_codes_stand_at_right_angles_and_are_what_layer_norm_makes() -> None:
    table = codes(128)
    assert list(table) == list(QUESTIONS)
    single = torch.cat([code for question, code in table.items() if "second" not in question])
    assert torch.allclose(single @ single.T, 128 * torch.eye(len(single)), atol=1e-3)
    for code in table.values():
        assert torch.allclose(code.mean(1), torch.zeros(len(code)), atol=1e-5)
        assert torch.allclose(code.var(1, unbiased=False), torch.ones(len(code)), atol=1e-4)


def test_a_second_thing_is_told_by_the_vector_of_a_first_one_and_a_mark() -> None:
    table = codes(128)
    marks = [
        table[f"second {question}"][: len(names)] * 2**0.5 - table[question][: len(names)]
        for question, names in (("kind", THINGS), ("colour", COLOURS))
    ]
    mark = marks[0][0]
    for each in torch.cat(marks):
        assert torch.allclose(each, mark, atol=1e-3)


def test_narrow_towers_have_codes_too() -> None:
    for code in codes(32).values():
        assert torch.allclose(code.norm(dim=1), torch.full((len(code),), 32**0.5), atol=1e-3)


def test_batches_are_captions_with_their_labels() -> None:
    models.seeded(0)
    recipe = dataclasses.replace(RECIPE, text_stage=dataclasses.replace(RECIPE.text_stage, batch=200))
    task = ReadingTask(models.text(recipe.text), recipe)
    ids, labels = task.draw(0, torch.Generator().manual_seed(1))
    assert ids.shape == (200, models.PLACES)
    assert labels.shape == (200, len(QUESTIONS))
    untold = torch.tensor([len(choices) - 1 for choices in ANSWERS.values()])
    for row, told in zip(ids, labels, strict=True):
        assert row[0] == tokens.START
        assert row[-1] == tokens.END
        empty = bool((row[1:] == tokens.END).all())
        assert empty == bool((told == untold).all())
    ends = (ids == tokens.END).int().argmax(dim=1)
    assert any(ends == 1)  # empty captions
    assert any(ends > SLOTS)  # and such whose words reach to where the answers are


def test_it_learns() -> None:
    models.seeded(0)
    recipe = dataclasses.replace(RECIPE, text_stage=dataclasses.replace(RECIPE.text_stage, batch=16))
    task = ReadingTask(models.text(recipe.text), recipe)
    batch = task.draw(0, torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(task.network.parameters(), lr=3e-3)
    first = float(task.losses(batch)["loss"].detach())
    for _ in range(15):
        optimizer.zero_grad()
        task.losses(batch)["loss"].backward()
        optimizer.step()
    assert float(task.losses(batch)["loss"].detach()) < first / 2
