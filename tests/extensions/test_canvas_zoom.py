"""Canvas zoom says everything in the page's languages. What it does is in tests/web/ui/test_browser_extensions.py."""

from __future__ import annotations

import re
from pathlib import Path

from extensions.canvas_zoom.extension import SETTINGS
from extensions.canvas_zoom.words import WORDS
from modules.settings.builtin import registry

SCRIPT = Path(__file__).parents[2] / "extensions" / "canvas_zoom" / "canvas_zoom.js"


def test_every_word_and_setting_is_said_in_all_languages() -> None:
    options = registry()
    said = set(re.findall(r'(?:words: |easelWords\()"([^"]+)"', SCRIPT.read_text("utf-8"))) - {"Zoom"}
    said |= {options[key].label for key in SETTINGS}
    assert len(said) > 15
    for language, words in WORDS.items():
        assert sorted(said - words.keys()) == [], language
