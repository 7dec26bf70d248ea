"""The PNG Info tab: drop a picture, read the text it carries, send it to txt2img. Built by `page`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from modules.core.errors import EaselError
from modules.imaging import png
from modules.prompts import importing
from modules.web.ui import markup

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
EMPTY = markup.note("Drop a picture to see the parameters it was made with.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """The tab's widgets; `text` keeps the raw parameters for the send button."""

    image: gr.Image
    shown: gr.HTML
    text: gr.Textbox
    send: gr.Button


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
                send = gr.Button("Send to txt2img", elem_id="txt2img_tab", interactive=False)
            shown = gr.HTML(EMPTY, elem_id="pnginfo_html_info", elem_classes=["infotext-holder"])
            text = gr.Textbox(visible=False, elem_id="pnginfo_generation_info")
    return Tab(image=image, shown=shown, text=text, send=send)


def read(path: str | None) -> tuple[str, str, Any]:
    """A picture file (None: none) -> (its text as HTML, its parameters, the send button's state). Parameters of
    other programs than A1111 come translated."""
    if path is None:
        return EMPTY, "", gr.update(interactive=False)
    try:
        found = png.read(Path(path))
    except EaselError as error:
        return markup.error(str(error)), "", gr.update(interactive=False)
    text = importing.shown(found.infotext, found.items, found.size)
    return markup.picture_text(text, found.items), text, gr.update(interactive=bool(text))


def wire(tab: Tab, *, receive: Callable[[str], Any], targets: list[Any], go: Callable[[], Any], tabs: gr.Tabs) -> None:
    """Connect the picture, and the button with the txt2img tab: `receive` fills `targets`, `go` switches `tabs`."""
    tab.image.change(read, [tab.image], [tab.shown, tab.text, tab.send], **QUIET)
    tab.send.click(receive, [tab.text], targets, **QUIET).success(go, None, [tabs], **QUIET)
