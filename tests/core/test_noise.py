"""Laws of noise: the same seed gives the same numbers, a batch equals single pictures, Philox equals the GPU's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.core.noise import SOURCES, PictureNoise, Seeds, generator, philox_normal, slerp

CPU = torch.device("cpu")
SHAPE = (4, 6, 5)
seeds = st.integers(0, 2**64 - 1)


def noise_of(seed: int | tuple[int, ...], **facts: object) -> PictureNoise:
    several = seed if isinstance(seed, tuple) else (seed,)
    return PictureNoise(Seeds(seeds=several, **{"source": "NV", **facts}), SHAPE, CPU)


@pytest.mark.parametrize("source", SOURCES)
@given(seed=seeds)
@settings(max_examples=20)
def test_a_seed_gives_the_same_numbers_again(source: str, seed: int) -> None:
    first, second = (generator(source, seed, CPU) for _ in range(2))
    for _ in range(2):
        assert torch.equal(first.draw(SHAPE), second.draw(SHAPE))


@pytest.mark.parametrize("source", SOURCES)
def test_a_batch_equals_single_pictures(source: str) -> None:
    batch = noise_of((7, 8, 9), source=source)
    singles = [noise_of(seed, source=source) for seed in (7, 8, 9)]
    assert torch.equal(batch.first(), torch.cat([single.first() for single in singles]))
    assert torch.equal(batch(), torch.cat([single() for single in singles]))


def test_philox_gives_the_numbers_of_an_nvidia_gpu() -> None:
    """torch.randn(8, device="cuda") after torch.manual_seed(0), as an NVIDIA GPU prints it."""
    expected = [-0.92466259, -0.42534415, -2.64384580, 0.14518388, -0.12086648, -0.57972562, -0.62285161, -0.32838708]
    assert philox_normal(0, 0, 8).tolist() == pytest.approx(expected, abs=1e-5)


@given(seed=seeds, offset=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_philox_is_standard_normal_noise(seed: int, offset: int) -> None:
    values = philox_normal(seed, offset, 4096)
    assert np.isfinite(values).all()
    assert abs(values.mean()) < 0.1
    assert abs(values.std() - 1) < 0.1


def test_later_draws_differ_from_the_first() -> None:
    noise = noise_of(1)
    assert not torch.equal(noise.first(), noise())


def test_ensd_changes_only_what_is_drawn_after_the_first() -> None:
    plain, shifted, other = noise_of(5), noise_of(5, delta=31337), noise_of(5 + 31337)
    assert torch.equal(plain.first(), shifted.first())
    assert torch.equal(shifted(), other.first())


def test_variation_goes_from_one_seed_to_the_other() -> None:
    first, second = noise_of(5).first(), noise_of(6).first()
    blends = [noise_of(5, subseeds=(6,), strength=strength).first() for strength in (1e-6, 0.5, 1.0)]
    assert torch.allclose(blends[0], first, atol=1e-3)
    assert torch.allclose(blends[2], second, atol=1e-3)
    assert (blends[1] - first).norm() < (second - first).norm()


def test_slerp_keeps_the_length_of_noise() -> None:
    first, second = torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(0)), torch.ones(4, 64, 64)
    second = torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(1))
    assert float(slerp(0.5, first, second).std()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("size", [(4, 3), (8, 9), (4, 9)])
def test_a_resized_seed_keeps_the_middle(size: tuple[int, int]) -> None:
    """The noise of the other size lies in the middle, cropped or with a border of fresh noise."""
    height, width = size
    small = PictureNoise(Seeds(source="NV", seeds=(3,)), (4, height, width), CPU).first()[0]
    resized = noise_of(3, resize_from=size).first()[0]
    middle = resized[:, 2:4, 2], small[:, height // 2 - 1 : height // 2 + 1, width // 2]
    assert torch.equal(*middle)


def test_negative_and_huge_seeds_wrap() -> None:
    assert torch.equal(noise_of(2**64 + 3).first(), noise_of(3).first())
