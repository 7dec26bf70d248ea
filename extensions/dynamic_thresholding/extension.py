"""Dynamic thresholding: a high CFG scale for composition, the look of a low one (mcmonkey's extension of that name)."""

from __future__ import annotations

from typing import Any

from modules.plugins.api import Argument, ExtensionApi, flag, number

MODES = (
    "Constant",
    "Linear Down",
    "Cosine Down",
    "Half Cosine Down",
    "Linear Up",
    "Cosine Up",
    "Half Cosine Up",
    "Power Up",
    "Power Down",
    "Linear Repeating",
    "Cosine Repeating",
    "Sawtooth",
)


def choice(name: str, label: str, choices: tuple[str, ...], infotext: str) -> Argument:
    return Argument(name=name, label=label, kind="choice", default=choices[0], choices=choices, infotext=infotext)


PARAMETERS = (
    flag("enabled", "Enable dynamic thresholding", infotext="Dynamic thresholding enabled"),
    number("mimic_scale", "Mimic CFG scale", 7.0, 0, 30, 0.5, infotext="Mimic scale"),
    number(
        "percentile",
        "Threshold percentile",
        1.0,
        0.9,
        1,
        0.001,
        infotext="Threshold percentile",
        help="Of the latents: what lies above is cut.",
    ),
    choice("mimic_mode", "Mimic scale scheduler", MODES, "Mimic mode"),
    number("mimic_least", "Least mimic scale", 0.0, 0, 30, 0.5, infotext="Mimic scale minimum"),
    choice("scale_mode", "CFG scale scheduler", MODES, "CFG mode"),
    number("scale_least", "Least CFG scale", 0.0, 0, 30, 0.5, infotext="CFG scale minimum"),
    number("power", "Scheduler value", 4.0, 0, 40, 0.5, infotext="Scheduler value"),
    flag("separate", "Separate feature channels", True, infotext="Separate Feature Channels"),
    choice("start", "Scaling startpoint", ("MEAN", "ZERO"), "Scaling Startpoint"),
    choice("measure", "Variability measure", ("AD", "STD"), "Variability Measure"),
    number("phi", "Interpolate phi", 1.0, 0, 1, 0.01, infotext="Interpolate Phi"),
)


def register(app: ExtensionApi) -> None:
    def begin(*asked: Any) -> object:
        from . import thresholding  # imports torch: not before a job asks for it

        return thresholding.Thresholding(*asked)

    app.always_on("Dynamic thresholding", PARAMETERS, begin)
