"""Sampling a model in training: each picture has its own noise; SDEdit stays near its start as strength asks."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from modules.training import objective, stages
from modules.training.sampling import Asked, Guided, Parts, levels, sample


def test_a_batch_is_its_pictures(run: stages.Run) -> None:
    parts = stages.trained(run)
    texts = ["a red boat", "a blue cat", "two stars"]
    whole = sample(parts, Asked(texts=texts, steps=3, seed=4))
    assert whole.shape == (3, 32, 32, 3)
    alone = sample(parts, Asked(texts=texts[1:2], steps=3, seed=5))
    assert (whole[1].int() - alone[0].int()).abs().max() <= 1


def test_a_weak_img2img_stays_nearer(run: stages.Run) -> None:
    parts = stages.trained(run)
    start = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))

    def redrawn(strength: float) -> Tensor:
        return sample(parts, Asked(texts=["x"], steps=10, start=start, strength=strength)).float()

    sketch = redrawn(0.1)
    away = [float((redrawn(strength) - sketch).abs().mean()) for strength in (0.3, 0.6, 0.9)]
    assert away == sorted(away)


class Knows(nn.Module):
    """A network that knows the only picture there is: what it answers follows from x."""

    def __init__(self, prediction: str, picture: Tensor) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))
        self.prediction, self.picture = prediction, picture
        self.kept = objective.SCHEDULES["scaled_linear"]().kept

    def forward(self, x: Tensor, time: Tensor, *, encoder_hidden_states: Tensor, return_dict: bool) -> tuple[Tensor]:
        if self.prediction == "flow":
            noise = (time / objective.STEPS).reshape(-1, 1, 1, 1)
            return ((x - self.picture) / noise.clamp(min=1e-6),)
        levels = objective.SCHEDULES["scaled_linear"]()
        sigma = levels.level_at(time).reshape(-1, 1, 1, 1)
        signal, noise = 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
        eps = (x - signal * self.picture) / noise
        return (eps if self.prediction == "eps" else signal * eps - noise * self.picture,)


@pytest.mark.parametrize("prediction", objective.TARGETS)
def test_a_network_that_knows_the_picture_is_denoised_to_it(run: stages.Run, prediction: str) -> None:
    picture = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    own = stages.trained(run)
    parts = dataclasses.replace(own, unet=Knows(prediction, picture), prediction=prediction)
    assert isinstance(parts, Parts)
    denoise = Guided(parts, torch.zeros(2, 77, 64), 3.0)
    process, sigmas = levels(parts, 8)
    for sigma in sigmas[:-1]:
        x = process.alpha(sigma) * picture + sigma * torch.randn(1, 4, 4, 4)
        torch.testing.assert_close(denoise(x, sigma), picture, atol=2e-3, rtol=2e-3)
