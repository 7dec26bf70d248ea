"""axe-core finds nothing serious on any tab, light or dark, wide or narrow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from modules.web.ui import theme
from tests.screenshots import TABS
from tests.visitor import Visitor, expect, needs_chromium
from tests.web.ui.fakes import world
from tests.web.ui.serving import serving

pytestmark = needs_chromium
WIDTHS = (1440, 390)
SOME = ("txt2img", "History", "Settings", "Extensions")
"""Tabs with every kind of widget: colours are the same on all."""
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
RUN = """
([rules, standards]) => axe
    .run(document, { runOnly: rules.length ? rules : standards, resultTypes: ["violations"] })
    .then((found) => found.violations
        .filter((each) => ["serious", "critical"].includes(each.impact))
        .flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.target.join(" ")} ${node.html.slice(0, 120)}`)))
"""

STILL = """
() => document.getAnimations()
    .every((each) => each.playState !== "running" || each.effect.getTiming().iterations === Infinity)
"""
"""Nothing fades in or out any more: half faded is half the contrast."""


def axe() -> str:
    """axe-core's script, which a package of the tests brings along."""
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    return (Path(found.origin).parent / "axe.min.js").read_text("utf-8")


@contextlib.contextmanager
def used(folder: Path, chromium: Any, **options: Any) -> Iterator[Visitor]:
    """A page with a result, something in the queue and in the history, and axe-core at hand."""
    made = world(folder)
    made.services.options.set(options)
    with serving(made) as address:
        opened = Visitor(chromium, address, color_scheme="light")
        opened.ask("a cat", batch_count=2)
        opened.find("txt2img_generate").click()
        expect(opened.find("html_log_txt2img")).to_contain_text("Time taken")
        opened.page.evaluate(axe())
        yield opened
        opened.context.close()
    made.close()


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Visitor]:
    with used(tmp_path_factory.mktemp("axe"), chromium) as opened:
        yield opened


def look(visitor: Visitor, *rules: str, tabs: Iterable[str] = TABS.values()) -> dict[str, list[str]]:
    """What is wrong on each tab, by its title."""
    found = {}
    for title in tabs:
        visitor.tab(title)
        visitor.page.wait_for_function(STILL)
        wrong = visitor.page.evaluate(RUN, [list(rules), STANDARDS])
        if wrong:
            found[title] = wrong
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_serious_is_wrong(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    assert look(visitor, *(() if width == WIDTHS[0] else ("color-contrast", "label", "button-name"))) == {}


@pytest.mark.parametrize("width", WIDTHS)
def test_dark_can_be_read_too(visitor: Visitor, width: int) -> None:
    """What is called what does not change with the colours."""
    visitor.page.set_viewport_size({"width": width, "height": 900})
    darken(visitor)
    assert look(visitor, "color-contrast", tabs=TABS.values() if width == WIDTHS[0] else SOME) == {}


def test_the_theme_that_looks_like_a1111_can_be_read(tmp_path: Path, chromium: Any) -> None:
    with used(tmp_path, chromium, gradio_theme=theme.CLASSIC) as visitor:
        light = look(visitor, "color-contrast", tabs=SOME)
        darken(visitor)
        assert (light, look(visitor, "color-contrast", tabs=SOME)) == ({}, {})


def darken(visitor: Visitor) -> None:
    if not visitor.page.evaluate("document.body.classList.contains('dark')"):
        visitor.page.evaluate("easelTurnScheme()")
