"""What each kind of low-rank network adds to a weight, as small frozen records with `delta(weight)`.

`lora` makes them from files, `apply` adds strength * delta to the weights. All take weight (out, in) of a linear layer
or (out, in, h, w) of a convolution in float32, and return a change of the same shape; matrices that do not fit it
raise ValueError or RuntimeError. `scale` is alpha / rank. Formulas follow LyCORIS
(Yeh et al. 2024, https://arxiv.org/abs/2309.14859) as A1111 1.10 reads them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor


class Delta(Protocol):
    """A change of one layer."""

    def delta(self, weight: Tensor) -> Tensor:
        """weight -> what strength 1 adds to it, of the same shape."""
        ...

    @property
    def precision(self) -> torch.dtype:
        """The number format in which A1111 works the change out and adds it."""
        ...

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Delta:
        """The same with its matrices on a device, in a number format."""
        ...


class Matrices:
    """Moves the tensors of a record."""

    @property
    def precision(self) -> torch.dtype:
        """float32, whatever the file has."""
        return torch.float32

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Delta:
        """The same with its matrices on a device, in a number format."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        moved = {
            name: value.to(device=device, dtype=dtype) for name, value in fields.items() if isinstance(value, Tensor)
        }
        result: Delta = dataclasses.replace(self, **moved)  # type: ignore[type-var, assignment]
        return result


HALVES = ({torch.float16}, {torch.bfloat16})


class HalfMatrices(Matrices):
    """Of a kind that A1111 works out in the file's own precision: the whole weight is rounded to it on the way."""

    @property
    def precision(self) -> torch.dtype:
        """float16 or bfloat16 if all matrices are."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))  # type: ignore[arg-type]
        formats = {value.dtype for value in values if isinstance(value, Tensor)}
        return formats.pop() if formats in HALVES else torch.float32


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoRA(Matrices):
    """scale * up @ down, also of convolutions (LoCon); with `middle` (r, r, h, w) a Tucker product.

    up (out, r, ...), down (r, in, ...). Hu et al. 2021, https://arxiv.org/abs/2106.09685.
    """

    up: Tensor
    down: Tensor
    middle: Tensor | None = None
    scale: float = 1.0

    def delta(self, weight: Tensor) -> Tensor:
        up, down = self.up.flatten(1), self.down.flatten(1)
        if self.middle is None:
            return (up @ down).reshape(weight.shape) * self.scale
        product = torch.einsum("nmkl,in,mj->ijkl", self.middle, up, down)
        return product.reshape(weight.shape) * self.scale

    def cut(self, rank: int) -> LoRA:
        """Only the first `rank` ranks, at an unchanged scale (DyLoRA)."""
        if self.middle is not None:
            return self
        return dataclasses.replace(self, up=self.up[:, :rank], down=self.down[:rank])


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoHa(HalfMatrices):
    """scale * (w1_a @ w1_b) * (w2_a @ w2_b), elementwise; with t1 and t2 each factor is a Tucker product.

    w_a (out, r), w_b (r, in ...); with t (r, r, h, w) instead w_a (r, out), w_b (r, in). FedPara, Hyeon-Woo et al.
    2021, https://arxiv.org/abs/2108.06098.
    """

    w1_a: Tensor
    w1_b: Tensor
    w2_a: Tensor
    w2_b: Tensor
    t1: Tensor | None = None
    t2: Tensor | None = None
    scale: float = 1.0

    def delta(self, weight: Tensor) -> Tensor:
        first = product(self.w1_a, self.w1_b, self.t1)
        second = product(self.w2_a, self.w2_b, self.t2)
        return (first * second).reshape(weight.shape) * self.scale


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoKr(HalfMatrices):
    """scale * kron(w1, w2). w1 (o1, i1), w2 (o2, i2, ...) with o1 * o2 = out and i1 * i2 = in."""

    w1: Tensor
    w2: Tensor
    scale: float = 1.0

    def delta(self, weight: Tensor) -> Tensor:
        w1 = self.w1.reshape(*self.w1.shape, *[1] * (self.w2.dim() - 2))
        return torch.kron(w1, self.w2.contiguous()).reshape(weight.shape) * self.scale


@dataclasses.dataclass(frozen=True, kw_only=True)
class IA3(Matrices):
    """weight * factors, which count the inputs (on_input) or the outputs. factors (in,) or (out,).

    Liu et al. 2022, https://arxiv.org/abs/2205.05638.
    """

    factors: Tensor
    on_input: bool
    scale: float = 1.0

    def delta(self, weight: Tensor) -> Tensor:
        axis = 1 if self.on_input else 0
        shape = [1] * weight.dim()
        shape[axis] = weight.shape[axis]
        return weight * self.factors.reshape(shape) * self.scale


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference(HalfMatrices):
    """A full matrix, or the weight of a normalisation layer, as it is: of the weight's own shape."""

    difference: Tensor
    scale: float = 1.0

    def delta(self, weight: Tensor) -> Tensor:
        return self.difference.reshape(weight.shape) * self.scale


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bias(Matrices):
    """What is added to a layer's bias, as it is; this is never rounded to the file's precision."""

    difference: Tensor

    def delta(self, weight: Tensor) -> Tensor:
        return self.difference.reshape(weight.shape)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GLoRA(HalfMatrices):
    """b2 @ b1 + (weight @ a2) @ a1. a2 (in, r), a1 (r, in), b2 (out, r), b1 (r, in).

    Chavan et al. 2023, https://arxiv.org/abs/2306.07967; without alpha / rank, as A1111.
    """

    a1: Tensor
    a2: Tensor
    b1: Tensor
    b2: Tensor
    scale: float = 1.0

    def delta(self, weight: Tensor) -> Tensor:
        a1, a2, b1, b2 = (each.flatten(1) for each in (self.a1, self.a2, self.b1, self.b2))
        return (b2 @ b1 + weight.flatten(1) @ a2 @ a1).reshape(weight.shape) * self.scale


