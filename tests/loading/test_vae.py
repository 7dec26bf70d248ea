"""The VAE helps itself: tiles when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from modules.loading import vae as vae_module
from modules.loading.families import TABLE
from modules.loading.vae import TILE, Vae

SD1 = next(row for row in TABLE if row.id == "sd1").latent


class Network(nn.Module):
    """Doubles as an AutoencoderKL: has memory only while it works in tiles, if `small`."""

    def __init__(self, *, small: bool, error: str = "CUDA out of memory.") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.small, self.error, self.tiles, self.calls = small, error, False, 0
        self.tile_sample_min_size = self.tile_latent_min_size = 0

    def enable_tiling(self) -> None:
        self.tiles = True

    def decode(self, latent: Tensor, return_dict: bool = True) -> tuple[Tensor]:
        self._work()
        return (torch.zeros(1, 3, latent.shape[2] * 8, latent.shape[3] * 8),)

    def encode(self, pixels: Tensor) -> Any:
        self._work()
        mean = torch.zeros(1, 4, pixels.shape[2] // 8, pixels.shape[3] // 8)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: mean))

    def _work(self) -> None:
        self.calls += 1
        if self.small and not self.tiles:
            raise torch.OutOfMemoryError(self.error)


@pytest.mark.parametrize("work", ["decode", "encode"])
def test_tiles_come_with_the_first_shortage_and_stay(work: str) -> None:
    network = Network(small=True)
    vae = Vae(network, SD1)
    given = torch.zeros(4, 8, 8) if work == "decode" else torch.zeros(3, 64, 64)
    for _ in range(2):
        getattr(vae, work)(given)
    assert network.calls == 3
    assert network.tile_sample_min_size == TILE
    assert network.tile_latent_min_size == TILE // 8
    assert "tiles" in vae.told()[0]
    assert vae.told() == ()


def test_with_room_there_are_no_tiles() -> None:
    network = Network(small=False)
    Vae(network, SD1).decode(torch.zeros(4, 8, 8))
    assert not network.tiles


def test_another_error_is_let_through() -> None:
    network = Network(small=True, error="sizes must match")
    vae = Vae(network, SD1)
    network.__class__ = type("Broken", (Network,), {"_work": _broken})
    with pytest.raises(RuntimeError, match="sizes must match"):
        vae.decode(torch.zeros(4, 8, 8))
    assert not network.tiles


def _broken(self: Network) -> None:
    raise RuntimeError("sizes must match")


@pytest.fixture(scope="module")
def network() -> AutoencoderKL:
    """A tiny one with everything that the real one has: attention in the middle, norms over the whole picture."""
    torch.manual_seed(0)
    made = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4,
        norm_num_groups=2,
        latent_channels=4,
    )
    return made.eval().requires_grad_(False)


def rolled(picture: Tensor, share: float = 0.5) -> Tensor:
    """(C, H, W) with what was at its borders in its middle."""
    height, width = picture.shape[-2:]
    return picture.roll((int(height * share), int(width * share)), dims=(-2, -1))


def test_the_borders_of_a_seamless_picture_continue_each_other(network: AutoencoderKL) -> None:
    latent = torch.randn(4, 12, 8)
    plain, seamless = Vae(network, SD1), Vae(network, SD1, seamless=True)
    torch.testing.assert_close(seamless.decode(rolled(latent)), rolled(seamless.decode(latent)), atol=1e-5, rtol=0)
    assert (plain.decode(rolled(latent)) - rolled(plain.decode(latent))).abs().max() > 0.01
    assert not torch.equal(plain.decode(latent), seamless.decode(latent)), "what one leaves the other takes back"


@pytest.mark.parametrize("work", ["decode", "encode"])
def test_tiles_of_a_seamless_picture_see_the_opposite_side(
    network: AutoencoderKL, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where memory ran out: what differs when the picture is rolled lies at the tiles, not at the borders."""
    monkeypatch.setattr(vae_module, "TILE", 128)
    vae = Vae(network, SD1, seamless=True, tiled=True)
    given = torch.randn(4, 24, 20) if work == "decode" else torch.rand(3, 192, 160)
    answer: Callable[[Tensor], Tensor] = getattr(vae, work)
    size = (3, 192, 160) if work == "decode" else (4, 24, 20)
    whole = answer(given)
    assert whole.shape == size
    across = rolled(answer(rolled(given))) - whole
    vae.seamless = False
    cut = rolled(answer(rolled(given))) - answer(given)
    border = slice(0, size[1] // 24)
    assert across[:, border].abs().mean() < 0.5 * cut[:, border].abs().mean()
