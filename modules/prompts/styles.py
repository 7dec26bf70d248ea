"""Prompt styles: named pieces of prompt in A1111's `styles.csv`, applied by `generate.plan`.

    name,prompt,negative_prompt
    postcard,"a postcard of {prompt}, sunny","dark, {prompt}"
    fine,"masterpiece, oil painting",

A style with `{prompt}` is put around the prompt; any other is appended to it after a comma. Old files have a column
`text` in place of `prompt`. Rows without a name, or whose name starts with "#", say nothing.
The page keeps new styles in the first file; a changed one stays in its own.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from modules.core.errors import BadRequest, DamagedFile, NotFound, unknown
from modules.core.store import write_atomically

PLACE = "{prompt}"
NONE = ("", "None")
"""Names that ask for no style."""
COLUMNS = ("name", "prompt", "negative_prompt")


@dataclasses.dataclass(frozen=True)
class Style:
    """Texts to add to a prompt and to a negative prompt; "" adds nothing."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""

    def applied(self, prompt: str, negative_prompt: str) -> tuple[str, str]:
        return merged(self.prompt, prompt), merged(self.negative_prompt, negative_prompt)

    def undone(self, prompt: str, negative_prompt: str) -> tuple[str, str] | None:
        """What the style was applied to; None where it was not."""
        before, negative_before = unmerged(self.prompt, prompt), unmerged(self.negative_prompt, negative_prompt)
        return None if before is None or negative_before is None else (before, negative_before)


class StyleBook:
    """The styles of some files. Read anew at every question, so that an edited file counts at once."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._files = tuple(files)

    def read(self) -> dict[str, Style]:
        """All styles by name; later rows and files win. Absent files have none. Raises DamagedFile."""
        return {style.name: style for path in self._files for style in _rows(path)}

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

    def save(self, style: Style) -> None:
        """Keep a style, in the file that has one of this name or else in the first.

        Raises BadRequest, DamagedFile, StoreError.
        """
        if not style.name.strip() or style.name.startswith("#") or style.name in NONE:
            raise BadRequest(f'A style cannot be called "{style.name}".', field="name")
        target = self._file_of(style.name) or (self._files[0] if self._files else None)
        if target is None:
            raise BadRequest("There is no file to keep styles in (--styles-file).", field="name")
        _write(target, [*(each for each in _table(target) if each["name"] != style.name), dataclasses.asdict(style)])

    def delete(self, name: str) -> None:
        """Forget a style wherever it is. Raises NotFound, DamagedFile, StoreError."""
        if self._file_of(name) is None:
            raise NotFound("Style", name, list(self.read()))
        for path in self._files:
            rows = _table(path)
            if any(row["name"] == name for row in rows):
                _write(path, [row for row in rows if row["name"] != name])

    def _file_of(self, name: str) -> Path | None:
        """The file whose row counts."""
        return next((path for path in reversed(self._files) if any(row["name"] == name for row in _table(path))), None)


def merged(style: str, prompt: str) -> str:
    """A style's text and a prompt as one: around it, or after it; white space at the joint goes."""
    if PLACE in style:
        return style.replace(PLACE, prompt)
    return ", ".join(part for part in (prompt.strip(), style.strip()) if part)


def unmerged(style: str, text: str) -> str | None:
    """The prompt that `merged` made this text of; None where it is not of this style. Borders are stripped."""
    text, style = text.strip(), style.strip()
    if PLACE not in style:
        return text.removesuffix(style).removesuffix(", ") if text.endswith(style) else None
    before, after = style.split(PLACE, 1)
    inside = len(text) - len(before) - len(after)
    if PLACE in after or inside < 0 or not (text.startswith(before) and text.endswith(after)):
        return None
    return text[len(before) : len(before) + inside]


def _rows(path: Path) -> Iterator[Style]:
    for row in _table(path):
        if row["name"] and not row["name"].startswith("#"):
            yield Style(**row)


def _table(path: Path) -> list[dict[str, str]]:
    """All rows of a file, those that say nothing too; none where it is absent. Raises DamagedFile."""
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedFile(f"The styles in {path} cannot be read: {error}") from error
    return [
        {
            "name": row.get("name") or "",
            "prompt": (row["prompt"] if "prompt" in row else row.get("text")) or "",
            "negative_prompt": row.get("negative_prompt") or "",
        }
        for row in rows
    ]


def _write(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, target.getvalue().encode("utf-8-sig", "replace"))
