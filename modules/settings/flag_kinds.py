"""The kinds of command-line flags, and the argument parser made from a dataclass whose fields are such flags.

`flags.py` declares the flags with these functions. Each field keeps in its metadata what argparse needs, `note` (why
the flag has no effect, "" if it has one) and `published` (A1111's default where ours is "absent").
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

SPELLING, ARGUMENT, NOTE, PUBLISHED = "spelling", "argument", "note", "published"


def switch(help: str, *, note: str = "", spelling: str = "") -> Any:
    """A flag without a value: False, True when given."""
    return _flag(False, help, note, None, spelling, action="store_true")


def text(help: str, *, note: str = "", default: str | None = None, secret: bool = False, **more: Any) -> Any:
    """A flag with a word: None (or `default`) when absent. `choices=` and `type=` go to argparse."""
    return _flag(default, help, note, None, "", secret=secret, **more)


def folder(help: str, *, note: str = "", published: str | None = None) -> Any:
    """A file or folder name, made absolute from the current folder; None when absent: `core.paths` knows the default.

    published: what /sdapi/v1/cmd-flags says when absent, below `{data}`, `{models}` or `{root}`.
    """
    return _flag(None, help, note, published, "", type=absolute)


def number(help: str, default: int | None, *, least: int = 0, most: int | None = None, note: str = "") -> Any:
    """A flag with a whole number in least..most."""
    return _flag(default, help, note, None, "", type=whole(least, most), metavar="N")


def several(help: str, *, published: str | None = None, note: str = "", **more: Any) -> Any:
    """A flag with several values: (), or the tuple of them."""
    return _flag((), help, note, published, "", **more)


def absolute(name: str) -> str:
    """`~/x`, `x` -> an absolute path as text. Raises ArgumentTypeError for an empty name or one with a NUL."""
    if not name.strip() or "\0" in name:
        raise argparse.ArgumentTypeError("needs the name of a file or folder")
    return os.path.abspath(os.path.expanduser(name))


def whole(least: int, most: int | None) -> Callable[[str], int]:
    """A converter to a whole number in least..most (None: no upper end)."""

    def convert(word: str) -> int:
        try:
            value = int(word)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            limits = f"from {least} on" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"needs a whole number {limits}, not {word!r}")
        return value

    return convert


def json_object(word: str) -> dict[str, Any]:
    """A JSON object on the command line. Raises ArgumentTypeError."""
    try:
        value = json.loads(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"needs a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("needs a JSON object in braces")
    return value


class Parser(argparse.ArgumentParser):
    """argparse with a message for an unknown flag that offers the nearest known ones. Errors exit with code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n`{self.prog} --help` lists every flag.\n")

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Name the first word that no flag took, with its nearest known flags."""
        word = words[0].split("=", 1)[0]
        if not word.startswith("-"):
            self.error(f"unexpected {word!r}: flags begin with --")
        known = sorted({spelling for action in self._actions for spelling in action.option_strings})
        near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
        offer = f" Did you mean {' or '.join(near)}?" if near else ""
        self.error(f"unknown flag {word}.{offer}")


def parser(flags: type[Any], *, program: str, about: str, version: str) -> Parser:
    """A parser of the dataclass's flags; the namespace it makes holds only those that were given."""
    made = Parser(prog=program, description=about, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    made.add_argument("--version", action="version", version=version, help="print the version and exit")
    for field in dataclasses.fields(flags):
        if ARGUMENT not in field.metadata:
            continue
        note = " (accepted, no effect)" if field.metadata[NOTE] else ""
        argument = dict(field.metadata[ARGUMENT])
        argument["help"] = argument["help"].replace("%", "%%") + note
        made.add_argument(option(field), dest=field.name, default=argparse.SUPPRESS, **argument)
    return made


def option(field: dataclasses.Field[Any]) -> str:
    """How the flag of a field is written: `ckpt_dir` -> `--ckpt-dir`."""
    return field.metadata[SPELLING] or "--" + field.name.replace("_", "-")


def notes(flags: type[Any], given: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each given flag that has no effect."""
    fields = [field for field in dataclasses.fields(flags) if field.name in given and field.metadata.get(NOTE)]
    return tuple(f"{option(field)} has no effect: {field.metadata[NOTE]}." for field in fields)


def _flag(
    default: Any, help: str, note: str, published: str | None, spelling: str, secret: bool = False, **argument: Any
) -> Any:
    metadata = {SPELLING: spelling, ARGUMENT: {"help": help, **argument}, NOTE: note, PUBLISHED: published}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


def program_name() -> str:
    """How the program was called, for messages: `launch.py`."""
    return os.path.basename(sys.argv[0]) or "easel"
