"""The PNG Info tab: drop a picture, read the text it carries, send both on. Built by `page`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from modules.core.errors import EaselError
from modules.imaging import png
from modules.prompts import importing
from modules.web.ui import markup, sends
from modules.web.ui.form import QUIET
from modules.web.ui.results import Result
from modules.web.ui.sends import Targets

EMPTY = markup.note("Drop a picture to see the parameters it was made with.")

SENDS = ("txt2img", "img2img", "inpaint", "extras")
"""Where to; txt2img wants parameters, the others the picture."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """The tab's widgets; `text` keeps the raw parameters for the send buttons."""

    image: gr.Image
    shown: gr.HTML
    text: gr.Textbox
    sends: dict[str, gr.Button]


def build() -> Tab:
    """Make the widgets, inside the tab that the caller has opened."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            # type and image_mode hand over the uploaded file as it is, so that no text is lost
            image = gr.Image(
                label="Source",
                elem_id="pnginfo_image",
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard"],
                interactive=True,
                buttons=[],
                height=480,
            )
        with gr.Column(min_width=320):
            with gr.Row(elem_classes=["send-buttons"]):
                buttons = {
                    to: gr.Button(f"Send to {to}", elem_id=f"{to}_tab", interactive=False, min_width=100)
                    for to in SENDS
                }
            shown = gr.HTML(EMPTY, elem_id="pnginfo_html_info", elem_classes=["infotext-holder"])
            text = gr.Textbox(visible="hidden", elem_id="pnginfo_generation_info")
    return Tab(image=image, shown=shown, text=text, sends=buttons)


def read(path: str | None) -> tuple[Any, ...]:
    """A picture file (None: none) -> (its text as HTML, its parameters, the states of the buttons
    of `SENDS`). Parameters of other programs than A1111 come translated.
    """
    if path is None:
        return EMPTY, "", *_buttons(text=False, picture=False)
    try:
        found = png.read(Path(path))
    except EaselError as error:
        return markup.error(str(error)), "", *_buttons(text=False, picture=False)
    text = importing.shown(found.infotext, found.items, found.size)
    return markup.picture_text(text, found.items), text, *_buttons(text=bool(text), picture=True)


def _buttons(*, text: bool, picture: bool) -> list[Any]:
    """txt2img wants parameters, the others the picture."""
    return [gr.update(interactive=usable) for usable in (text, picture, picture, picture)]


def wire(tab: Tab, targets: Targets) -> None:
    """Connect the picture, and the buttons with the tabs that they send to."""
    tab.image.change(read, [tab.image], [tab.shown, tab.text, *tab.sends.values()], **QUIET)
    for to, button in tab.sends.items():
        button.click(_sender(to, targets), [tab.image, tab.text], sends.outputs(targets), **QUIET)


def _sender(to: str, targets: Targets) -> Callable[[str | None, str | None], dict[Any, Any]]:
    def send(path: str | None, text: str | None) -> dict[Any, Any]:
        shown = Result(paths=(Path(path),) if path else (), infotexts=(text or "",))
        return sends.deliver(shown, to, targets)

    return send
