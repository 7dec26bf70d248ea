"""The VAE: folding its statistics into the format changes no picture; the edge loss sees edges only."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from modules.training import autoencoder, models, recipes
from modules.training.recipes import VaeSize


@torch.no_grad()
def test_folding_scales_the_latents_and_changes_no_picture() -> None:
    models.seeded(0)
    vae = models.vae(VaeSize(channels=(32, 32, 32, 32))).eval()
    torch.nn.init.normal_(vae.quant_conv.bias)
    pictures = torch.rand(6, 3, 32, 32) * 2 - 1
    before = vae.encode(pictures).latent_dist
    shown = vae.decode(before.mean).sample
    autoencoder.fold(vae, *autoencoder.statistics(before.mean))
    after = vae.encode(pictures).latent_dist
    mean, deviation = autoencoder.statistics(after.mean * models.SCALE)
    torch.testing.assert_close(mean, torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(deviation, torch.ones(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(vae.decode(after.mean).sample, shown, atol=1e-4, rtol=1e-3)
    factor = (after.mean.std(dim=(0, 2, 3)) / before.mean.std(dim=(0, 2, 3))).reshape(1, 4, 1, 1)
    torch.testing.assert_close(after.std, before.std * factor, rtol=1e-3, atol=0)


def test_edges_do_not_see_brightness() -> None:
    picture = torch.rand(2, 3, 8, 8)
    assert autoencoder.edges(picture + 0.3, picture) == pytest.approx(0, abs=1e-6)
    assert autoencoder.edges(picture.flip(-1), picture) > 0.1


def test_pictures_are_encoded_in_their_order() -> None:
    models.seeded(0)
    vae = models.vae(VaeSize(channels=(32, 32, 32, 32))).eval()
    pictures = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    whole, parted = (autoencoder.encode(vae, pictures, torch.device("cpu"), batch=batch) for batch in (5, 2))
    assert whole.shape == (5, 4, 4, 4)
    torch.testing.assert_close(whole, parted, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_a_fresh_encoder_begins_quiet() -> None:
    models.seeded(0)
    vae = models.vae(VaeSize(channels=(32, 32, 32, 32))).eval()
    pictures = torch.rand(4, 3, 32, 32) * 2 - 1
    loud = vae.encode(pictures).latent_dist
    autoencoder.quiet(vae)
    still = vae.encode(pictures).latent_dist
    assert torch.equal(still.mean, loud.mean)
    assert still.std.mean() < 0.1 < loud.std.mean()


def test_more_blocks_change_no_picture_at_first_and_learn() -> None:
    models.seeded(0)
    size = VaeSize(channels=(32, 32, 32, 32))
    vae = models.vae(size).eval()
    deeper: Any = autoencoder.deepened(vae, dataclasses.replace(size, blocks=2))
    latents = torch.randn(1, 4, 4, 4)
    torch.testing.assert_close(deeper.decode(latents).sample, vae.decode(latents).sample)
    assert len(deeper.decoder.up_blocks[0].resnets) == 3
    new = deeper.decoder.up_blocks[0].resnets[2].requires_grad_(True).conv2.weight
    deeper.decode(latents).sample.square().mean().backward()
    assert new.grad.abs().max() > 0


@torch.no_grad()
def test_what_is_straight_repeats_and_averages() -> None:
    models.seeded(0)
    vae = models.vae(VaeSize(channels=(32, 32, 64, 64)))
    autoencoder.straight(vae)
    given = torch.rand(2, 64, 4, 4)
    up, down = vae.decoder.up_blocks[0].upsamplers[0], vae.encoder.down_blocks[0].downsamplers[0]
    torch.testing.assert_close(up(given), given.repeat_interleave(2, -1).repeat_interleave(2, -2))
    torch.testing.assert_close(down(given[:, :32]), torch.nn.functional.avg_pool2d(given[:, :32], 2))
    block = vae.decoder.up_blocks[0].resnets[0]
    assert (block(given, None) - given).std() < 0.2 * given.std()


def test_latents_are_held_to_colours_ever_less() -> None:
    recipe = dataclasses.replace(recipes.find("test"), anchor=0.5)
    recipe = dataclasses.replace(recipe, vae_stage=dataclasses.replace(recipe.vae_stage, steps=8))
    models.seeded(0)
    task = autoencoder.VaeTask(models.vae(recipe.vae), Pictures(), recipe)
    firm = [float(task.draw(step, torch.Generator().manual_seed(step))[2][0]) for step in range(8)]
    assert firm == [1, 0.75, 0.5, 0.25, 0, 0, 0, 0]
    crops, noise, held = task.draw(0, torch.Generator().manual_seed(0))
    loose = task.losses([crops, noise, held * 0])
    assert float(task.losses([crops, noise, held])["loss"].detach()) > float(loose["loss"].detach())


class Pictures:
    """Random pictures by index."""

    def __len__(self) -> int:
        return 4

    def take(self, wanted: torch.Tensor) -> torch.Tensor:
        return torch.randint(0, 256, (len(wanted), 32, 32, 3), dtype=torch.uint8)


def test_colours_are_found_again_from_latents_that_show_them() -> None:
    pictures = torch.randint(0, 256, (8, 4, 4, 3), dtype=torch.uint8).repeat_interleave(8, 1).repeat_interleave(8, 2)
    shown = pictures[:, ::8, ::8].permute(0, 3, 1, 2) / 127.5 - 1
    latents = torch.cat([shown[:, [1]] * 2, shown[:, [0]] - 0.5, shown[:, [2]], torch.randn(8, 1, 4, 4)], dim=1)
    wanted = [[0, 0.5, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0.5, 0, 0]]
    torch.testing.assert_close(autoencoder.colours(latents, pictures), torch.tensor(wanted), atol=1e-4, rtol=0)
