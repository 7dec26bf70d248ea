"""Tiles change large pictures, say so in the infotext, and are gone when the job is over, however it ends."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from modules.generate.request import Txt2Img
from tests.studio import Bench, Silent

LARGE = Txt2Img(prompt="a cat", seed=3, subseed=3, steps=2, width=512, height=256)
ON = {"hypertile_enable_unet": True, "hypertile_swap_size_unet": 1, "hypertile_max_tile_unet": 128}


def hooked(bench: Bench) -> list[str]:
    """Layers of the model that still have hooks."""
    model = bench.studio.shelf.get(bench.library.find("tiny-sd1"), keep=1)
    networks: tuple[nn.Module, ...] = (model.unet, model.vae.network)
    return [name for network in networks for name, module in network.named_modules() if module._forward_hooks]


def test_large_pictures_change_and_say_why(bench: Bench) -> None:
    plain, tiled = bench.make(LARGE), bench.make(LARGE, **ON)
    images = [np.asarray(bench.images(LARGE, **options)[0]).astype(int) for options in ({}, ON)]
    assert np.abs(images[0] - images[1]).max() > 0
    facts = "Hypertile U-Net: True, Hypertile U-Net max tile size: 128, Hypertile U-Net swap size: 1"
    assert facts in tiled["info"]["infotexts"][0]
    assert "Hypertile" not in plain["info"]["infotexts"][0]
    assert hooked(bench) == []


def test_small_pictures_are_one_tile(bench: Bench) -> None:
    small = Txt2Img(prompt="a cat", seed=3, subseed=3, steps=2, width=128, height=64)
    images = [np.asarray(bench.images(small, **options)[0]) for options in ({}, ON)]
    assert (images[0] == images[1]).all()


def test_the_same_tiles_are_drawn_again(bench: Bench) -> None:
    options = {"hypertile_enable_unet": True, "hypertile_enable_vae": True}
    first, second = (np.asarray(bench.images(LARGE, **options)[0]) for _ in range(2))
    assert (first == second).all()


def test_a_job_that_breaks_leaves_no_tiles(bench: Bench) -> None:
    class Breaking(Silent):
        def step(self, done: int) -> None:
            raise RuntimeError("the step broke")

    with pytest.raises(RuntimeError, match="broke"):
        bench.make(LARGE, Breaking(), **ON)
    assert hooked(bench) == []
