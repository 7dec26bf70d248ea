"""From prompts to what guidance needs: subprompts, schedules, conditioning. Called by `generate.run` for each batch."""

from __future__ import annotations

from collections.abc import Sequence

from modules.generate.guidance import Program, Scheduled
from modules.loading.text import TextEncoder
from modules.prompts import editing
from modules.prompts.chunks import TextPolicy
from modules.prompts.editing import Timeline


def encoded(
    encoder: TextEncoder, prompts: Sequence[str], negatives: Sequence[str], policy: TextPolicy, timeline: Timeline
) -> Program:
    """What a batch's prompts (B) and negative prompts (B) say at each model call.

    Only the former may be several prompts joined by AND; A1111 reads that as words in the latter.
    """
    return Program(
        prompts=tuple(
            tuple((_scheduled(encoder, text, policy, timeline), weight) for text, weight in editing.subprompts(prompt))
            for prompt in prompts
        ),
        negatives=tuple(_scheduled(encoder, text, policy, timeline) for text in negatives),
        empty=encoder.encode("", policy),
    )


def _scheduled(encoder: TextEncoder, text: str, policy: TextPolicy, timeline: Timeline) -> Scheduled:
    entries = editing.schedule(text, timeline)
    conditionings = encoder.encode_together([text for _, text in entries], policy)
    return Scheduled(tuple((end, each) for (end, _), each in zip(entries, conditionings, strict=True)))
