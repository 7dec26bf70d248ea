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

from modules.core.errors import EaselError
from modules.imaging.reading import read_picture
from modules.web.ui import cards, generation, history, markup
from modules.web.ui.form import QUIET
from modules.web.ui.img2img import INPAINT, PLAIN, Places
from modules.web.ui.island import told
from modules.web.ui.media import Media
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
    png_info: gr.Image


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


def wire_history(album_shown: Any, album: history.Album, targets: Targets) -> None:
    """Connect the buttons of the History tab."""

    def send(event: gr.EventData) -> dict[Any, Any]:
        return deliver(*album.result(event), targets)

    album_shown.sent(send, None, outputs(targets), **QUIET)


def wire_cards(tab: generation.Tab, media: Media) -> None:
    """Connect "replace the preview" of the cards with the picture that the tab shows."""
    screen = tab.screen
    shelf = cards.Shelf(services=screen.services, media=media, kinds=tuple(kind for kind, _ in tab.islands))

    def replace(result: Result | None, selected: int, event: gr.EventData) -> Any:
        said, path = told(event), picture(result, selected)
        if path is None:
            return markup.error("There is no picture yet that could become the preview: make one first.")
        try:
            target = shelf.replace_preview(str(said["kind"]), str(said["name"]), Path(path))
        except (EaselError, OSError) as error:
            return markup.error(str(error))
        return markup.note(f"The preview is now {target.name}.")

    for _, shown in tab.islands:
        replaced = shown.sent(replace, [screen.result, screen.selected], [screen.panel.log], **QUIET)
        replaced.success(None, None, None, js="() => easelCardsChanged()", **QUIET)


def outputs(targets: Targets) -> list[Any]:
    """All that `deliver` may write."""
    pictures = [targets.places.image, targets.places.inpaint, targets.extras, targets.png_info]
    switches = [targets.tabs, targets.places.modes]
    return [*switches, *pictures, *targets.txt2img.tab.form, *targets.img2img.tab.form]


def deliver(result: Result, to: str, targets: Targets) -> dict[Any, Any]:
    """Updates that take a picture to txt2img, img2img, inpaint, extras or pnginfo, and open that tab there."""
    text, path = result.infotext(0), picture(result, 0)
    opened = gr.update(selected="img2img" if to == "inpaint" else to)
    if to == "txt2img":
        return targets.txt2img.send(text) | {targets.tabs: opened}
    if to in ("extras", "pnginfo"):
        return {targets.extras if to == "extras" else targets.png_info: path, targets.tabs: opened}
    mode, place, carried = {
        "img2img": (PLAIN, targets.places.image, picture),
        "inpaint": (INPAINT, targets.places.inpaint, editable),
    }[to]
    filled = targets.img2img.send(text) | {place: carried(result, 0)}
    return filled | {targets.tabs: opened, targets.places.modes: gr.update(selected=mode)}


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
