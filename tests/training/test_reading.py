"""Reading captions: labels agree with the scene, what is not told counts for nothing, and the tower learns."""

from __future__ import annotations

import dataclasses
import random

import torch

from modules.prompts import tokens
from modules.training import models
from modules.training.painter.captions import caption
from modules.training.painter.scene import draw
from modules.training.reading import NOTHING, QUESTIONS, UNTOLD, ReadingTask, answers
from modules.training.recipes import find

RECIPE = find("test")


def test_labels_are_the_facts_that_are_told() -> None:
    names = list(QUESTIONS)
    for seed in range(200):
        scene = draw(seed)
        told = caption(scene, random.Random(seed))
        labels = dict(zip(names, answers(scene, told), strict=True))
        assert QUESTIONS["kind"][labels["kind"]] == scene.things[0].kind
        assert QUESTIONS["colour"][labels["colour"]] == scene.things[0].colour
        second = scene.things[1].kind if len(scene.things) > 1 else NOTHING
        assert QUESTIONS["second kind"][labels["second kind"]] == second
        for fact in ("place", "ground", "time", "style"):
            assert (labels[fact] == UNTOLD) == (fact not in told.told)


def test_it_reads_at_the_end_and_in_the_filling() -> None:
    models.seeded(0)
    task = ReadingTask(models.text(RECIPE.text), RECIPE)
    ids, labels, spots = task.draw(0, torch.Generator().manual_seed(1))
    assert labels.shape == (RECIPE.text_stage.batch, len(QUESTIONS))
    for row, (end, filler) in zip(ids, spots.tolist(), strict=True):
        assert row[0] == tokens.START
        assert row[end] == tokens.END
        assert tokens.END not in row[:end]
        assert end <= filler < models.PLACES


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
