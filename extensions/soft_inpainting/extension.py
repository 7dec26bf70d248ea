"""Soft inpainting, with the parameters and the infotext of A1111's built-in extension."""

from __future__ import annotations

from typing import Any

from modules.plugins.api import ExtensionApi, flag, number

PARAMETERS = (
    flag("enabled", "Soft inpainting", infotext="Soft inpainting enabled"),
    number(
        "bias",
        "Schedule bias",
        1,
        0,
        8,
        0.1,
        infotext="Soft inpainting schedule bias",
        help="Above 1 the old picture is kept more in early steps, below 1 in late ones.",
    ),
    number(
        "strength",
        "Preservation strength",
        0.5,
        0,
        8,
        0.05,
        infotext="Soft inpainting preservation strength",
        help="How much partly masked parts keep of the old picture.",
    ),
    number(
        "boost",
        "Transition contrast boost",
        4,
        1,
        32,
        0.5,
        infotext="Soft inpainting transition contrast boost",
        help="Gives back the contrast that mixing loses.",
    ),
    number("influence", "Mask influence", 0, 0, 1, 0.05, infotext="Soft inpainting mask influence"),
    number("threshold", "Difference threshold", 0.5, 0, 8, 0.25, infotext="Soft inpainting difference threshold"),
    number("contrast", "Difference contrast", 2, 0, 8, 0.25, infotext="Soft inpainting difference contrast"),
)


def register(app: ExtensionApi) -> None:
    def begin(*asked: Any) -> object | None:
        from . import soft  # imports torch: not before a job asks for it

        return soft.begin(*asked)

    app.always_on("Soft Inpainting", PARAMETERS, begin, tabs=("img2img",))
