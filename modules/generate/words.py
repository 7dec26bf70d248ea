"""What a request's prompts say: with styles, without comments, and what the infotext tells of how they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from modules.core.errors import BadRequest
from modules.generate.course import flag
from modules.generate.request import Generation
from modules.prompts import comments, editing, emphasis, network_tags
from modules.prompts.editing import Timeline
from modules.prompts.styles import StyleBook

MOST_PROMPTS = 100
"""Prompts that AND may join: the model is asked about each at every step."""


STRONG = 10.0
"""Strengths and weights above this make no picture better, and may be too much for the number format."""


class Words(NamedTuple):
    """A prompt, a negative prompt, and remarks for the user."""

    prompt: str
    negative_prompt: str
    remarks: tuple[str, ...]


def asked(request: Generation, options: Mapping[str, Any], styles: StyleBook, *, field: str = "prompt") -> Words:
    """The request's prompts with its styles and without comments. Raises BadRequest(field), DamagedFile."""
    prompt, negative, unknown = styles.apply(request.styles, request.prompt, request.negative_prompt)
    if options["enable_prompt_comments"]:
        prompt, negative = comments.strip_comments(prompt), comments.strip_comments(negative)
    if (joined := len(editing.subprompts(prompt))) > MOST_PROMPTS:
        raise BadRequest(f"AND joins {joined} prompts; at most {MOST_PROMPTS} are possible.", field=field)
    return Words(prompt, negative, tuple(dict.fromkeys([*unknown, *remarks(negative)])))


def remarks(negative: str) -> list[str]:
    """What a negative prompt asks for in vain: A1111 reads networks there as text."""
    tags = (tag for tag in network_tags.split(negative)[1] if tag.kind)
    return [f"<{tag.word}:{':'.join(tag.positional)}> is only text in the negative prompt." for tag in tags]


def too_strong(prompt: str) -> str | None:
    """The first network or words of a prompt that weigh more than anything useful; what else may have made numbers
    overflow is not for a prompt to say.
    """
    text, tags = network_tags.split(prompt)
    for tag in tags:
        values = [*tag.positional[1:3], *(tag.named.get(name, "") for name in ("te", "unet"))]
        if any(abs(_number(value)) > STRONG for value in values):
            return f"<{tag.word}:{':'.join(tag.positional)}>"
    for words, weight in editing.subprompts(text):
        pieces = [*emphasis.parse(words), (words, weight)]
        found = next((piece for piece, factor in pieces if abs(factor) > STRONG), None)
        if found is not None:
            return f'"{found.strip()[:80]}"'
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def notes(options: Mapping[str, Any], new: Timeline, prompt: str, negative: str) -> dict[str, Any]:
    """What A1111 notes about how the prompts are read: only what makes a difference to them."""
    prompts = [negative, *(text for text, _ in editing.subprompts(prompt))]
    read = dataclasses.replace(new, old=options["use_old_scheduling"])
    moved = read.old and any(editing.schedule(text, read) != editing.schedule(text, new) for text in (prompt, negative))
    texts = (text for each in prompts for _, text in editing.schedule(each, read))
    weighed = not options["use_old_emphasis_implementation"] and any(mark in text for text in texts for mark in "([")
    told = flag("Old prompt editing timelines", moved)
    return told | ({"Emphasis": options["emphasis"]} if weighed and options["emphasis"] != "Original" else {})