class Blocks(Matrices):
    """Of a kind whose blocks keep the number format of the file until they are orthogonal."""

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Delta:
        """The same with its matrices on a device; `dtype` is that of the weights."""
        moved: Any = super().to(device, dtype)
        blocks: Tensor = self.blocks  # type: ignore[attr-defined]
        result: Delta = dataclasses.replace(moved, blocks=blocks.to(device))
        return result


@dataclasses.dataclass(frozen=True, kw_only=True)
class OFT(Blocks):
    """R @ weight - weight, R block-diagonal over the outputs; times `rescale` (out,) an output where there is one.

    blocks (n, b, b) with n * b = out: skew-symmetric generators, made orthogonal by the Cayley transform
    (I + Q)(I - Q)^-1, or with `rotations` the blocks of R themselves. constraint: the largest norm of Q, 0: none.
    Qiu et al. 2023, https://arxiv.org/abs/2306.07280.
    """

    blocks: Tensor
    constraint: float = 0.0
    rotations: bool = False
    rescale: Tensor | None = None

    def delta(self, weight: Tensor) -> Tensor:
        limit = self.constraint * weight.shape[0]
        rotations = self.blocks.to(weight.dtype) if self.rotations else cayley(self.blocks, limit)
        count, size = self.blocks.shape[0], self.blocks.shape[1]
        if count * size != weight.shape[0]:
            raise ValueError(f"{count} blocks of {size} do not turn {weight.shape[0]} outputs")
        turned = torch.einsum("knm,kni->kmi", rotations, weight.reshape(count, size, -1)).reshape(weight.shape)
        return _rescaled(turned, self.rescale) - weight


