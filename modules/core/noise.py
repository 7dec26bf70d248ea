"""Standard normal noise by seed, the same on every machine that is asked for the same source.

Sources (A1111's option `randn_source`): "CPU" torch's Mersenne twister; "GPU" the generator of the device that
computes; "NV" Philox as an NVIDIA GPU runs it, computed on the CPU, so that pictures made on a GPU can be made again
anywhere. `PictureNoise` is what sampling draws from: one generator a picture, so a batch of four equals four pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modules.core.brownian import BrownianNoise, BrownianPath

SOURCES = ("GPU", "CPU", "NV")
MAX_SEED = 2**64 - 1

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint32(0x9E3779B9), np.uint32(0xBB67AE85))
_WORD = np.uint64(32)


class Generator(Protocol):
    """A stream of noise; each draw goes on where the last one ended."""

    def draw(self, shape: Sequence[int]) -> Tensor: ...


def generator(source: str, seed: int, device: torch.device) -> Generator:
    """A fresh stream for `seed` (0 .. 2^64-1) from one of `SOURCES`; draws arrive on `device` as float32."""
    if source == "NV":
        return _PhiloxGenerator(seed, device)
    # MPS has no generator that could be trusted to repeat; A1111 falls back to the CPU there too
    home = torch.device("cpu") if source == "CPU" or device.type == "mps" else device
    return _TorchGenerator(seed, home, device)


class _TorchGenerator:
    def __init__(self, seed: int, home: torch.device, device: torch.device) -> None:
        self._generator = torch.Generator(home).manual_seed(seed)
        self._home = home
        self._device = device

    def draw(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(tuple(shape), generator=self._generator, device=self._home).to(self._device)


class _PhiloxGenerator:
    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._draws = 0
        self._device = device

    def draw(self, shape: Sequence[int]) -> Tensor:
        values = philox_normal(self._seed, self._draws, int(np.prod(shape)))
        self._draws += 1
        return torch.from_numpy(values).reshape(tuple(shape)).to(self._device)


def philox_normal(seed: int, offset: int, count: int) -> NDArray[np.float32]:
    """`count` normal numbers: Philox 4x32-10 (Salmon et al. 2011) and Box-Muller, as curand gives them to torch.

    offset is the number of draws made before with this seed.
    """
    words = _philox(seed, offset, count)
    scale, half = np.float32(2.0**-32), np.float32(2.0**-33)
    turn = np.float32(2.0**-32 * 6.2831855)
    radius_word, angle_word = words[0].astype(np.float32), words[1].astype(np.float32)
    radius = np.sqrt(-2.0 * np.log(radius_word * scale + half))
    angle = angle_word * turn + turn / np.float32(2)
    normal: NDArray[np.float32] = (radius * np.sin(angle)).astype(np.float32)
    return normal


def _philox(seed: int, offset: int, count: int) -> list[NDArray[np.uint32]]:
    """Ten rounds over `count` counters (offset, 0, index, 0) with the seed as key -> four words a counter."""
    zeros = np.zeros(count, dtype=np.uint32)
    counter = [np.full(count, offset, dtype=np.uint32), zeros, np.arange(count, dtype=np.uint32), zeros]
    key = [np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32 & 0xFFFFFFFF)]
    for round_number in range(10):
        if round_number:
            key = [np.uint32((int(word) + int(step)) & 0xFFFFFFFF) for word, step in zip(key, _WEYL, strict=True)]
        first = counter[0].astype(np.uint64) * _MULTIPLIERS[0]
        second = counter[2].astype(np.uint64) * _MULTIPLIERS[1]
        counter = [
            (second >> _WORD).astype(np.uint32) ^ counter[1] ^ key[0],
            second.astype(np.uint32),
            (first >> _WORD).astype(np.uint32) ^ counter[3] ^ key[1],
            first.astype(np.uint32),
        ]
    return counter


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seeds:
    """Where the noise of a batch comes from.

    seeds, subseeds: one a picture; strength 0..1 blends from seed to subseed; resize_from (height, width) in latent
    pixels or None: keep the composition of a picture of another size; delta is added for noise after the first (ENSD);
    shared_path: one Brownian path over the whole batch, by its last seed, instead of one a picture.
    """

    source: str
    seeds: tuple[int, ...]
    subseeds: tuple[int, ...] = ()
    strength: float = 0.0
    resize_from: tuple[int, int] | None = None
    delta: int = 0
    shared_path: bool = False


class PictureNoise:
    """Noise for a batch of latents of shape (C, H, W) each. `first()` starts a picture, calling it draws the next."""

    def __init__(self, seeds: Seeds, shape: tuple[int, int, int], device: torch.device) -> None:
        self._seeds = seeds
        self._shape = shape
        self._device = device
        self._generators = [self._fresh(seed) for seed in seeds.seeds]

    def first(self) -> Tensor:
        """The noise that pictures start from, (B, C, H, W); call it once, before any other draw."""
        noise = torch.stack([self._start(index) for index in range(len(self._generators))])
        if self._seeds.delta:
            self._generators = [self._fresh(seed + self._seeds.delta) for seed in self._seeds.seeds]
        return noise

    def __call__(self) -> Tensor:
        """The next noise, (B, C, H, W)."""
        return torch.stack([stream.draw(self._shape) for stream in self._generators])

    def brownian(self, low: Tensor, high: Tensor) -> BrownianNoise:
        """Noise from Brownian paths over the noise levels low () .. high (), by the pictures' seeds alone."""
        facts, count = self._seeds, len(self._seeds.seeds)
        if facts.shared_path:
            path = self._path(_shared_seed(facts.seeds[-1]), (count, *self._shape), float(low), float(high))
            return BrownianNoise([path], batched=True)
        return BrownianNoise([self._path(seed, self._shape, float(low), float(high)) for seed in facts.seeds])

    def _path(self, seed: int, shape: tuple[int, ...], low: float, high: float) -> BrownianPath:
        return BrownianPath(low, high, seed=seed & MAX_SEED, draw=lambda key: self._fresh(key).draw(shape))

    def _fresh(self, seed: int) -> Generator:
        return generator(self._seeds.source, seed & MAX_SEED, self._device)

    def _start(self, index: int) -> Tensor:
        facts = self._seeds
        small = (self._shape[0], *facts.resize_from) if facts.resize_from else self._shape
        stream = self._generators[index] if small == self._shape else self._fresh(facts.seeds[index])
        noise = stream.draw(small)
        if facts.strength:
            noise = slerp(facts.strength, noise, self._fresh(facts.subseeds[index]).draw(small))
        if small == self._shape:
            return noise
        return _centred(noise, onto=self._generators[index].draw(self._shape))


