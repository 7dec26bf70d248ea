"""Small helpers of the img2img tab: copying the picture from mode to mode, taking its size, having it described.

`img2img` makes the rows of buttons, `wire` connects them; called by `page`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from modules.core.errors import EaselError
from modules.generate.describing_jobs import KIND
from modules.imaging.reading import read_picture
from modules.web.ui import img2img, markup, painting
from modules.web.ui.form import QUIET, Updates
from modules.web.ui.screen import OWNER

if TYPE_CHECKING:
    from modules.web.services import Services
    from modules.web.ui.generation import Tab

DESCRIBERS = {"interrogate": "clip", "deepbooru": "deepdanbooru"}
"""Element id of a button -> the model that it asks, as the API calls it."""


def shown(value: Any) -> Image.Image | None:
    """The picture in an image field (a path) or in an editor, paint and all; None where there is none."""
    if not value:
        return None
    if isinstance(value, Mapping):
        return painting.sketch(value)
    return read_picture(Path(value).read_bytes(), field="image")


def copied(value: Any, *, to_editor: bool) -> Any:
    """What the other field is given; nothing where there is no picture."""
    image = shown(value)
    if image is None:
        return gr.skip()
    return {"background": image, "layers": [], "composite": image} if to_editor else image


def size(value: Any) -> tuple[Any, Any]:
    """Width and height for the form: the picture's, in steps of 8."""
    image = shown(value)
    if image is None:
        return gr.skip(), gr.skip()
    return tuple(max(64, side // 8 * 8) for side in image.size)  # type: ignore[return-value]


async def described(services: Services, value: Any, model: str) -> str:
    """What a model of the user's sees in the picture. Raises EaselError."""
    image = shown(value)
    if image is None:
        raise EaselError("There is no picture yet that could be described.")
    services.describers.check(model)
    picture = await asyncio.to_thread(services.inputs.add_image, image)
    id = await asyncio.to_thread(
        functools.partial(services.queue.submit, KIND, {"picture": picture, "model": model}, owner=OWNER)
    )
    job = await services.queue.finished(id)
    if job.state != "done" or job.result is None:
        raise EaselError(job.error or "The description did not come.")
    return str(job.result["caption"])


def wire(tab: Tab, places: img2img.Places, services: Services) -> None:
    """Connect the buttons."""
    form, words = tab.form, tab.screen.panel.log
    for (source, target), button in places.copies.items():
        to_editor = isinstance(form[img2img.FIELDS[target]], gr.ImageEditor)
        carry = functools.partial(copied, to_editor=to_editor)
        done = button.click(carry, [form[img2img.FIELDS[source]]], [form[img2img.FIELDS[target]]], **QUIET)
        done.success(_opener(target), None, [places.modes], **QUIET)
    sources = [form["mode"], *(form[name] for name in img2img.FIELDS)]
    places.detect.click(_of_mode(size), sources, [form["width"], form["height"]], **QUIET)
    for id, button in places.describe.items():
        button.click(
            _describer(services, DESCRIBERS[id], form["prompt"], words), sources, [form["prompt"], words], **QUIET
        )


def _opener(mode: int) -> Callable[[], Any]:
    return lambda: gr.update(selected=mode)


def _of_mode(act: Callable[[Any], Any]) -> Callable[..., Any]:
    """`act` on the picture of the mode that is open."""

    def take(mode: int | None, *values: Any) -> Any:
        return act(values[min(mode or 0, len(values) - 1)])

    return take


def _describer(services: Services, model: str, prompt: Any, words: Any) -> Callable[..., Any]:
    async def describe(mode: int | None, *values: Any) -> Updates:
        try:
            return {prompt: await described(services, values[min(mode or 0, len(values) - 1)], model), words: ""}
        except EaselError as error:
            return {words: markup.error(str(error))}

    return describe
