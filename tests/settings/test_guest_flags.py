"""Laws of the flags that extensions of A1111's kind declare: they are left to them, and their code is not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.settings.flags import parse

PRELOAD = """
raise SystemExit("never run")
def preload(parser):
    parser.add_argument("--ext-word", "-e", type=str, help="a word", default=None)
    parser.add_argument("--ext-switch", action="store_true")
    group = parser.add_argument_group("more")
    group.add_argument("--ext-several", nargs="+")
"""


def extension(data: Path, text: str = PRELOAD) -> Path:
    file = data / "extensions" / "guest" / "preload.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return data


@pytest.mark.parametrize(
    "words",
    [["--ext-word", "x"], ["--ext-word=x"], ["--ext-switch"], ["--ext-several", "a", "b"], ["--ext-switch", "-e", "x"]],
)
def test_flags_of_preload_files_are_accepted(tmp_path: Path, words: list[str]) -> None:
    flags = parse(["--data-dir", str(extension(tmp_path)), *words, "--listen"])
    assert flags.listen


@pytest.mark.parametrize("words", [["--ext-wrod", "x"], ["--ext-switch", "x"], ["--ext-word"]])
def test_others_are_refused_as_ever(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--data-dir", str(extension(tmp_path)), *words])


def test_without_the_extension_its_flags_are_unknown(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        parse(["--data-dir", str(tmp_path), "--ext-switch"])


def test_a_file_that_cannot_be_read_declares_nothing(tmp_path: Path) -> None:
    extension(tmp_path, "def preload(parser:\n")
    with pytest.raises(SystemExit):
        parse(["--data-dir", str(tmp_path), "--ext-switch"])
