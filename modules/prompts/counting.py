"""How much room a prompt takes, for the counter beside it: the longest of all texts that it becomes."""

from __future__ import annotations

from modules.prompts import comments, editing, network_tags
from modules.prompts.chunks import NO_WORDS, TextPolicy, Words, counted
from modules.prompts.editing import Timeline

USUAL = Timeline(steps=100)
"""Enough that every edit of a usual prompt takes place."""


def room(
    text: str, policy: TextPolicy, words: Words = NO_WORDS, *, comments_too: bool = False, timeline: Timeline = USUAL
) -> tuple[int, int]:
    """(tokens, tokens that their chunks hold: 75, 150, …) of the longest text of a prompt: after edits, of the prompts
    that "AND" joins, without network tags and, unless comments_too, without comments.
    """
    plain = network_tags.split(text if comments_too else comments.strip_comments(text))[0]
    parts = {part for subprompt, _ in editing.subprompts(plain) for _, part in editing.schedule(subprompt, timeline)}
    return max((counted(part, policy, words) for part in parts), default=counted("", policy, words))
