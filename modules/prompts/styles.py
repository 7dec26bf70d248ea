"""Prompt styles: named pieces of prompt in A1111's `styles.csv`, applied by `generate.plan`.

    name,prompt,negative_prompt
    postcard,"a postcard of {prompt}, sunny","dark, {prompt}"
    fine,"masterpiece, oil painting",

A style with `{prompt}` is put around the prompt; any other is appended to it after a comma. Old files have a column
`text` in place of `prompt`. Rows without a name, or whose name starts with "#", say nothing.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from modules.core.errors import DamagedFile, unknown

PLACE = "{prompt}"
NONE = ("", "None")
"""Names that ask for no style."""


@dataclasses.dataclass(frozen=True)
class Style:
    """Texts to add to a prompt and to a negative prompt; "" adds nothing."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""

    def applied(self, prompt: str, negative_prompt: str) -> tuple[str, str]:
        return merged(self.prompt, prompt), merged(self.negative_prompt, negative_prompt)


class StyleBook:
    """The styles of some files. Read anew at every question, so that an edited file counts at once."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._files = tuple(files)

    def read(self) -> dict[str, Style]:
        """All styles by name; later rows and files win. Absent files have none. Raises DamagedFile."""
        return {style.name: style for path in self._files if path.is_file() for style in _rows(path)}

    def apply(self, names: Iterable[str], prompt: str, negative_prompt: str) -> tuple[str, str, list[str]]:
        """(prompt, negative prompt, remarks on names that no style has) after applying the named ones in order.

        Raises DamagedFile.
        """
        wanted = list(names)
        styles: Mapping[str, Style] = self.read() if wanted else {}
        for name in wanted:
            prompt, negative_prompt = styles.get(name, Style(name)).applied(prompt, negative_prompt)
        lacking = [name for name in wanted if name not in styles and name not in NONE]
        remarks = [unknown("Style", name, styles, "It was left out.") for name in dict.fromkeys(lacking)]
        return prompt, negative_prompt, remarks


def merged(style: str, prompt: str) -> str:
    """A style's text and a prompt as one: around it, or after it; white space at the joint goes."""
    if PLACE in style:
        return style.replace(PLACE, prompt)
    return ", ".join(part for part in (prompt.strip(), style.strip()) if part)


def _rows(path: Path) -> Iterator[Style]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedFile(f"The styles in {path} cannot be read: {error}") from error
    for row in rows:
        name = row.get("name")
        if name and not name.startswith("#"):
            prompt = row["prompt"] if "prompt" in row else row.get("text")
            yield Style(name, prompt or "", row.get("negative_prompt") or "")
