"""No dead switches: an option that Settings shows is read somewhere, and what is read is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modules.settings.builtin import WORKS

MODULES = Path(__file__).resolve().parents[2] / "modules"
FILES = [path for path in MODULES.rglob("*.py") if MODULES / "settings" not in path.parents]
FILES += (MODULES / "web" / "ui" / "assets").glob("*.js")
SOURCES = {path: path.read_text(encoding="utf-8") for path in FILES}
BY_PATTERN = {f"outdir_{tab}_{kind}" for tab in ("txt2img", "img2img") for kind in ("samples", "grids")}
BY_PATTERN |= {"outdir_extras_samples"}
"""Read as f"outdir_{tab}_samples"."""


@pytest.mark.parametrize("key", sorted(WORKS))
def test_every_option_that_is_shown_is_read(key: str) -> None:
    assert key in BY_PATTERN or any(f'"{key}"' in text for text in SOURCES.values())


def test_every_option_that_is_read_is_shown() -> None:
    read = {key for text in SOURCES.values() for key in re.findall(r'options\["(\w+)"\]', text)}
    assert read - WORKS == set()
