"""Inpainting while sampling: a denoiser that keeps a picture where the mask says so. `sampling` wraps with it.

Latents of the picture are put back after each guess; samplers in scaled coordinates (DDIM and its kin) have them put
back before it, as in A1111, and without noise.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from modules.core.types import GuidedDenoise
from modules.generate.moments import MaskBlending, Moments


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """The picture's latents (B, C, H, W), the mask (1 or B, 1 or C, H, W), 1 = may change, and who may step in."""

    picture: Tensor
    mask: Tensor
    moments: Moments

    def put_back(self, current: Tensor, sigma: Tensor | None) -> Tensor:
        """current (B, C, H, W) where the mask is 1, the picture where it is 0. sigma (): the level; None at the end."""
        blended = current * self.mask + self.picture * (1 - self.mask)
        if not self.moments.mask_blending:
            return blended
        event = MaskBlending(current=current, picture=self.picture, mask=self.mask, blended=blended, sigma=sigma)
        self.moments.mask_blending.fire(event)
        return event.blended


class After:
    """A `GuidedDenoise` whose guesses keep the picture."""

    def __init__(self, denoise: GuidedDenoise, kept: Kept) -> None:
        self._denoise = denoise
        self._kept = kept

    @property
    def positive(self) -> Tensor | None:
        return self._denoise.positive

    @property
    def negative(self) -> Tensor | None:
        return self._denoise.negative

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self._kept.put_back(self._denoise(x, sigma), sigma)


class Before:
    """A `GuidedDenoise` that asks about latents with the picture in them: what is seen there as noise is then taken
    from x. In coordinates scaled by sqrt(1 + sigma^2), in which the clean picture is laid over x.
    """

    def __init__(self, denoise: GuidedDenoise, kept: Kept) -> None:
        self._denoise = denoise
        self._kept = kept
        self._shift: Tensor | None = None

    @property
    def positive(self) -> Tensor | None:
        return self._shifted(self._denoise.positive)

    @property
    def negative(self) -> Tensor | None:
        return self._shifted(self._denoise.negative)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        scale = (1 + sigma**2) ** 0.5
        asked = self._kept.put_back(x / scale, sigma) * scale
        self._shift = x - asked
        return self._denoise(asked, sigma) + self._shift

    def _shifted(self, guess: Tensor | None) -> Tensor | None:
        return guess if guess is None or self._shift is None else guess + self._shift
