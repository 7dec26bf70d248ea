"""Diffusion: batches follow from their step; captions are dropped as often as said; what was asked for is learnt."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
import torch
from torch import nn

from modules.training import models, sampling, stages
from modules.training.companions.material import InMemory
from modules.training.data import Painted
from modules.training.diffusion import Denoising, DiffusionTask, Material
from modules.training.loop import Pace, Trainer, generator_of
from modules.training.reading import SLOTS
from modules.training.recipes import Stage, UnetSize

WORDS = ("red", "blue")


class TwoWords:
    """Even pictures are called red, odd ones blue."""

    def __len__(self) -> int:
        return 8

    def caption(self, index: int, dice: random.Random) -> str:
        return WORDS[index % 2]


def material(**facts: object) -> Material:
    """Latents that are all 1 (red) or all -1 (blue), before SD1's scale."""
    latents = torch.ones(8, 4, 4, 4) / models.SCALE
    latents[1::2] *= -1
    made = Material(latents=InMemory(latents), source=TwoWords(), batch=16, seed=3, gamma=5.0, dropout=0.1)
    return dataclasses.replace(made, **facts)


def task(tower: nn.Module, given: Material) -> DiffusionTask:
    models.seeded(0)
    unet = models.unet(UnetSize(channels=(32, 64), attention=(True, True), blocks=1), 64)
    return DiffusionTask(unet, tower, given, trained=Denoising(unet, None))


@pytest.fixture
def tower(run: stages.Run) -> nn.Module:
    found: nn.Module = stages.trained_tower(run)
    return found.requires_grad_(False)


def test_a_batch_follows_from_its_step(tower: nn.Module) -> None:
    made = task(tower, material())
    first, again, other = (made.draw(step, generator_of(3, step)) for step in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])


def test_captions_are_dropped_as_often_as_said(tower: nn.Module) -> None:
    made = task(tower, material(dropout=0.25))
    ids = torch.cat([made.draw(step, generator_of(1, step))[3] for step in range(60)])
    empty = (ids == models.token_ids([""])).all(dim=1).float().mean()
    assert empty == pytest.approx(0.25, abs=0.05)


def test_captions_stay_with_their_pictures(tower: nn.Module) -> None:
    clean, _, _, ids, _ = task(tower, material(dropout=0.0)).draw(0, generator_of(1, 0))
    red = models.token_ids(["red"])
    for latent, row in zip(clean, ids, strict=True):
        assert torch.equal(row, red[0]) == bool(latent.mean() > 0)


def test_words_are_hidden_as_often_as_said_and_answers_stay(tower: nn.Module) -> None:
    made = task(tower, material(wordless=0.5, dropout=0.0))
    drawn = [made.draw(step, generator_of(1, step)) for step in range(40)]
    assert torch.cat([each[4] for each in drawn]).float().mean() == pytest.approx(0.5, abs=0.08)
    ids, hidden = drawn[0][3], drawn[0][4]
    told, shown = models.hidden(tower, ids), made._context(ids, hidden)
    empty = models.hidden(tower, models.token_ids([""]))[0]
    assert torch.equal(shown[~hidden], told[~hidden])
    assert torch.equal(shown[:, SLOTS:], told[:, SLOTS:])
    assert (shown[hidden][:, :SLOTS] == empty[:SLOTS]).all()


def test_words_of_own_pictures_are_never_hidden(run: stages.Run) -> None:
    recipe = dataclasses.replace(run.recipe, wordless=0.5)
    latents = InMemory(torch.zeros(8, 4, 4, 4))
    assert Material.of(recipe, latents, TwoWords()).wordless == 0
    assert Material.of(recipe, latents, Painted(8)).wordless == 0.5


def test_flow_has_times_between_picture_and_noise(tower: nn.Module) -> None:
    times = task(tower, material(prediction="flow")).draw(0, generator_of(1, 0))[2]
    assert times.is_floating_point()
    assert 0 < times.min() < times.max() < 1


@pytest.mark.slow
@pytest.mark.parametrize("prediction", ["eps", "v", "flow"])
def test_the_word_decides_what_is_sampled(tower: nn.Module, tmp_path: Path, prediction: str) -> None:
    made = task(tower, material(prediction=prediction))
    stage = Stage(steps=120, batch=16, rate=2e-3, warmup=10, floor=0.2, ema=0.95)
    trainer = Trainer(made, stage, seed=3, folder=tmp_path, device=torch.device("cpu"))
    trainer.run(Pace(sheet_every=0, log_every=1000), lambda _: None)
    unet = trainer.task.network.get_submodule("unet").eval()
    parts = sampling.Parts(unet=unet, vae=Still(), tower=tower, size=32, prediction=prediction)
    for scale in (1.0, 2.0):
        shown = sampling.sample(parts, sampling.Asked(texts=["red", "blue"], steps=10, scale=scale))
        red, blue = (each.float().mean() for each in shown)
        assert red - blue > 60, (red, blue)


class Still(nn.Module):
    """A VAE that shows the first three channels of a latent as they are."""

    def decode(self, latents: torch.Tensor, *, return_dict: bool) -> tuple[torch.Tensor]:
        return (latents[:, :3] * models.SCALE,)