@dataclasses.dataclass(frozen=True, kw_only=True)
class BOFT(Blocks):
    """As OFT with m butterfly factors one after the other. blocks (m, n, b, b) with n * b = out.

    Liu et al. 2023, https://arxiv.org/abs/2311.06243.
    """

    blocks: Tensor
    constraint: float = 0.0
    rescale: Tensor | None = None

    def delta(self, weight: Tensor) -> Tensor:
        factors, count, size = self.blocks.shape[:3]
        if count * size != weight.shape[0]:
            raise ValueError(f"{count} blocks of {size} do not turn {weight.shape[0]} outputs")
        rotations = cayley(self.blocks, self.constraint * weight.shape[0])
        turned = weight.flatten(1)
        for index in range(factors):
            stride = 2**index * (size // 2)
            mixed = turned.reshape(-1, 2, stride, turned.shape[1]).transpose(1, 2).reshape(count, size, -1)
            mixed = torch.einsum("bij,bjx->bix", rotations[index], mixed)
            turned = mixed.reshape(-1, stride, 2, turned.shape[1]).transpose(1, 2).reshape(turned.shape)
        return _rescaled(turned.reshape(weight.shape), self.rescale) - weight


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoRA(Matrices):
    """Another change whose result is brought to given magnitudes: (weight + inner) * magnitude / norm - weight.

    magnitude (1, in, ...): of every input's column, or (out, 1, ...): of every output's row. Liu et al. 2024,
    https://arxiv.org/abs/2402.09353; files of A1111's time have the former.
    """

    inner: Delta
    magnitude: Tensor

    def delta(self, weight: Tensor) -> Tensor:
        merged = weight + self.inner.delta(weight)
        axis = 0 if self.magnitude.shape[0] > 1 else 1
        others = [other for other in range(weight.dim()) if other != axis]
        shape = [1] * weight.dim()
        shape[axis] = weight.shape[axis]
        norm = torch.linalg.vector_norm(merged, dim=others, keepdim=True)
        result: Tensor = merged * (self.magnitude.reshape(shape) / norm) - weight
        return result

    @property
    def precision(self) -> torch.dtype:
        """That of the inner change."""
        return self.inner.precision

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Delta:
        """The same with its matrices on a device, in a number format."""
        moved = self.magnitude.to(device=device, dtype=dtype)
        return DoRA(inner=self.inner.to(device, dtype), magnitude=moved)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shifted(Matrices):
    """Another change plus a full matrix (`bias` in files of early LyCORIS), both scaled. shift: as many as weights."""

    inner: Delta
    shift: Tensor
    scale: float = 1.0

    def delta(self, weight: Tensor) -> Tensor:
        return self.inner.delta(weight) + self.shift.reshape(weight.shape) * self.scale

    @property
    def precision(self) -> torch.dtype:
        """That of the inner change."""
        return self.inner.precision

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Delta:
        """The same with its matrices on a device, in a number format."""
        moved = self.shift.to(device=device, dtype=dtype)
        return Shifted(inner=self.inner.to(device, dtype), shift=moved, scale=self.scale)


def cut(whole: Delta, rank: int) -> Delta:
    """Only the first ranks of a LoRA, also inside of what changes it further; other kinds are not cut, as in A1111."""
    if isinstance(whole, LoRA):
        return whole.cut(rank)
    return dataclasses.replace(whole, inner=cut(whole.inner, rank)) if isinstance(whole, DoRA | Shifted) else whole


def product(first: Tensor, second: Tensor, core: Tensor | None) -> Tensor:
    """first (out, r) @ second (r, in ...); with core (r, r, h, w) the Tucker product of (r, out) and (r, in)."""
    if core is None:
        return first.flatten(1) @ second.flatten(1)
    return torch.einsum("ijkl,jr,ip->prkl", core, second.flatten(1), first.flatten(1))


def cayley(blocks: Tensor, limit: float) -> Tensor:
    """Orthogonal matrices (..., b, b) of any (..., b, b): Q = B - B^T, no longer than `limit` (0: any), then
    (I + Q)(I - Q)^-1 in float32. Q has the number format of the blocks, as in A1111.
    """
    skew = blocks - blocks.transpose(-1, -2)
    if limit:
        norm = torch.linalg.vector_norm(skew)
        skew = skew * ((norm.clamp(max=limit) + 1e-8) / (norm + 1e-8))
    skew = skew.to(torch.float32)
    one = torch.eye(blocks.shape[-1], device=blocks.device)
    result: Tensor = (one + skew) @ torch.linalg.inv(one - skew)
    return result


def _rescaled(weight: Tensor, factors: Tensor | None) -> Tensor:
    return weight if factors is None else weight * factors.reshape(-1, *[1] * (weight.dim() - 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """What a change of a whole matrix with so many rows does to one of the layers that `cut` parts it among."""

    inner: Delta
    cut: Callable[[Tensor], Sequence[Tensor]]
    index: int
    rows: int

    @property
    def precision(self) -> torch.dtype:
        return self.inner.precision

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Delta:
        return dataclasses.replace(self, inner=self.inner.to(device, dtype))

    def delta(self, weight: Tensor) -> Tensor:
        return self.cut(self.inner.delta(weight.new_zeros(self.rows, *weight.shape[1:])))[self.index]


def parted(whole: Delta, cut: Callable[[Tensor], Sequence[Tensor]], rows: Sequence[int]) -> list[Delta]:
    """One change for each layer, which have so many rows. Raises ValueError for kinds that depend on the weight itself,
    which is nowhere in one piece.
    """
    if isinstance(whole, LoRA) and whole.middle is None:
        if len(whole.up) != sum(rows):
            raise ValueError(f"a change of {len(whole.up)} rows for {sum(rows)}")
        return [dataclasses.replace(whole, up=up) for up in cut(whole.up)]
    if not isinstance(whole, LoRA | LoHa | LoKr | Difference | Bias):
        raise ValueError(f"networks of the kind {type(whole).__name__} cannot be parted among {len(rows)} layers")
    return [Part(inner=whole, cut=cut, index=index, rows=sum(rows)) for index in range(len(rows))]
