"""Colours, fonts and the page's own assets. Only themes that are part of Gradio, only fonts that the system has."""

from __future__ import annotations

import logging
from pathlib import Path

import gradio as gr

log = logging.getLogger(__name__)

ASSETS = Path(__file__).parent / "assets"
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "sans-serif")
FONT_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")
OWN = "Default"
THEMES: dict[str, type[gr.themes.Base]] = {
    "base": gr.themes.Base,
    "citrus": gr.themes.Citrus,
    "glass": gr.themes.Glass,
    "monochrome": gr.themes.Monochrome,
    "ocean": gr.themes.Ocean,
    "origin": gr.themes.Origin,
    "soft": gr.themes.Soft,
}


def named(name: str) -> gr.themes.Base:
    """A theme by the option's value ("Default", "soft", A1111's "gradio/soft"); an unknown one is logged -> Default."""
    plain = name.strip().casefold().removeprefix("gradio/")
    if plain in THEMES:
        return THEMES[plain](font=FONT, font_mono=FONT_MONO)
    if plain != OWN.casefold():
        log.warning('Theme "%s" is not part of Easel (known: %s); the default one is used.', name, ", ".join(choices()))
    return own()


def choices() -> list[str]:
    """The themes that the Settings page offers."""
    return [OWN, *(f"gradio/{name}" for name in THEMES)]


def own() -> gr.themes.Base:
    """Easel's own colours: calm neutral surfaces, one warm accent."""
    theme = gr.themes.Default(
        primary_hue="orange",
        secondary_hue="orange",
        neutral_hue="slate",
        spacing_size="sm",
        radius_size="md",
        text_size="md",
        font=FONT,
        font_mono=FONT_MONO,
    )
    return theme.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        block_label_text_size="*text_sm",
        block_title_text_size="*text_sm",
        block_title_text_weight="500",
        block_shadow="none",
        button_primary_text_color="white",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_500",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        slider_color="*primary_500",
    )


def style() -> str:
    """The page's style sheet."""
    return (ASSETS / "style.css").read_text("utf-8")


def head(scheme: str | None) -> str:
    """What goes into the page's head: the script, and the colour scheme that --theme asks for ("light", "dark")."""
    forced = f"window.easelColorScheme = {scheme!r};" if scheme in ("light", "dark") else ""
    return f"<script>{forced}\n{(ASSETS / 'script.js').read_text('utf-8')}</script>"
