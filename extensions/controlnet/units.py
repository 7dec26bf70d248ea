"""What a request asks of one unit, in the names of the well-known extension. Imports no torch: the web reads requests.

`Unit.read` takes the dict of a request, of a job or of an infotext; `accepted` makes of a request's dicts what a job
keeps: pictures become names in the studio's inputs.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from modules.core.errors import BadRequest, unknown
from modules.core.types import JsonObject
from modules.imaging.inputs import Inputs

MOST = 10
"""Units that a request may bring; the page shows as many as the setting `control_net_unit_count` says."""
RESIZE = ("Just Resize", "Crop and Resize", "Resize and Fill")
MODES = ("Balanced", "My prompt is more important", "ControlNet is more important")
BALANCED, PROMPT, CONTROL = MODES
HIRES = ("Both", "Low res only", "High res only")
_OLD_RESIZE = {
    "Inner Fit (Scale to Fit)": RESIZE[1],
    "Scale to Fit (Inner Fit)": RESIZE[1],
    "Outer Fit (Shrink to Fit)": RESIZE[2],
    "Envelope (Outer Fit)": RESIZE[2],
}
_OLD = {"guidance": "guidance_end", "lowvram": "low_vram", "input_image": "image", "mask_image": "mask"}
_KEPT = {"image", "mask", "effective_region_mask"}
"""Fields that hold pictures."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unit:
    """module: the preprocessor; model: a file's name, "None" for none. weight 0..2; image, mask, effective_region_mask:
    names of pictures in the studio's inputs, None for none. processor_res in pixels, threshold_a and threshold_b: the
    preprocessor's sliders; a number out of its range (-1) means its default. guidance_start, guidance_end: from which
    share of the steps to which, 0..1. pixel_perfect: processor_res follows from the picture's size.
    """

    enabled: bool = True
    module: str = "none"
    model: str = "None"
    weight: float = 1.0
    image: str | None = None
    mask: str | None = None
    effective_region_mask: str | None = None
    resize_mode: str = RESIZE[1]
    low_vram: bool = False
    processor_res: int = -1
    threshold_a: float = -1
    threshold_b: float = -1
    guidance_start: float = 0.0
    guidance_end: float = 1.0
    pixel_perfect: bool = False
    control_mode: str = BALANCED
    inpaint_crop_input_image: bool = True
    hr_option: str = HIRES[0]
    save_detected_map: bool = True
    advanced_weighting: tuple[float, ...] | None = None

    @classmethod
    def read(cls, values: object, *, field: str = "controlnet") -> Unit | None:
        """None for a unit that is off or not there; unknown fields are passed over. Raises BadRequest."""
        if values is None or values is False or values == {}:
            return None
        if not isinstance(values, Mapping):
            raise BadRequest(
                f"{field}: a unit is an object with module, model, image …, not {_short(values)}.", field=field
            )
        given = _renamed(values, field)
        if not _switch(given.get("enabled", True), f"{field}.enabled"):
            return None
        known = {each.name: each.default for each in dataclasses.fields(cls)}
        found: dict[str, Any] = {}
        for name, value in given.items():
            if name in known and value is not None:
                found[name] = _read(name, value, known[name], f"{field}.{name}")
        unit = cls(**found)
        if unit.guidance_start > unit.guidance_end:
            wrong = f"guidance_start ({unit.guidance_start:g}) is above guidance_end ({unit.guidance_end:g})."
            raise BadRequest(f"{field}: {wrong}", field=field)
        return unit


def with_model(unit: Unit) -> Unit:
    """A unit whose preprocessor wants a network. Raises BadRequest where none is chosen."""
    if unit.model.strip().casefold() in ("", "none"):
        raise BadRequest("ControlNet: a unit is on and has no model. Choose one or switch it off.", field="model")
    return unit


def accepted(values: Sequence[Any], inputs: Inputs) -> list[Any]:
    """A request's `args` as a job keeps them. Flags that older callers sent first are left out. Raises BadRequest."""
    units = [value for value in values if not isinstance(value, bool)]
    if len(units) > MOST:
        raise BadRequest(f"controlnet: at most {MOST} units, not {len(units)}.", field="controlnet")
    return [_kept(value, inputs, f"controlnet.args[{number}]") for number, value in enumerate(units)]


