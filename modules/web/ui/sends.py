"""Sending pictures and parameters from tab to tab: the buttons under a gallery, and those of PNG Info.

Called by `page` when all tabs are there. What a picture says of itself fills the form it is sent to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from modules.imaging.reading import read_picture
from modules.web.ui import generation
from modules.web.ui.form import QUIET
from modules.web.ui.img2img import INPAINT, PLAIN, Places
from modules.web.ui.results import Result
from modules.web.ui.screen import Screen


@dataclasses.dataclass(frozen=True, kw_only=True)
class Targets:
    """Everything that can be sent to."""

    tabs: gr.Tabs
    txt2img: generation.Actions
    img2img: generation.Actions
    places: Places
    extras: gr.Image


def wire(screen: Screen, targets: Targets) -> None:
    """Connect the buttons under a gallery."""
    shown = [screen.result, screen.selected]
    for to, mode, place in (
        ("img2img", PLAIN, targets.places.image),
        ("inpaint", INPAINT, targets.places.inpaint),
    ):
        _wire_to_form(screen.bar.sends[to], shown, targets, mode=mode, place=place)
    button = screen.bar.sends["extras"]
    sent = button.click(picture, shown, [targets.extras], **QUIET)
    sent.success(lambda: gr.update(selected="extras"), None, [targets.tabs], **QUIET)


def _wire_to_form(
    button: gr.Button, shown: list[Any], targets: Targets, *, mode: int, place: gr.Image | gr.ImageEditor
) -> None:
    receive = targets.img2img

    def fill(result: Result | None, selected: int) -> dict[Any, Any]:
        return receive.send(result.infotext(selected) if result else "")

    read: Callable[..., Any] = editable if isinstance(place, gr.ImageEditor) else picture
    sent = button.click(read, shown, [place], **QUIET)
    sent.success(fill, shown, list(receive.tab.form), **QUIET)
    sent.success(
        lambda: (gr.update(selected="img2img"), gr.update(selected=mode)),
        None,
        [targets.tabs, targets.places.modes],
        **QUIET,
    )


def picture(result: Result | None, selected: int) -> str | None:
    """The file of the shown picture, None where there is none."""
    if not result or not result.paths:
        return None
    return str(result.paths[min(selected, len(result.paths) - 1)])


def editable(result: Result | None, selected: int) -> dict[str, Any] | None:
    """The shown picture, to paint on."""
    path = picture(result, selected)
    return None if path is None else canvas(read_picture(Path(path).read_bytes(), field="image"))


def canvas(image: Image.Image) -> dict[str, Any]:
    """A picture as an editor takes it."""
    return {"background": image, "layers": [], "composite": image}
