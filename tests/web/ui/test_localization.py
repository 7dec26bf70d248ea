"""Languages: files of A1111's format, the user's before Easel's own."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from modules.core.paths import Paths
from modules.web.ui import localization, page
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
    wanted = {word for word in words if not NO_WORDS.match(word)}
    assert len(wanted) > 600
    for language in LANGUAGES:
        told = json.loads((OWN / f"{language}.json").read_text("utf-8"))
        assert sorted(wanted - told.keys()) == [], language
        assert [word for word, text in told.items() if not text.strip()] == []
        assert [word for word, text in told.items() if ("{" in word) != ("{" in text)] == []


def test_the_languages_know_the_same_words() -> None:
    first, *others = [json.loads((OWN / f"{language}.json").read_text("utf-8")) for language in LANGUAGES]
    assert all(set(first) == set(other) for other in others)
    same = [word for word, text in others[0].items() if word == text and re.search(r"[a-z]{4}.* .*[a-z]{4}", word)]
    assert len(same) < 12  # names of their own, which no language has another word for
