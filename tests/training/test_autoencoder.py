"""The VAE: folding its statistics into the format changes no picture; the edge loss sees edges only."""

from __future__ import annotations

import pytest
import torch

from modules.training import autoencoder, models
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
