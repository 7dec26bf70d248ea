"""Models that edit a picture: a second scale says how closely they keep to it (InstructPix2Pix, Brooks et al. 2023,
https://arxiv.org/abs/2211.09800, eq. 3). `sampling` wraps with it.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from modules.core.types import GuidedDenoise
from modules.generate.guidance import Program
from modules.loading.prediction import Predict


class Edited:
    """A `GuidedDenoise`. Of what is guided towards the prompt, shown the picture at all times, it keeps `scale` times
    what the picture alone makes of it: one more forward a call, with neither prompt nor picture.
    """

    def __init__(self, denoise: GuidedDenoise, predict: Predict, program: Program, scale: float) -> None:
        self._denoise = denoise
        self._predict = predict
        self._program = program
        self._scale = scale
        self._call = 0

    @property
    def positive(self) -> Tensor | None:
        return self._denoise.positive

    @property
    def negative(self) -> Tensor | None:
        return self._denoise.negative

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x (B, C, H, W), sigma () -> guess of the clean latent (B, C, H, W)."""
        guided = self._denoise(x, sigma)
        given = self._program.at(self._call).negative
        self._call += 1
        if self._denoise.negative is None or given.concat is None:
            return guided
        without = self._predict(x, sigma, dataclasses.replace(given, concat=torch.zeros_like(given.concat)))
        return guided + (self._scale - 1) * (self._denoise.negative - without)


def steered(denoise: GuidedDenoise, predict: Predict, program: Program, scale: float | None) -> GuidedDenoise:
    """With the picture's own scale, where there is one that makes a difference."""
    return denoise if scale in (None, 1) else Edited(denoise, predict, program, scale or 0.0)
