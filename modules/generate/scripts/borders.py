"""How much outpainting adds on each side, so that the whole comes out in steps of 64 pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection

from modules.core.errors import BadRequest

SIDES = ("left", "right", "up", "down")
STEP = 64
MOST = 4096
"""Pixels on one side."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Borders:
    """Pixels on each side."""

    left: int = 0
    right: int = 0
    up: int = 0
    down: int = 0

    @classmethod
    def around(cls, size: tuple[int, int], *, pixels: int, sides: Collection[str]) -> Borders:
        """About `pixels` on each of the sides around a picture of `size` (width, height)."""
        left, right = _spread(size[0], *(pixels if side in sides else 0 for side in ("left", "right")))
        up, down = _spread(size[1], *(pixels if side in sides else 0 for side in ("up", "down")))
        return cls(left=left, right=right, up=up, down=down)


def refuse(pixels: int, blur: int, sides: Collection[str]) -> None:
    """Raises BadRequest for what cannot be done."""
    if not 0 < pixels <= MOST:
        raise BadRequest(f"script_args: pixels to expand must be 1 to {MOST}, not {pixels}.", field="script_args")
    if not 0 <= blur <= 1024:
        raise BadRequest(f"script_args: the mask blur must be 0 to 1024, not {blur}.", field="script_args")
    if not sides:
        raise BadRequest("script_args: choose a direction: left, right, up or down.", field="script_args")


def _spread(length: int, before: int, behind: int) -> tuple[int, int]:
    """The room up to the next multiple of 64, shared out as asked; what is not asked for stays 0."""
    room = math.ceil((length + before + behind) / STEP) * STEP - length
    if before:
        before = before * room // (before + behind)
    if behind:
        behind = room - before
    return before, behind
