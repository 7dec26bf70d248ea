"""Weights kept in memory as a file has them, in 4 or 8 bits a number, and unpacked while a layer computes.

A `Packed` is a tensor of its matrix's shape in the number format in which its layer computes, but what it holds are
the file's own bytes and scales, mapped or moved to a device. Whatever torch does with it gets the numbers, unpacked for
this operation alone; copies, moves and parts of rows stay packed. Nothing can be written to one: networks are worn
(`networks.worn`). Layers, offloading and LoRAs need not know of it, and there is one way for every kind of file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

Parts: TypeAlias = Mapping[str, Tensor]
"""What a file holds of one matrix: small numbers, scales …, by what they are."""
Rows: TypeAlias = "slice | Tensor"
"""Some rows of a matrix: from, to (without a step); or their numbers, (n,)."""


class Packing(Protocol):
    """How a kind of file stores a matrix. Frozen: tensors are in the parts."""

    def numbers(self, parts: Parts, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The matrix in a number format, on the device of its parts."""
        ...

    def rows(self, parts: Parts, shape: tuple[int, ...], which: Rows) -> Parts | None:
        """The parts of some rows, in this packing too; None where they cannot be parted."""
        ...


_PLAIN_DATA: Any = torch._C.TensorBase.data
"""torch's own `tensor.data`."""


class Packed(Tensor):
    """See above. parts lie on one device; dtype: a floating-point format, what the numbers come out in."""

    parts: Parts
    packing: Packing

    @staticmethod
    def __new__(cls, parts: Parts, packing: Packing, shape: tuple[int, ...], dtype: torch.dtype) -> Packed:
        device = next(iter(parts.values())).device
        made: Packed = Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device=device)
        return made

    def __init__(self, parts: Parts, packing: Packing, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.parts = parts
        self.packing = packing

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if any(each.alias_info is not None and not each.alias_info.is_write for each in func._schema.returns):
            with torch.inference_mode(mode=False):  # views of what is no inference tensor must not be ones
                return cls._answer(func, args, kwargs or {})
        return cls._answer(func, args, kwargs or {})

    @staticmethod
    def _answer(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if (kept := _KEPT.get(func)) and (result := kept(*args, **kwargs)) is not NotImplemented:
            return result
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            return func.decompose(*args, **kwargs)  # in inference mode torch does not take such operations apart itself
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if isinstance(value, Packed) and argument.alias_info is not None and argument.alias_info.is_write:
                raise RuntimeError(f"{func.name()}: weights that are kept packed are not written to; unpack them first")
        return func(*tree_map(dense, args), **tree_map(dense, kwargs))

    @property
    def data(self) -> Tensor:
        """The same; what torch's modules assign to it when they are moved takes the parts along."""
        return _same(self)

    @data.setter
    def data(self, other: Tensor) -> None:
        if not isinstance(other, Packed):
            raise TypeError(f"{other.dtype} numbers in the place of packed ones; unpack them first")
        _PLAIN_DATA.__set__(self, other)
        self.parts, self.packing = other.parts, other.packing

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Packed({type(self.packing).__name__}, {tuple(self.shape)}, {self.dtype}, {self.device})"


def checked(parts: Parts, packing: Packing, shape: tuple[int, ...], dtype: torch.dtype) -> Packed:
    """A packed matrix whose parts are known to fit each other: it is unpacked once without numbers.

    Raises what the packing raises, and ValueError for another shape.
    """
    nowhere = {name: part.to("meta") for name, part in parts.items()}
    if (found := tuple(packing.numbers(nowhere, shape, dtype).shape)) != shape:
        raise ValueError(f"{found} numbers for {shape}")
    return Packed(parts, packing, shape, dtype)


def dense(value: Any) -> Any:
    """The numbers of a packed tensor; anything else is given back as it is."""
    if not isinstance(value, Packed):
        return value
    return value.packing.numbers(value.parts, tuple(value.shape), value.dtype)


def stored(tensor: Tensor) -> Iterator[Tensor]:
    """The plain tensors that hold a tensor's bytes: its parts, or itself."""
    yield from tensor.parts.values() if isinstance(tensor, Packed) else (tensor,)


def size(network: nn.Module) -> int:
    """Bytes of a network's weights as they lie in memory; those of shared ones count once."""
    each = [*network.parameters(), *network.buffers()]
    return sum({(part.data_ptr(), part.nbytes): part.nbytes for tensor in each for part in stored(tensor)}.values())


def unpack(network: nn.Module, let_go: Callable[[Tensor], None] = lambda part: None) -> None:
    """Make ordinary weights of a network's packed ones; let_go: is told of every part that nobody needs any more."""
    for module in network.modules():
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if isinstance(tensor, Packed):
                own = dense(tensor)
                setattr(module, name, nn.Parameter(own, requires_grad=False) if name in module._parameters else own)
                for part in stored(tensor):
                    let_go(part)


def _same(weight: Packed, *_: Any, **__: Any) -> Packed:
    return Packed(weight.parts, weight.packing, tuple(weight.shape), weight.dtype)


def _viewed(weight: Packed, shape: Sequence[int]) -> Any:
    return _same(weight) if tuple(shape) == tuple(weight.shape) else NotImplemented


def _copied(weight: Packed, *_: Any, **__: Any) -> Packed:
    parts = {name: part.clone() for name, part in weight.parts.items()}
    return Packed(parts, weight.packing, tuple(weight.shape), weight.dtype)


def _moved(
    weight: Packed,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    non_blocking: bool = False,
    **_: Any,
) -> Any:
    """To another device with all parts as they are; another number format is that of the numbers to come."""
    dtype = dtype or weight.dtype
    if not dtype.is_floating_point:
        return NotImplemented
    parts = {name: part.to(device, non_blocking=non_blocking) for name, part in weight.parts.items()}
    return Packed(parts, weight.packing, tuple(weight.shape), dtype)


def _some(weight: Packed, which: Rows, count: int) -> Packed | None:
    shape = tuple(weight.shape)
    parts = weight.packing.rows(weight.parts, shape, which)
    return None if parts is None else Packed(parts, weight.packing, (count, *shape[1:]), weight.dtype)


def _cut(weight: Packed, sizes: Sequence[int], dim: int = 0) -> Any:
    if dim != 0:
        return NotImplemented
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    pieces = [_some(weight, slice(end - count, end), count) for end, count in zip(ends, sizes, strict=True)]
    return NotImplemented if any(piece is None for piece in pieces) else pieces


def _split(weight: Packed, length: int, dim: int = 0) -> Any:
    rows = weight.shape[0]
    return _cut(weight, [min(length, rows - at) for at in range(0, rows, length)], dim)


def _looked_up(weight: Packed, ids: Tensor, *_: Any) -> Any:
    """An embedding: only the rows that are asked for are unpacked."""
    picked = _some(weight, ids.flatten(), ids.numel()) if isinstance(weight, Packed) else None
    return NotImplemented if picked is None else dense(picked).reshape(*ids.shape, -1)


_ATEN = torch.ops.aten
_KEPT: Mapping[Any, Callable[..., Any]] = {
    _ATEN.detach.default: _same,
    _ATEN.alias.default: _same,
    _ATEN.view.default: _viewed,
    _ATEN.clone.default: _copied,
    _ATEN._to_copy.default: _moved,
    _ATEN.split.Tensor: _split,
    _ATEN.split_with_sizes.default: _cut,
    _ATEN.embedding.default: _looked_up,
}
"""What is done otherwise than by unpacking."""
