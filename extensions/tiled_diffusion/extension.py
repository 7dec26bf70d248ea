"""Tiled diffusion: MultiDiffusion (Bar-Tal et al. 2023) and Mixture of Diffusers (Barbero Jiménez 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.plugins.api import Argument, BadRequest, ExtensionApi, flag, number

METHODS = ("MultiDiffusion", "Mixture of Diffusers")
PARAMETERS = (
    flag("enabled", "Enable tiled diffusion", infotext="Tiled diffusion"),
    Argument(
        name="method",
        label="Method",
        kind="choice",
        default=METHODS[0],
        choices=METHODS,
        infotext="Tiled diffusion method",
        help="Tiles count alike where they overlap, or most in their middle.",
    ),
    number("width", "Tile width", 96, 16, 256, 8, infotext="Tiled diffusion tile width", help="In latents: 8 pixels."),
    number("height", "Tile height", 96, 16, 256, 8, infotext="Tiled diffusion tile height"),
    number("overlap", "Overlap", 48, 0, 248, 4, infotext="Tiled diffusion overlap"),
    number("batch", "Tiles at once", 4, 1, 16, 1, help="More are faster and need more memory."),
)


def register(app: ExtensionApi) -> None:
    def begin(*asked: Any) -> object:
        from . import tiled  # imports torch: not before a job asks for it

        return tiled.TiledDiffusion(*asked)

    app.always_on("Tiled diffusion", PARAMETERS, begin, check=check)


def check(values: Mapping[str, Any]) -> None:
    """Raises BadRequest for an overlap that leaves nothing of a tile."""
    least = min(values["width"], values["height"])
    if values["overlap"] >= least:
        message = f"Tiled diffusion: an overlap of {values['overlap']} leaves nothing of a tile of {least}: give less."
        raise BadRequest(message, field="Tiled diffusion")