def _kept(values: Any, inputs: Inputs, field: str) -> JsonObject | None:
    if Unit.read(values, field=field) is None:
        return None
    given = _renamed(values, field)
    if isinstance(given.get("ipadapter_input"), list | str):
        wrong = "ipadapter_input holds pickled tensors, which are not read here. Give the picture as image."
        raise BadRequest(f"{field}: {wrong}", field=field)
    return {name: _name(value, inputs, f"{field}.{name}") if name in _KEPT else value for name, value in given.items()}


def _renamed(values: Mapping[str, Any], field: str) -> dict[str, Any]:
    """With today's names, and the mask of a picture beside it."""
    given: dict[str, Any] = {}
    for name, value in values.items():
        new = _OLD.get(name, name)
        if given.get(new) is not None and value is not None:
            raise BadRequest(f"{field}: {name} and {new} say the same; send one.", field=field)
        given[new] = value if value is not None else given.get(new)
    image = given.get("image")
    if isinstance(image, list | tuple):
        image = _of_list(image, field)
    if isinstance(image, Mapping):
        given["image"] = image.get("image")
        if image.get("mask") is not None:
            given["mask"] = image["mask"]
    else:
        given["image"] = image
    for name in _KEPT:
        if given.get(name) == "":
            given[name] = None
    return given


def _of_list(image: Sequence[Any], field: str) -> Any:
    """[picture, mask], or a list of one {"image", "mask"}."""
    if len(image) == 1 and isinstance(image[0], Mapping | str):
        return image[0]
    if len(image) == 2 and not any(isinstance(each, Mapping) for each in image):
        return {"image": image[0], "mask": image[1]}
    wrong = f"image is one picture, [picture, mask] or one {{image, mask}}; here it is a list of {len(image)}."
    raise BadRequest(f"{field}: {wrong} Take one unit for each picture.", field=field)


def _name(value: Any, inputs: Inputs, field: str) -> str | None:
    """A picture's name in the inputs; a name that is there already stays."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"{field}: wants a picture in base64, not {_short(value)}.", field=field)
    if len(value) == 64 and (inputs.folder / value).is_file():
        return value
    return inputs.add(decoded(value, field), field=field)


def decoded(text: str, field: str) -> bytes:
    """A picture in base64, with or without "data:image/png;base64,". Raises BadRequest."""
    _, _, body = text.partition(",") if text.startswith("data:") else ("", "", text)
    try:
        return base64.b64decode(body, validate=False)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{field}: this is not base64 ({error}).", field=field) from error


_RANGES = {"weight": (0, 2), "guidance_start": (0, 1), "guidance_end": (0, 1)}
_CHOICES = {"resize_mode": RESIZE, "control_mode": MODES, "hr_option": HIRES}


def _read(name: str, value: Any, default: Any, field: str) -> Any:
    if name in _CHOICES:
        return _choice(_OLD_RESIZE.get(value, value) if isinstance(value, str) else value, _CHOICES[name], field)
    if name == "advanced_weighting":
        if not isinstance(value, list | tuple):
            raise BadRequest(f"{field}: wants a list of numbers, not {_short(value)}.", field=field)
        return tuple(_number(each, field) for each in value) or None
    if isinstance(default, bool):
        return _switch(value, field)
    if isinstance(default, int | float):
        number = _number(value, field)
        least, most = _RANGES.get(name, (number, number))
        if not least <= number <= most:
            raise BadRequest(f"{field}: must be {least} to {most}, not {number:g}.", field=field)
        return int(number) if name == "processor_res" else number
    if not isinstance(value, str):
        raise BadRequest(f"{field}: wants text, not {_short(value)}.", field=field)
    return value


def _choice(value: Any, choices: Sequence[str], field: str) -> str:
    """A label in any case, or its number."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        return choices[value]
    folded = {choice.casefold(): choice for choice in choices}
    found = folded.get(value.casefold()) if isinstance(value, str) else None
    if found is None:
        raise BadRequest(f"{field}: {unknown('Choice', str(value), choices)}", field=field)
    return found


def _switch(value: Any, field: str) -> bool:
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise BadRequest(f"{field}: wants true or false, not {_short(value)}.", field=field)


def _number(value: Any, field: str) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError):
        raise BadRequest(f"{field}: wants a number, not {_short(value)}.", field=field) from None
    if not abs(number) < 1e9:
        raise BadRequest(f"{field}: is too large or no number.", field=field)
    return number


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
