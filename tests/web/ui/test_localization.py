"""Languages: files of A1111's format, the user's before Easel's own."""

from __future__ import annotations

import ast
import dataclasses
import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from modules.core.paths import Paths
from modules.jobs.progress import Progress
from modules.web.ui import localization, markup, page
from tests.web.ui.fakes import World


def test_the_users_file_wins_and_a_damaged_one_says_nothing(tmp_path: Path) -> None:
    paths = Paths.make(root=tmp_path / "root", data_dir=tmp_path / "data")
    for folder, texts in ((paths.root, {"Generate": "own"}), (paths.data, {"Generate": "Erzeugen"})):
        (folder / "localizations").mkdir(parents=True)
        (folder / "localizations" / "de.json").write_text(json.dumps(texts))
    (paths.data / "localizations" / "bad.json").write_text("{")
    assert localization.names(paths) == ["None", "de", "bad"]
    assert localization.texts(paths, "de") == {"Generate": "Erzeugen"}
    assert localization.texts(paths, "bad") == localization.texts(paths, "None") == {}


ASSETS = Path(localization.__file__).parent / "assets"
OWN = Path(localization.__file__).parents[3] / "localizations"
LANGUAGES = ("en_US", "ru_RU", "de_DE", "zh_CN", "ja_JP")
NO_WORDS = re.compile(r"Easel \d|/home/|Change checkpoint$|[^A-Za-z]*[A-Za-z]?$")
"""The version, a path, a button that only scripts press, symbols and letters."""
LISTED = re.compile(r'^ +(?:"[^"]+": |\["([^"]+)", )"([^"]+)"\]?,$', re.MULTILINE)
"""Hotkeys and hints of page.js: a line each."""
SAYS = re.compile(r'(?:easelWords|easelButton|easelField|easelDialog)\(\s*"((?:[^"\\]|\\.)+)"')


def of_html(content: str) -> Iterator[str]:
    """The texts of a piece of HTML, without what menus offer."""
    content = re.sub(r"<style>.*?</style>|<option.*?</option>", "", content)
    found = [*re.findall(r">([^<>]+)<", content), *re.findall(r'(?:placeholder|title|aria-label)="([^"]+)"', content)]
    yield from (line for text in found for line in html.unescape(text).split("\n"))


def words_of(block: Any) -> Iterator[str]:
    """What a widget says by itself: not what menus offer, since samplers and axes of plots have names."""
    if isinstance(block, gr.State):
        return
    said = [getattr(block, name, None) for name in ("label", "placeholder", "info")]
    yield from (line for text in said if isinstance(text, str) for line in text.split("\n"))
    if isinstance(block, gr.Button):
        yield block.value
    if isinstance(block, gr.Radio | gr.CheckboxGroup):
        yield from (str(shown) for shown, _ in block.choices)
    if isinstance(block, gr.HTML):
        yield from of_html(block.value or "")


def test_every_word_of_the_page_is_in_all_five_languages(make_world: Callable[..., World]) -> None:
    built = page.build(make_world().services)
    words = {word.strip() for block in built.blocks.values() for word in words_of(block)}
    words |= {word for script in ASSETS.glob("*.js") for word in SAYS.findall(script.read_text("utf-8"))}
    words |= {word for row in LISTED.findall((ASSETS / "page.js").read_text("utf-8")) for word in row if word}
    wanted = {word for word in words if not NO_WORDS.match(word)}
    assert len(wanted) > 600
    for language in LANGUAGES:
        told = json.loads((OWN / f"{language}.json").read_text("utf-8"))
        assert sorted(wanted - told.keys()) == [], language
        assert [word for word, text in told.items() if not text.strip()] == []
        assert [word for word, text in told.items() if ("{" in word) != ("{" in text)] == []


MESSAGES = {"note", "error", "BadRequest", "EaselError", "unknown"}
"""What words for a reader are given to, in modules/web/ui."""
NO_MESSAGE = {"{}", "{} ({})"}
"""Said elsewhere, or a path."""


def message(given: ast.expr) -> str | None:
    """A text of the program, with {} for what is put into it."""
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return given.value
    if isinstance(given, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in given.values)
    return None


def messages() -> Iterator[str]:
    """What the tabs' own handlers say."""
    for file in Path(localization.__file__).parent.glob("*.py"):
        for each in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(each, ast.Call) and each.args:
                name = each.func.attr if isinstance(each.func, ast.Attribute) else getattr(each.func, "id", "")
                said = message(each.args[0]) if name in MESSAGES else None
                if said is not None and said not in NO_MESSAGE:
                    yield said


def fits(said: str, known: str) -> bool:
    """Whether a text of a language, with its names in braces, is one for this message."""
    pieces = [re.escape(piece) for piece in re.split(r"\{\w+\}", known)]
    return re.fullmatch(".+?".join(pieces), said, re.DOTALL) is not None


def test_what_is_said_after_a_click_is_in_the_languages() -> None:
    told = json.loads((OWN / "de_DE.json").read_text("utf-8"))  # they know the same words
    said = set(messages())
    assert len(said) > 30
    assert [each for each in sorted(said) if not any(fits(each, known) for known in told)] == []
    now = Progress(job_id="a", state="running", steps=20, step=3, batches=2, batch=1, eta=4.0)
    waiting, begun = dataclasses.replace(now, state="pending"), dataclasses.replace(now, steps=0, batches=1, eta=None)
    for progress in (now, waiting, begun, dataclasses.replace(now, interrupted=True)):
        for part in markup.progress_words(progress).split(" · "):
            assert any(fits(part, known) for known in told), part


def test_the_languages_know_the_same_words() -> None:
    first, *others = [json.loads((OWN / f"{language}.json").read_text("utf-8")) for language in LANGUAGES]
    assert all(set(first) == set(other) for other in others)
    same = [word for word, text in others[0].items() if word == text and re.search(r"[a-z]{4}.* .*[a-z]{4}", word)]
    assert len(same) < 12  # names of their own, which no language has another word for
