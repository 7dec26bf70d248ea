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
CLASSIC = "A1111"


def named(name: str) -> gr.themes.Base:
    """A theme by the option's value ("Default", "soft", A1111's "gradio/soft"); an unknown one is logged -> Default."""
    plain = name.strip().casefold().removeprefix("gradio/")
    if plain in THEMES:
        return THEMES[plain](font=FONT, font_mono=FONT_MONO)
    if plain == CLASSIC.casefold():
        return classic()
    if plain != OWN.casefold():
        log.warning('Theme "%s" is not part of Easel (known: %s); the default one is used.', name, ", ".join(choices()))
    return own()


def choices() -> list[str]:
    """The themes that the Settings page offers."""
    return [OWN, CLASSIC, *(f"gradio/{name}" for name in THEMES)]


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
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        block_label_text_size="*text_sm",
        block_title_text_size="*text_sm",
        block_title_text_weight="500",
        block_shadow="none",
        button_primary_text_color="white",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        slider_color="*primary_500",
    )


def classic() -> gr.themes.Base:
    """The look of A1111's page: grey surfaces, an orange button with a gradient, small text."""
    theme = gr.themes.Default(
        primary_hue="orange",
        secondary_hue="blue",
        neutral_hue="gray",
        spacing_size="sm",
        radius_size="lg",
        text_size="sm",
        font=FONT,
        font_mono=FONT_MONO,
    )
    return theme.set(
        body_background_fill="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_300",
        body_background_fill_dark="#0b0f19",
        checkbox_border_radius="*radius_sm",
        checkbox_border_color_dark="*neutral_400",
        block_background_fill="white",
        block_background_fill_dark="#1f2937",
        block_border_width="1px",
        input_background_fill="white",
        input_background_fill_dark="#374151",
        button_primary_background_fill="linear-gradient(to bottom right, #ffedd5, #fdba74)",
        button_primary_background_fill_hover="linear-gradient(to bottom right, #ffedd5, #fed7aa)",
        button_primary_background_fill_dark="linear-gradient(to bottom right, #9a3412, #c2410c)",
        button_primary_background_fill_hover_dark="linear-gradient(to bottom right, #9a3412, #9a3412)",
        button_primary_text_color="#9a3412",
        button_primary_text_color_dark="white",
        button_secondary_background_fill="linear-gradient(to bottom right, #f3f4f6, #e5e7eb)",
        button_secondary_background_fill_dark="linear-gradient(to bottom right, #4b5563, #374151)",
    )


STYLES = ("style.css", "parts.css")
SCRIPTS = (
    "script.js",
    "islands.js",
    "a1111.js",
    "prompt.js",
    "page.js",
    "cards.js",
    "queue.js",
    "history.js",
    "extensions.js",
    "settings.js",
    "importing.js",
    "keeping.js",
)
"""In this order in the page's head."""


def style() -> str:
    """The page's style sheet."""
    return "\n".join((ASSETS / name).read_text("utf-8") for name in STYLES)


def head(scheme: str | None) -> str:
    """What goes into the page's head: the scripts, and the colour scheme that --theme asks for ("light", "dark")."""
    forced = f"window.easelColorScheme = {scheme!r};" if scheme in ("light", "dark") else ""
    scripts = "\n".join((ASSETS / name).read_text("utf-8") for name in SCRIPTS)
    return f"<script>{forced}\n{scripts}</script>"
