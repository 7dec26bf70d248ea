"""Perturbed attention guidance (Ahn et al. 2024, arXiv 2403.17377)."""

from __future__ import annotations

from typing import Any

from modules.plugins.api import ExtensionApi, flag, number

PARAMETERS = (
    flag("enabled", "Enable perturbed attention guidance", infotext="PAG Active", help="A third model call a step."),
    number("scale", "PAG scale", 3.0, 0, 30, 0.1, infotext="PAG Scale"),
    number("start", "From share of steps", 0, 0, 1, 0.01, infotext="PAG Start"),
    number("end", "To share of steps", 1, 0, 1, 0.01, infotext="PAG End"),
)


def register(app: ExtensionApi) -> None:
    def begin(*asked: Any) -> object:
        from . import guidance  # imports torch: not before a job asks for it

        return guidance.PerturbedAttention(*asked)

    app.always_on("Perturbed attention guidance", PARAMETERS, begin)
