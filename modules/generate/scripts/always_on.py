"""The scripts that A1111 runs with every request. Through the API their arguments change nothing there (the request has
fields for all of it), so they are known, listed and checked, no more; but for soft inpainting, which has no fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modules.core.errors import BadRequest
from modules.generate.scripts.registry import AlwaysOn, Argument, Menus, Tab

SOFT = "soft inpainting"
NO_MENUS = Menus(samplers=tuple, schedulers=tuple, checkpoints=tuple, find_checkpoint=str)
"""For arguments that offer no names."""


def builtin() -> list[AlwaysOn]:
    """A1111's, in its order."""
    return [
        AlwaysOn(title="Extra options", name="extra options"),
        AlwaysOn(title="Hypertile", name="Hypertile", arguments=None),
        AlwaysOn(
            title="Soft Inpainting",
            name=SOFT,
            arguments=_soft_inpainting,
            tabs=("img2img",),
            check=_check_soft_inpainting,
        ),
        AlwaysOn(title="Refiner", name="refiner", arguments=_refiner),
        AlwaysOn(title="Sampler", name="sampler", arguments=_sampler),
        AlwaysOn(title="Seed", name="seed", arguments=_seed),
    ]


def _number(name: str, label: str, default: float, least: float, most: float, step: float) -> Argument:
    return Argument(name=name, label=label, kind="float", default=default, minimum=least, maximum=most, step=step)


def _soft_inpainting(tab: Tab, menus: Menus) -> list[Argument]:
    return [
        Argument(name="enabled", label="Soft inpainting", kind="bool", default=False),
        _number("power", "Schedule bias", 1, 0, 8, 0.1),
        _number("scale", "Preservation strength", 0.5, 0, 8, 0.05),
        _number("detail_preservation", "Transition contrast boost", 4, 1, 32, 0.5),
        _number("mask_influence", "Mask influence", 0, 0, 1, 0.05),
        _number("difference_threshold", "Difference threshold", 0.5, 0, 8, 0.25),
        _number("difference_contrast", "Difference contrast", 2, 0, 8, 0.25),
    ]


def soft_inpainting(asked: Mapping[str, Any]) -> tuple[float, ...]:
    """The numbers for `Img2Img.soft_inpainting` out of `alwayson_scripts`; () where it is not asked for. BadRequest."""
    for name, body in asked.items():
        if name.strip().lower() == SOFT and isinstance(body, dict):
            return _soft_numbers(body.get("args", []))
    return ()


def _soft_numbers(values: Sequence[Any]) -> tuple[float, ...]:
    first, *arguments = _soft_inpainting("img2img", NO_MENUS)
    field = "alwayson_scripts"
    if not values or not first.read(values[0], field=field):
        return ()
    given = [*values[1:], *[None] * len(arguments)]
    numbers = []
    for argument, value in zip(arguments, given, strict=False):
        number = argument.read(value, field=field)
        if number < (argument.minimum or 0):
            message = f"{field}: {argument.label} must be at least {argument.minimum:g}, not {number:g}."
            raise BadRequest(message, field=field)
        numbers.append(value if isinstance(value, int) else number)  # infotexts show whole numbers as they came
    return tuple(numbers)


def _check_soft_inpainting(values: Sequence[Any]) -> None:
    _soft_numbers(values)


def _refiner(tab: Tab, menus: Menus) -> list[Argument]:
    return [
        Argument(name="enabled", label="Refiner", kind="bool", default=False),
        Argument(name="checkpoint", label="Checkpoint", kind="choice", default="", choices=tuple(menus.checkpoints())),
        _number("switch_at", "Switch at", 0.8, 0.01, 1.0, 0.01),
    ]


def _sampler(tab: Tab, menus: Menus) -> list[Argument]:
    samplers, schedulers = tuple(menus.samplers()), tuple(menus.schedulers())
    steps = Argument(name="steps", label="Sampling steps", kind="int", default=20, minimum=1, maximum=150, step=1)
    first = samplers[0] if samplers else ""
    return [
        steps,
        Argument(name="sampler", label="Sampling method", kind="choice", default=first, choices=samplers),
        Argument(name="scheduler", label="Schedule type", kind="choice", default="Automatic", choices=schedulers),
    ]


def _seed(tab: Tab, menus: Menus) -> list[Argument]:
    return [
        Argument(name="seed", label="Seed", kind="int", default=-1, step=1),
        Argument(name="extra", label="Extra", kind="bool", default=False),
        Argument(name="subseed", label="Variation seed", kind="int", default=-1, step=1),
        _number("subseed_strength", "Variation strength", 0.0, 0, 1, 0.01),
        _number("resize_from_w", "Resize seed from width", 0, 0, 2048, 8),
        _number("resize_from_h", "Resize seed from height", 0, 0, 2048, 8),
    ]
