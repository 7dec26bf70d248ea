"""Comments in prompts: from "#" to the end of the line. `generate.plan` removes them when the option
`enable_prompt_comments` is on, before the prompt is encoded and written to the generation parameters.

What is left is character for character A1111's text, line ends included, so that infotexts agree.
"""

from __future__ import annotations

import re

_WHOLE_LINE = re.compile(r"(?:\A|\n)#[^\n]*(?:\n|\Z)")
_TAIL = re.compile(r"#[^\n]*(?:\n|\Z)")


def strip_comments(text: str) -> str:
    r"""The prompt without its comments: "a cat # not a dog\nin a garden" -> "a cat \nin a garden".

    A line that is a comment from its first character goes together with its line end. Linear time.
    """
    if "#" not in text:
        return text
    return _TAIL.sub("\n", _WHOLE_LINE.sub("\n", text))