def _shared_seed(seed: int) -> int:
    """k-diffusion draws the seed of a path over a whole batch, and A1111 seeds torch for each picture before that."""
    stream = torch.Generator().manual_seed(seed & MAX_SEED)
    return int(torch.randint(0, 2**63 - 1, [], generator=stream))


def _centred(noise: Tensor, *, onto: Tensor) -> Tensor:
    """Lay noise (C, h, w) over the middle of `onto` (C, H, W), cropping or leaving a border as sizes ask."""
    result = onto.clone()
    windows = [_overlap(have, want) for have, want in zip(noise.shape[1:], onto.shape[1:], strict=True)]
    (top_from, top_to), (left_from, left_to) = windows
    result[:, top_to, left_to] = noise[:, top_from, left_from]
    return result


def _overlap(have: int, want: int) -> tuple[slice, slice]:
    """Where the middle `have` cells fall in `want` cells: (slice of the source, slice of the target)."""
    shift = (want - have) // 2
    if shift >= 0:
        return slice(0, have), slice(shift, shift + have)
    length = have + 2 * shift
    return slice(-shift, -shift + length), slice(0, length)


def slerp(fraction: float, low: Tensor, high: Tensor) -> Tensor:
    """Spherical interpolation along the second axis, as A1111 blends seeds: (C, H, W) twice -> (C, H, W)."""
    low_unit = low / torch.norm(low, dim=1, keepdim=True)
    high_unit = high / torch.norm(high, dim=1, keepdim=True)
    cosine = (low_unit * high_unit).sum(1)
    if cosine.mean() > 0.9995:
        return low * fraction + high * (1 - fraction)  # sic: nearly parallel, the order makes no visible difference
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    weights = torch.sin((1.0 - fraction) * angle) / sine, torch.sin(fraction * angle) / sine
    return weights[0].unsqueeze(1) * low + weights[1].unsqueeze(1) * high
