"""Does a picture show what was asked for? Questions with known answers, read by the reader."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from modules.evaluation.reader import Reading
from modules.training.painter import picture
from modules.training.painter.captions import caption
from modules.training.painter.places import PLACES
from modules.training.painter.scene import Scene, draw, unseen

SEED = (1 << 41) + (1 << 40)
"""Scenes of questions have seeds that neither training nor the reader has."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A prompt, the scene it describes, and which of its facts the prompt tells (`captions.FACTS`)."""

    prompt: str
    scene: Scene
    told: frozenset[str]


def questions(count: int, *, seed: int = 0) -> list[Question]:
    """Prompts about pairs of thing and colour that were never in training, each in its own setting."""
    dice = random.Random(f"questions {seed}")
    pairs = unseen()
    asked = []
    for index in range(count):
        place = list(PLACES)[index % len(PLACES)]
        scene = draw(SEED + seed * 1_000_000 + index, pair=pairs[index % len(pairs)], place=place)
        told = caption(scene, dice, everything=True)
        asked.append(Question(told.text, scene, told.told))
    return asked


def painted(asked: Sequence[Question], size: int) -> Tensor:
    """The painter's own pictures of the questions, uint8 (n, size, size, 3): what a perfect model would show."""
    return torch.stack([torch.from_numpy(np.array(picture.paint(each.scene, size))) for each in asked])


_CHECKS: dict[str, tuple[str, Callable[[Scene, Reading], bool]]] = {
    "object": ("", lambda scene, read: scene.things[0].kind == read.kind),
    "colour": ("", lambda scene, read: scene.things[0].colour == read.colour),
    "object and colour": (
        "",
        lambda scene, read: (scene.things[0].kind, scene.things[0].colour) == (read.kind, read.colour),
    ),
    "position": ("place", lambda scene, read: scene.things[0].place == read.place),
    "count": ("count", lambda scene, read: scene.things[0].count == read.count),
    "ground": ("ground", lambda scene, read: scene.ground == read.ground),
    "time": ("time", lambda scene, read: scene.time == read.time),
    "style": ("style", lambda scene, read: scene.style == read.style),
}
"""Name in the table -> the fact that the prompt has to tell ("" = always told), whether the picture shows it."""


def shares(asked: Sequence[Question], readings: Sequence[Reading]) -> dict[str, float]:
    """For each check the share (0..1) of pictures that pass, of those whose prompt says what is checked."""
    found = {}
    for name, (fact, check) in _CHECKS.items():
        passed = [
            check(each.scene, read) for each, read in zip(asked, readings, strict=True) if not fact or fact in each.told
        ]
        if passed:
            found[name] = sum(passed) / len(passed)
    return found
