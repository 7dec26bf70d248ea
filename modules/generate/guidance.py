"""Classifier-free guidance: two predictions, one denoiser (Ho and Salimans 2022, https://arxiv.org/abs/2207.12598).

`guided(...)` wraps a model's prediction and a pair of conditionings into the `Denoiser` that samplers call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from modules.generate.moments import Guided, ModelAnswered, ModelCalled, Moments
from modules.loading.prediction import Predict


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuidancePolicy:
    """How to guide. scale: CFG scale, 1 = prompt only, in one forward a step. together: both predictions in one
    forward.

    pad: fill the shorter conditioning with empty chunks, so that both fit into one forward. Two ways to save forwards:
    below noise level min_uncond every second call leaves the negative prompt out (at every call if min_uncond_all);
    so do the calls of the first skip_early (0..1) of sampling.
    """

    scale: float
    together: bool = True
    pad: bool = False
    min_uncond: float = 0.0
    min_uncond_all: bool = False
    skip_early: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, Any], *, scale: float, min_uncond: float) -> GuidancePolicy:
        return cls(
            scale=scale,
            together=options["batch_cond_uncond"],
            pad=options["pad_cond_uncond"],
            min_uncond=min_uncond,
            min_uncond_all=options["s_min_uncond_all"],
            skip_early=options["skip_early_cond"],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conditioning:
    """What the pictures of a batch should and should not show, and an empty prompt to pad with.

    positive (B, tokens, width), negative (B, tokens', width), empty (1, 77, width).
    """

    positive: Tensor
    negative: Tensor
    empty: Tensor

    def padded(self) -> Conditioning:
        """Both filled to the same length with empty chunks."""
        tokens = max(self.positive.shape[1], self.negative.shape[1])
        return dataclasses.replace(
            self,
            positive=_filled(self.positive, self.empty, tokens),
            negative=_filled(self.negative, self.empty, tokens),
        )


class GuidedDenoiser:
    """A `Denoiser`. `notes` collects what was done beyond plain guidance, under A1111's infotext names."""

    def __init__(
        self, predict: Predict, conditioning: Conditioning, policy: GuidancePolicy, *, calls: int, moments: Moments
    ) -> None:
        self._predict = predict
        self._policy = policy
        self._calls = calls
        self._moments = moments
        self._call = 0
        self.notes: dict[str, Any] = {}
        self.positive: Tensor | None = None
        self.negative: Tensor | None = None
        uneven = conditioning.positive.shape[1] != conditioning.negative.shape[1]
        if policy.pad and uneven:
            self.notes["Pad conds"] = True
        self._conditioning = conditioning.padded() if policy.pad and uneven else conditioning

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x (B, C, H, W), sigma () -> guided guess of the clean latent (B, C, H, W)."""
        if self._moments.model_called:
            called = ModelCalled(x=x, sigma=sigma, conditioning=self._conditioning, call=self._call)
            self._moments.model_called.fire(called)
            x, conditioning = called.x, called.conditioning
        else:
            conditioning = self._conditioning
        alone = self._leaves_out_negative(sigma)
        self._call += 1
        positive, negative = self._both(x, sigma, conditioning, alone=alone)
        if self._moments.model_answered:
            answered = ModelAnswered(x=x, sigma=sigma, positive=positive, negative=negative)
            self._moments.model_answered.fire(answered)
            positive, negative = answered.positive, answered.negative
        self.positive, self.negative = positive, negative
        denoised = positive if negative is None else negative + (positive - negative) * self._policy.scale
        if self._moments.guided:
            guided = Guided(x=x, sigma=sigma, denoised=denoised)
            self._moments.guided.fire(guided)
            denoised = guided.denoised
        return denoised

    def _both(
        self, x: Tensor, sigma: Tensor, conditioning: Conditioning, *, alone: bool
    ) -> tuple[Tensor, Tensor | None]:
        positive, negative = conditioning.positive, conditioning.negative
        if alone:
            return self._predict(x, sigma, positive), None
        if self._policy.together and positive.shape[1] == negative.shape[1]:
            with_prompt, without = self._predict(torch.cat([x, x]), sigma, torch.cat([positive, negative])).chunk(2)
            return with_prompt, without
        return self._predict(x, sigma, positive), self._predict(x, sigma, negative)

    def _leaves_out_negative(self, sigma: Tensor) -> bool:
        policy = self._policy
        if policy.scale == 1:
            return True
        if policy.skip_early and self._call / self._calls <= policy.skip_early:
            self.notes["Skip Early CFG"] = policy.skip_early
            return True
        if policy.min_uncond and (self._call % 2 or policy.min_uncond_all) and float(sigma) < policy.min_uncond:
            self.notes["NGMS"] = policy.min_uncond
            if policy.min_uncond_all:
                self.notes["NGMS all steps"] = True
            return True
        return False


def _filled(conditioning: Tensor, empty: Tensor, tokens: int) -> Tensor:
    missing = (tokens - conditioning.shape[1]) // empty.shape[1]
    if not missing:
        return conditioning
    return torch.cat([conditioning, empty.repeat(conditioning.shape[0], missing, 1)], dim=1)
