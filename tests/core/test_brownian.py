"""Laws of Brownian paths by seed, and torchsde's tree as oracle."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from modules.core.brownian import BrownianPath
from modules.core.noise import PictureNoise, Seeds, generator

LOW, HIGH = 0.03, 14.6
CPU = torch.device("cpu")
times = st.floats(LOW, HIGH)


def path(seed: int = 1, shape: tuple[int, ...] = (2, 3), source: str = "CPU") -> BrownianPath:
    return BrownianPath(LOW, HIGH, seed=seed, draw=lambda key: generator(source, key, CPU).draw(shape))


@given(st.tuples(times, times, times))
def test_increments_add_up(points: tuple[float, float, float]) -> None:
    first, second, third = points
    one = path()
    through = one.increment(first, second) + one.increment(second, third)
    assert torch.allclose(through, one.increment(first, third), atol=1e-5)


@given(times, times)
def test_the_way_back_is_the_way_there_reversed(start: float, end: float) -> None:
    assert torch.equal(path().increment(start, end), -path().increment(end, start))


@given(st.lists(times, min_size=2, max_size=20), times, times)
def test_what_was_asked_before_makes_no_difference(asked: list[float], start: float, end: float) -> None:
    one = path()
    for each in asked:
        one.increment(LOW, each)
    assert torch.equal(one.increment(start, end), path().increment(start, end))


def test_outside_the_range_the_path_stands_still() -> None:
    assert torch.equal(path().increment(LOW - 1, HIGH + 1), path().increment(LOW, HIGH))


@pytest.mark.parametrize(("start", "end"), [(LOW, HIGH), (1.0, 2.0), (5.0, 5.01)])
def test_increments_are_normal_with_the_length_as_variance(start: float, end: float) -> None:
    many = path(shape=(200, 200)).increment(start, end) / math.sqrt(end - start)
    assert float(many.mean()) == pytest.approx(0, abs=0.03)
    assert float(many.std()) == pytest.approx(1, abs=0.02)


def test_increments_of_separate_steps_do_not_hang_together() -> None:
    one = path(shape=(200, 200))
    pair = torch.stack([one.increment(1.0, 2.0).flatten(), one.increment(2.0, 3.0).flatten()])
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.03


@pytest.mark.parametrize("seed", [0, 1234, 2**32 + 5])
def test_the_path_is_torchsdes(seed: int) -> None:
    torchsde = pytest.importorskip("torchsde")
    oracle = torchsde.BrownianTree(LOW, torch.zeros(2, 3), HIGH, entropy=seed)
    ours = path(seed)
    for start, end in [(LOW, HIGH), (1.2345678, 9.87), (0.5, 0.50002), (LOW, 0.1), (13.0, HIGH)]:
        assert torch.allclose(ours.increment(start, end), oracle(start, end), atol=1e-5)


def noise_of(seeds: tuple[int, ...], **facts: Any) -> Tensor:
    noise = PictureNoise(Seeds(source="NV", seeds=seeds, **facts), (4, 2, 2), CPU)
    return noise.brownian(torch.tensor(LOW), torch.tensor(HIGH))(torch.tensor(9.0), torch.tensor(4.0))


def test_a_batch_is_its_pictures() -> None:
    assert torch.equal(noise_of((5, 6, 7)), torch.cat([noise_of((seed,)) for seed in (5, 6, 7)]))


def test_variation_and_ensd_leave_the_path_alone() -> None:
    assert torch.equal(noise_of((5,)), noise_of((5,), delta=31337, subseeds=(9,), strength=0.5))


def test_a_shared_path_belongs_to_the_batch() -> None:
    shared = noise_of((5, 6), shared_path=True)
    assert shared.shape == (2, 4, 2, 2)
    assert not torch.equal(shared, noise_of((5, 6)))


def test_a_shared_path_is_what_k_diffusion_draws_by_itself() -> None:
    """A1111 without determinism of batches: its noise for the last picture has seeded torch, then k-diffusion draws."""
    torchsde = pytest.importorskip("torchsde")
    torch.manual_seed(6)
    entropy = torch.randint(0, 2**63 - 1, []).item()
    oracle = torchsde.BrownianTree(LOW, torch.zeros(2, 4, 2, 2), HIGH, entropy=entropy)
    seeds = Seeds(source="CPU", seeds=(5, 6), shared_path=True)
    ours = PictureNoise(seeds, (4, 2, 2), CPU).brownian(torch.tensor(LOW), torch.tensor(HIGH))
    step = torch.tensor(4.0), torch.tensor(9.0)
    assert torch.allclose(ours(*step), oracle(4.0, 9.0) / math.sqrt(5.0), atol=1e-5)


def test_no_noise_lies_between_equal_levels() -> None:
    noise = PictureNoise(Seeds(source="CPU", seeds=(1,)), (1, 1, 1), CPU).brownian(torch.tensor(0.1), torch.tensor(1.0))
    with pytest.raises(ValueError, match="between"):
        noise(torch.tensor(0.5), torch.tensor(0.5))
