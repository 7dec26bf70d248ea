"""Flags that extensions of A1111's kind declare in preload.py, read from the text of that file: none of it is run.

The command line is parsed before the environment is there, so what such a flag is given is only kept apart here; the
compatibility layer runs preload.py later and parses the same words with it.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

WITHOUT_VALUE = ("store_true", "store_false", "store_const", "append_const", "count")


def declared(folders: Iterable[Path]) -> argparse.ArgumentParser:
    """A parser that takes the flags of every preload.py one folder below these, whatever their values are."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve", usage="")
    for folder in folders:
        for file in sorted(folder.glob("*/preload.py")) if folder.is_dir() else ():
            for spellings, how in _calls(file):
                with contextlib.suppress(ValueError, TypeError):
                    parser.add_argument(*spellings, dest=spellings[-1], **how)
    return parser


def unclaimed(words: Sequence[str], folders: Iterable[Path]) -> list[str]:
    """Those of these words that no extension's flag takes. A flag without its value: a message and SystemExit(2)."""
    return declared(folders).parse_known_args(list(words))[1]


def _calls(file: Path) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """(spellings, action or nargs) of the `add_argument` calls of a file whose spellings are written out in it."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return  # told when the extension is loaded
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "add_argument":
            continue
        words = [each.value for each in node.args if isinstance(each, ast.Constant)]
        spellings = [word for word in words if isinstance(word, str) and word.startswith("-")]
        if spellings:
            yield spellings, _how(node)


def _how(call: ast.Call) -> dict[str, Any]:
    """How many words a flag takes, as `add_argument` is told."""
    named = {each.arg: each.value for each in call.keywords}
    action, count = named.get("action"), named.get("nargs")
    if isinstance(action, ast.Constant) and action.value in WITHOUT_VALUE:
        return {"action": "store_true"}
    if "BooleanOptionalAction" in ast.dump(action or ast.Constant(None)):
        return {"action": argparse.BooleanOptionalAction}
    return {"nargs": count.value} if isinstance(count, ast.Constant) and count.value is not None else {}
