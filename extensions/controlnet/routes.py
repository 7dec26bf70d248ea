"""The routes /controlnet/*, as the well-known extension has them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter
from PIL import Image
from pydantic import BaseModel, Field

from modules.core.errors import BadRequest
from modules.imaging.reading import read_picture

from . import catalogue, pictures, preprocessors
from .files import Files
from .units import Unit, decoded

VERSION = 3
"""Of this interface, as clients ask for it."""


class Detect(BaseModel):
    """What /controlnet/detect takes. Pictures are base64."""

    controlnet_module: str = Field(default="none", title="Controlnet Module")
    controlnet_input_images: list[str] = Field(default=[], title="Controlnet Input Images")
    controlnet_processor_res: int = Field(default=-1, title="Controlnet Processor Resolution")
    controlnet_threshold_a: float = Field(default=-1, title="Controlnet Threshold a")
    controlnet_threshold_b: float = Field(default=-1, title="Controlnet Threshold b")
    controlnet_masks: list[str] = Field(default=[], title="Controlnet Masks")
    low_vram: bool = Field(default=False, title="Low vram")


def router(files: Files, count: Callable[[], int]) -> APIRouter:
    """count: how many units the page has."""
    made = APIRouter(prefix="/controlnet", tags=["ControlNet"])

    @made.get("/version")
    def version() -> dict[str, int]:
        return {"version": VERSION}

    @made.get("/model_list")
    def model_list(update: bool = True) -> dict[str, list[str]]:
        return {"model_list": files.names(update=update)}

    @made.get("/module_list")
    def module_list(alias_names: bool = False) -> dict[str, Any]:
        table = {(each.label if alias_names else each.name): each for each in preprocessors.TABLE}
        details = {name: catalogue.detail(each) for name, each in table.items()}
        return {"module_list": list(table), "module_detail": details}

    @made.get("/control_types")
    def control_types() -> dict[str, Any]:
        names = files.names()
        return {"control_types": {kind: catalogue.entry(kind, names) for kind in catalogue.types()}}

    @made.get("/settings")
    def settings() -> dict[str, int]:
        return {"control_net_unit_count": count()}

    @made.post("/detect")
    def detect(body: Detect) -> dict[str, Any]:
        return {"info": "Success", "images": [_base64(image) for image in detected(body)]}

    return made


def detected(body: Detect) -> list[Image.Image]:
    """The maps of a request's pictures. Raises BadRequest, NotFound."""
    way = preprocessors.find(body.controlnet_module, field="controlnet_module")
    if way.encodes:
        raise BadRequest(f"controlnet_module: {way.label} makes no picture.", field="controlnet_module")
    given, drawn = body.controlnet_input_images, body.controlnet_masks
    if not given:
        raise BadRequest("controlnet_input_images: no picture is given.", field="controlnet_input_images")
    if way.masked and len(drawn) != len(given):
        raise BadRequest(f"controlnet_masks: {way.label} wants a mask for each picture.", field="controlnet_masks")
    unit = Unit(
        module=way.name,
        processor_res=body.controlnet_processor_res,
        threshold_a=body.controlnet_threshold_a,
        threshold_b=body.controlnet_threshold_b,
    )
    opened = [_opened(each, "controlnet_input_images") for each in given]
    masks = [_opened(each, "controlnet_masks") for each in drawn] if way.masked else [None] * len(opened)
    return [mapped(image, mask, unit) for image, mask in zip(opened, masks, strict=True)]


def mapped(image: Image.Image, mask: Image.Image | None, unit: Unit) -> Image.Image:
    """A picture's map, for people. Raises BadRequest where the mask has another shape."""
    way = preprocessors.find(unit.module)
    if mask is not None or way.masked:
        return pictures.Map(pixels=way(pictures.joined(image, mask), unit)).picture
    return pictures.Map(pixels=way(np.asarray(image.convert("RGB")), unit)).picture


def _opened(text: str, field: str) -> Image.Image:
    return read_picture(decoded(text, field), field=field)


def _base64(image: Image.Image) -> str:
    target = io.BytesIO()
    image.save(target, format="PNG")
    return base64.b64encode(target.getvalue()).decode("ascii")
