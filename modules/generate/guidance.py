"""Classifier-free guidance: two predictions, one denoiser (Ho and Salimans 2022, https://arxiv.org/abs/2207.12598).

`GuidedDenoiser` wraps a model's prediction and what the prompts say into the `Denoiser` that samplers call. A prompt
may change from call to call (`Scheduled`) and be made of several with weights, as in composable diffusion (Liu et al.
2022, https://arxiv.org/abs/2206.01714, eq. 11): denoised = negative + sum of weight * scale * (prompt - negative).
`generate.run` fills a `Program` from the prompts; `Conditioning` is what holds at one call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from modules.generate.moments import Guided, ModelAnswered, ModelCalled, Moments
from modules.loading.prediction import Given, Predict
from modules.loading.text import Encoding


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuidancePolicy:
    """How to guide. scale: CFG scale, 1 = prompt only, in one forward a step. together: both predictions in one
    forward.

    pad: "empty" fills the shorter conditioning with empty chunks, so that both fit into one forward; "v0" instead gives
    the negative one the length of the other, by repeating its last vector or by cutting it; "" leaves them. Two ways to
    save forwards: below noise level min_uncond every second call leaves the negative prompt out (at every call if
    min_uncond_all); so do the calls of the first skip_early (0..1) of sampling. both: scale 1 is no reason to.
    """

    scale: float
    together: bool = True
    pad: str = ""
    min_uncond: float = 0.0
    min_uncond_all: bool = False
    skip_early: float = 0.0
    both: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any], *, scale: float, min_uncond: float, both: bool = False) -> GuidancePolicy:
        return cls(
            scale=scale,
            together=options["batch_cond_uncond"],
            pad="v0" if options["pad_cond_uncond_v0"] else "empty" if options["pad_cond_uncond"] else "",
            min_uncond=min_uncond,
            min_uncond_all=options["s_min_uncond_all"],
            skip_early=options["skip_early_cond"],
            both=both,
        )


@dataclasses.dataclass(frozen=True)
class Scheduled:
    """A prompt that changes: entries (last call, what its text says) in order; calls count from 0."""

    entries: tuple[tuple[int, Encoding], ...]

    def at(self, call: int) -> Encoding:
        return self.entries[self.index(call)][1]

    def index(self, call: int) -> int:
        """Which entry holds at a call. Beyond the last one the first holds again, as in A1111."""
        ends = (number for number, (end, _) in enumerate(self.entries) if call <= end)
        return next(ends, 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conditioning:
    """What the pictures of a batch should and should not show at one call, and an empty prompt to pad with.

    positive (P rows): the prompts of all pictures, one or more each; owners (P,): whose they are, in order; weights
    (P,); negative (B rows); empty (1, 77, width).
    """

    positive: Given
    negative: Given
    empty: Tensor
    owners: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def simple(self) -> bool:
        """Whether each picture has one prompt of weight 1."""
        return len(self.owners) == len(self.negative) and set(self.weights) == {1.0}

    @property
    def balanced(self) -> bool:
        """Whether each picture's weights sum to 1: at scale 1 the negative prompt then does not matter."""
        sums = [0.0] * len(self.negative)
        for owner, weight in zip(self.owners, self.weights, strict=True):
            sums[owner] += weight
        return all(total == 1 for total in sums)

    def padded(self, way: str) -> Conditioning:
        """Both of the same length: see `GuidancePolicy`."""
        positive, negative = self.positive.context, self.negative.context
        tokens, others = positive.shape[1], negative.shape[1]
        if way == "v0":
            return self._with(positive, _repeated(negative, tokens)[:, :tokens])
        most = max(tokens, others)
        return self._with(_filled(positive, self.empty, most), _filled(negative, self.empty, most))

    def _with(self, positive: Tensor, negative: Tensor) -> Conditioning:
        """The same with these contexts."""
        return dataclasses.replace(
            self,
            positive=dataclasses.replace(self.positive, context=positive),
            negative=dataclasses.replace(self.negative, context=negative),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """What a batch's prompts say at every call. prompts: for each picture its prompts with their weights.

    ids: numbers that go with a prompt and with a negative one, (n,) each; concat (B, C', H, W): further input channels.
    """

    prompts: tuple[tuple[tuple[Scheduled, float], ...], ...]
    negatives: tuple[Scheduled, ...]
    empty: Tensor
    ids: tuple[Tensor, Tensor] | None = None
    concat: Tensor | None = None

    def indices(self, call: int) -> tuple[int, ...]:
        """The entries that hold at a call: equal for two calls when nothing changes between them."""
        prompts = (prompt.index(call) for picture in self.prompts for prompt, _ in picture)
        return (*prompts, *(prompt.index(call) for prompt in self.negatives))

    def at(self, call: int) -> Conditioning:
        prompts = [(owner, *each) for owner, picture in enumerate(self.prompts) for each in picture]
        owners = tuple(owner for owner, _, _ in prompts)
        positive, negative = self.ids or (None, None)
        return Conditioning(
            positive=_given([prompt.at(call) for _, prompt, _ in prompts], positive, self._channels(owners), True),
            negative=_given([prompt.at(call) for prompt in self.negatives], negative, self.concat, False),
            empty=self.empty,
            owners=owners,
            weights=tuple(weight for _, _, weight in prompts),
        )

    def _channels(self, owners: tuple[int, ...]) -> Tensor | None:
        return None if self.concat is None else self.concat[list(owners)]


class GuidedDenoiser:
    """A `Denoiser`. `notes` collects what was done beyond plain guidance, under A1111's infotext names.

    calls: how often it is expected to be asked; measure: what of a noise level () `GuidancePolicy.min_uncond` is
    compared with (A1111's timestep samplers go by model time).

    positive, negative: the newest guesses (B, C, H, W) with the first prompt of each picture and with the negative one.
    """

    def __init__(
        self,
        predict: Predict,
        program: Program,
        policy: GuidancePolicy,
        *,
        calls: int,
        moments: Moments,
        measure: Callable[[Tensor], float] = float,
    ) -> None:
        self._predict = predict
        self._program = program
        self._policy = policy
        self._calls = calls
        self._moments = moments
        self._measure = measure
        self._call = 0
        self._indices = program.indices(0)
        self.notes: dict[str, Any] = {}
        self.positive: Tensor | None = None
        self.negative: Tensor | None = None
        self._conditioning = self._fitted(program.at(0))

    @property
    def facts(self) -> dict[str, Any]:
        """`notes` in A1111's order: it writes how prompts were padded last."""
        last = {name: value for name, value in self.notes.items() if name.startswith("Pad conds")}
        return {name: value for name, value in self.notes.items() if name not in last} | last

    @property
    def calls(self) -> int:
        """How often the model was asked."""
        return self._call

    def hand_over(self, predict: Predict, program: Program) -> None:
        """From now on ask another model, with what its encoders say of the prompts; calls go on counting."""
        self._predict, self._program = predict, program
        self._indices = program.indices(self._call)
        self._conditioning = self._fitted(program.at(self._call))

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x (B, C, H, W), sigma () -> guided guess of the clean latent (B, C, H, W)."""
        conditioning, rows = self._current(), None
        if self._moments.model_called:
            called = ModelCalled(x=x, sigma=sigma, conditioning=conditioning, call=self._call)
            self._moments.model_called.fire(called)
            x, sigma, conditioning, rows = called.x, called.sigma, called.conditioning, called.rows
        alone = self._leaves_out_negative(sigma, conditioning)
        self._call += 1
        positive, negative = self._both(x, sigma, conditioning, rows, alone=alone)
        if self._moments.model_answered:
            answered = ModelAnswered(x=x, sigma=sigma, positive=positive, negative=negative)
            self._moments.model_answered.fire(answered)
            positive, negative = answered.positive, answered.negative
        self.positive, self.negative = _first(positive, conditioning), negative
        denoised = combined(positive, negative, conditioning, self._policy.scale)
        if self._moments.guided:
            guided = Guided(
                x=x,
                sigma=sigma,
                denoised=denoised,
                positive=self.positive,
                negative=negative,
                scale=self._policy.scale,
                conditioning=conditioning,
                ask=self._predict,
            )
            self._moments.guided.fire(guided)
            denoised = guided.denoised
        return denoised

    def _current(self) -> Conditioning:
        """What holds at this call; put together anew only when a prompt changes."""
        indices = self._program.indices(self._call)
        if indices != self._indices:
            self._indices, self._conditioning = indices, self._fitted(self._program.at(self._call))
        return self._conditioning

    def _fitted(self, conditioning: Conditioning) -> Conditioning:
        way, note = self._policy.pad, {"empty": "Pad conds", "v0": "Pad conds v0"}.get(self._policy.pad, "")
        uneven = conditioning.positive.context.shape[1] != conditioning.negative.context.shape[1]
        self.notes.pop(note, None)
        if not way or not uneven:
            return conditioning
        self.notes[note] = True
        return conditioning.padded(way)

    def _both(
        self, x: Tensor, sigma: Tensor, conditioning: Conditioning, rows: Tensor | None, *, alone: bool
    ) -> tuple[Tensor, Tensor | None]:
        positive, negative = conditioning.positive, conditioning.negative
        repeated = x if len(conditioning.owners) == len(x) else x[list(conditioning.owners)]
        if rows is not None:
            repeated, x = rows[: len(repeated)], rows[len(repeated) :]
        if alone:
            return self._predict(repeated, sigma, positive), None
        if self._policy.together and positive.context.shape[1] == negative.context.shape[1]:
            both = self._predict(torch.cat([repeated, x]), sigma, positive.beside(negative))
            return both[: len(repeated)], both[len(repeated) :]
        return self._predict(repeated, sigma, positive), self._predict(x, sigma, negative)

    def _leaves_out_negative(self, sigma: Tensor, conditioning: Conditioning) -> bool:
        policy = self._policy
        if policy.scale == 1 and conditioning.balanced and not policy.both:
            return True
        if policy.skip_early and self._call / self._calls <= policy.skip_early:
            self.notes["Skip Early CFG"] = policy.skip_early
            return True
        due = bool(policy.min_uncond) and bool(self._call % 2 or policy.min_uncond_all)
        if due and self._measure(sigma) < policy.min_uncond:
            self.notes["NGMS"] = policy.min_uncond
            if policy.min_uncond_all:
                self.notes["NGMS all steps"] = True
            return True
        return False


def combined(positive: Tensor, negative: Tensor | None, conditioning: Conditioning, scale: float) -> Tensor:
    """negative + sum of weight * scale * (positive - negative) -> (B, C, H, W).

    Without negative (B, C, H, W) the first prompt of each picture takes its place, at scale 1.
    """
    if negative is None:
        negative, scale = _first(positive, conditioning), 1.0
    if conditioning.simple:
        return negative + (positive - negative) * scale if scale != 1 else positive
    factors = torch.tensor(conditioning.weights, device=positive.device, dtype=positive.dtype) * scale
    owners = torch.tensor(conditioning.owners, device=positive.device)
    pulls = (positive - negative[owners]) * factors.reshape(-1, 1, 1, 1)
    return negative.index_add(0, owners, pulls)


def _first(positive: Tensor, conditioning: Conditioning) -> Tensor:
    """(P, C, H, W) -> (B, C, H, W): the answers to the first prompt of each picture."""
    if len(conditioning.owners) == len(conditioning.negative):
        return positive
    return positive[[conditioning.owners.index(picture) for picture in range(len(conditioning.negative))]]


def _given(texts: list[Encoding], ids: Tensor | None, concat: Tensor | None, wanted: bool) -> Given:
    """The texts as one batch; ids (n,) go with each. wanted: they are prompts, not negative ones."""
    pooled = [text.pooled for text in texts if text.pooled is not None]
    return Given(
        context=_stacked([text.tokens for text in texts]),
        pooled=torch.stack(pooled) if pooled else None,
        ids=None if ids is None else ids.expand(len(texts), -1),
        concat=concat,
        wanted=torch.full((len(texts),), wanted),
    )


def _stacked(texts: list[Tensor]) -> Tensor:
    """(tokens, width) each -> (n, most tokens, width): shorter ones repeat their last vector, as in A1111."""
    most = max(len(text) for text in texts)
    return torch.cat([_repeated(text.unsqueeze(0), most) for text in texts])


def _repeated(texts: Tensor, tokens: int) -> Tensor:
    missing = max(0, tokens - texts.shape[1])
    return torch.cat([texts, texts[:, -1:].repeat(1, missing, 1)], dim=1) if missing else texts


def _filled(conditioning: Tensor, empty: Tensor, tokens: int) -> Tensor:
    missing = (tokens - conditioning.shape[1]) // empty.shape[1]
    if not missing:
        return conditioning
    return torch.cat([conditioning, empty.repeat(conditioning.shape[0], missing, 1)], dim=1)
