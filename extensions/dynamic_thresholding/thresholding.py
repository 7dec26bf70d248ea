"""Dynamic thresholding of latents, after Saharia et al. 2022 (https://arxiv.org/abs/2205.11487, section 2.3) and
mcmonkey's extension, whose parameters it has: guidance at a high scale, its spread that of a lower one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from modules.generate.moments import Guided, ModelCalled, Sampling

MODES: Mapping[str, Callable[[float, float], float]] = {
    "Constant": lambda share, power: 1.0,
    "Linear Down": lambda share, power: 1 - share,
    "Cosine Down": lambda share, power: math.cos(share * math.pi / 2),
    "Half Cosine Down": lambda share, power: math.cos(share),
    "Linear Up": lambda share, power: share,
    "Cosine Up": lambda share, power: 1 - math.cos(share * math.pi / 2),
    "Half Cosine Up": lambda share, power: 1 - math.cos(share),
    "Power Up": lambda share, power: share**power,
    "Power Down": lambda share, power: 1 - share**power,
    "Linear Repeating": lambda share, power: abs(0.5 - share * power % 1) * 2,
    "Cosine Repeating": lambda share, power: 0.5 + 0.5 * math.cos(share * math.tau * power),
    "Sawtooth": lambda share, power: share * power % 1,
}
"""(share of the calls that are done, power) -> how much of the scale above its least."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Threshold:
    """percentile 0..1 of the pixels that stay as they are; separate: each channel by itself; zero: latents are scaled
    about 0, not about their mean; deviation: spread is the standard deviation, not the largest distance; phi 0..1: how
    much of the result is mixed in.
    """

    percentile: float = 1.0
    separate: bool = True
    zero: bool = False
    deviation: bool = False
    phi: float = 1.0


class Thresholding:
    """The listeners of one job."""

    def __init__(self, values: Mapping[str, Any], studio: object, request: object) -> None:
        self._values = values
        self._share, self._calls = 0.0, 1
        self._threshold = Threshold(
            percentile=values["percentile"],
            separate=values["separate"],
            zero=values["start"] == "ZERO",
            deviation=values["measure"] == "STD",
            phi=values["phi"],
        )

    def sampling(self, event: Sampling) -> None:
        self._calls = event.plan.calls

    def model_called(self, event: ModelCalled) -> None:
        self._share = min(event.call / max(self._calls - 1, 1), 1.0)

    def guided(self, event: Guided) -> None:
        if event.negative is None or event.scale == 0:
            return
        pull = (event.denoised - event.negative) / event.scale  # prompts with weights are in it
        scale, mimic = self._scheduled("scale", event.scale), self._scheduled("mimic", self._values["mimic_scale"])
        event.denoised = thresholded(event.negative, pull, scale, mimic, self._threshold)

    def _scheduled(self, name: str, most: float) -> float:
        values = self._values
        least = values[f"{name}_least"]
        return scheduled(values[f"{name}_mode"], self._share, values["power"], least, most)


def scheduled(mode: str, share: float, power: float, least: float, most: float) -> float:
    """A scale at a share (0..1) of sampling; a constant one is `most`."""
    return most if mode == "Constant" else least + (most - least) * MODES[mode](share, power)


def thresholded(negative: Tensor, pull: Tensor, scale: float, mimic: float, how: Threshold) -> Tensor:
    """negative + pull * scale with the spread of negative + pull * mimic; all (B, C, H, W)."""
    shape, guided = negative.shape, negative + pull * scale
    target, wanted = guided.flatten(2), (negative + pull * mimic).flatten(2)
    means = target.mean(dim=2, keepdim=True)
    centred, aim = target - means, wanted - wanted.mean(dim=2, keepdim=True)
    axes = (2,) if how.separate else (1, 2)
    wide, narrow = _spread(centred, axes, how, cut=how.percentile), _spread(aim, axes, how, cut=1.0)
    if how.zero:
        result = target * (narrow / wide)
    elif how.deviation:
        result = centred / wide * narrow + means
    else:
        edge = torch.maximum(wide, narrow)
        result = centred.clamp(-edge, edge) / edge * narrow + means
    result = result.reshape(shape)
    return result if how.phi == 1 else torch.lerp(guided, result, how.phi)


def _spread(centred: Tensor, axes: tuple[int, ...], how: Threshold, *, cut: float) -> Tensor:
    """(B, C or 1, 1), never 0."""
    if how.deviation:
        found = centred.std(dim=axes, keepdim=True)
    elif cut >= 1:
        found = centred.abs().amax(dim=axes, keepdim=True)
    else:
        flat = centred.abs() if len(axes) == 1 else centred.abs().flatten(1).unsqueeze(1)
        found = torch.quantile(flat.float(), cut, dim=2, keepdim=True).to(centred.dtype)
    return found.clamp(min=1e-8)
