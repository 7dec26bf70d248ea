"""Pictures from a model in training, through the product's own samplers: DPM++ 2M with classifier-free guidance."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.process import NoiseProcess, RectifiedFlow, VarianceExploding
from modules.samplers.dpmpp import dpmpp_2m
from modules.samplers.schedules import karras
from modules.training import models, objective
from modules.training.data import to_pictures


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """A model to sample from. size: pixels along a side of its pictures."""

    unet: nn.Module
    vae: nn.Module
    tower: nn.Module
    size: int
    schedule: str = "scaled_linear"
    prediction: str = "eps"

    @property
    def device(self) -> torch.device:
        return next(self.unet.parameters()).device


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """texts: one a picture; scale: of guidance; start: latents (B, 4, h, w) to begin from with strength 0..1 (SDEdit,
    Meng et al. 2021, https://arxiv.org/abs/2108.01073).
    """

    texts: Sequence[str]
    negative: str = ""
    steps: int = 20
    scale: float = models.GUIDANCE
    seed: int = 0
    start: Tensor | None = None
    strength: float = 1.0


@torch.no_grad()
def sample(parts: Parts, asked: Asked, *, batch: int = 16) -> Tensor:
    """Pictures uint8 (n, size, size, 3); each has its own noise, so the batch size changes nothing."""
    found = []
    for start in range(0, len(asked.texts), batch):
        texts = list(asked.texts[start : start + batch])
        seeds = [asked.seed + start + index for index in range(len(texts))]
        given = None if asked.start is None else asked.start[start : start + batch]
        found.append(decode(parts.vae, _latents(parts, asked, texts, seeds, given)))
    return torch.cat(found)


@torch.no_grad()
def decode(vae: Any, latents: Tensor) -> Tensor:
    """Model latents (B, 4, h, w) -> uint8 (B, 8h, 8w, 3)."""
    return to_pictures(vae.decode(latents / models.SCALE, return_dict=False)[0].float())


def _latents(parts: Parts, asked: Asked, texts: list[str], seeds: list[int], given: Tensor | None) -> Tensor:
    side = parts.size // 8
    noise = torch.stack([torch.randn(4, side, side, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    process, sigmas = levels(parts, asked.steps)
    sigmas = sigmas[round(asked.steps * (1 - asked.strength)) :]
    if given is None or asked.strength >= 1:
        x = noise * sigmas[0]
    else:
        x = process.alpha(sigmas[0]) * given.cpu() + sigmas[0] * noise
    ids = models.token_ids([*texts, *[asked.negative] * len(texts)]).to(parts.device)
    denoise = Guided(parts, models.hidden(parts.tower, ids), asked.scale)
    x = x.to(parts.device)
    return dpmpp_2m(denoise, x, sigmas, process=process, noise=lambda: torch.zeros_like(x), on_step=lambda *_: None)


def levels(parts: Parts, steps: int) -> tuple[NoiseProcess, Tensor]:
    """The noise process of a prediction, and the levels to visit."""
    if parts.prediction == "flow":
        return RectifiedFlow(), torch.linspace(1, 0, steps + 1)
    trained = objective.SCHEDULES[parts.schedule]()
    return VarianceExploding(), karras(steps, sigma_min=trained.lowest, sigma_max=trained.highest)


class Guided:
    """A `Denoiser`: the UNet's answers with and without the caption, combined. context (2B, 77, width)."""

    def __init__(self, parts: Parts, context: Tensor, scale: float) -> None:
        self._parts, self._context, self._scale = parts, context, scale
        self._levels = objective.SCHEDULES[parts.schedule]()
        self._flow = parts.prediction == "flow"
        self._clean = objective.target(parts.prediction).clean

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x (B, C, H, W), sigma () -> guided guess of the clean latent."""
        shrink = torch.ones(()) if self._flow else 1 / (sigma**2 + 1) ** 0.5
        time = sigma * objective.STEPS if self._flow else self._levels.time_at(sigma)
        signal = 1 - sigma if self._flow else shrink
        seen = x * shrink
        answer = self._parts.unet(
            torch.cat([seen, seen]),
            time.to(x.device).expand(2 * len(x)),
            encoder_hidden_states=self._context,
            return_dict=False,
        )[0].float()
        guesses = self._clean(torch.cat([seen, seen]), answer, signal, sigma * shrink)
        positive, negative = guesses.chunk(2)
        return negative + (positive - negative) * self._scale
