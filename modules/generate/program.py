"""From prompts to what guidance needs: subprompts, schedules, conditioning. Called by `generate.run` for each batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from modules.generate.guidance import Program, Scheduled
from modules.generate.plan import Plan
from modules.loading.family import Family, Scene
from modules.loading.text import TextModel
from modules.prompts import editing
from modules.prompts.chunks import TextPolicy
from modules.prompts.editing import Timeline


def encoded(
    encoder: TextModel,
    prompts: Sequence[str],
    negatives: Sequence[str],
    policy: TextPolicy,
    timeline: Timeline,
    ids: tuple[Tensor, Tensor] | None = None,
    empty: Tensor | None = None,
) -> Program:
    """What a batch's prompts (B) and negative prompts (B) say at each model call; ids: what `told` gives; empty (1, 77,
    width): what fills up shorter ones, None: what the encoder says of no text.

    Only the former may be several prompts joined by AND; A1111 reads that as words in the latter.
    """
    if empty is None:
        empty = encoder.encode("", policy)
    return Program(
        prompts=tuple(
            tuple((_scheduled(encoder, text, policy, timeline), weight) for text, weight in editing.subprompts(prompt))
            for prompt in prompts
        ),
        negatives=tuple(_scheduled(encoder, text, policy, timeline, negative=True) for text in negatives),
        empty=empty,
        ids=None if ids is None else (ids[0].to(empty.device), ids[1].to(empty.device)),
    )


def told(family: Family, work: Plan) -> tuple[Tensor, Tensor] | None:
    """The numbers that go with a prompt and with a negative one, (n,) each; None where the family takes none."""
    if family.ids is None:
        return None
    options = work.options
    width, height = work.scene or (work.request.width, work.request.height)
    scores = {False: options["sdxl_refiner_high_aesthetic_score"], True: options["sdxl_refiner_low_aesthetic_score"]}
    scenes = (
        Scene(
            width=width,
            height=height,
            negative=negative,
            crop_top=options["sdxl_crop_top"],
            crop_left=options["sdxl_crop_left"],
            aesthetic=score,
            guidance=options["distilled_cfg_scale"],
        )
        for negative, score in scores.items()
    )
    positive, negative = (torch.tensor(family.ids(scene), dtype=torch.float32) for scene in scenes)
    return positive, negative


def _scheduled(
    encoder: TextModel, text: str, policy: TextPolicy, timeline: Timeline, *, negative: bool = False
) -> Scheduled:
    entries = editing.schedule(text, timeline)
    encodings = encoder.encode_together([text for _, text in entries], policy, negative=negative)
    return Scheduled(tuple((end, each) for (end, _), each in zip(entries, encodings, strict=True)))
