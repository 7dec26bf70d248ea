"""Canvas zoom: zoom, pan and brush size by hotkeys on the pictures that are painted on. All work is done in the page.

Its settings are A1111's ("Canvas Hotkeys"), which Easel knows and nothing else reads.
"""

from __future__ import annotations

from modules.plugins.api import ExtensionApi

from .words import WORDS

SETTINGS = (
    "canvas_hotkey_zoom",
    "canvas_hotkey_adjust",
    "canvas_hotkey_shrink_brush",
    "canvas_hotkey_grow_brush",
    "canvas_hotkey_move",
    "canvas_hotkey_fullscreen",
    "canvas_hotkey_reset",
    "canvas_hotkey_overlap",
    "canvas_show_tooltip",
    "canvas_auto_expand",
    "canvas_blur_prompt",
    "canvas_disabled_functions",
)


def register(app: ExtensionApi) -> None:
    app.honour(*SETTINGS)
    app.page_file("canvas_zoom.js")
    app.page_file("canvas_zoom.css")
    for language, words in WORDS.items():
        app.translation(language, words)
