"""Hypernetworks: small networks in front of the key and value projections of the UNet's attention, by context width.

Files have A1111's format. `install` puts hooks on `to_k` and `to_v`; calling what it returns takes them out again.
Dropout does nothing when pictures are made: it only counts as a place in the file's numbering of layers.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import activation

from modules.core.errors import DamagedFile
from modules.loading.pickles import unpickled
from modules.networks.files import NetworkFile

_OWN_NAMES: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "leakyrelu": nn.LeakyReLU,
    "swish": nn.Hardswish,  # what A1111 means by it
}
_PLAIN = """ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish PReLU ReLU ReLU6 RReLU SELU
SiLU CELU Sigmoid Softmax2d Softmax Softmin LogSoftmax Softplus Softshrink Softsign Tanh Tanhshrink"""
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    **{name.lower(): getattr(activation, name) for name in _PLAIN.split()},
    **_OWN_NAMES,
}
"""Name in the file -> layer: A1111's own names and torch's classes that need no argument."""

_OLD_NAMES = {"linear1.": "linear.0.", "linear2.": "linear.1."}


@dataclasses.dataclass(frozen=True)
class Shape:
    """How the networks of a file are built. widths: of each layer as a multiple of the context's, 1 first and last;
    dropout: whether a dropout follows layer i.
    """

    widths: tuple[float, ...]
    activation: str | None
    layer_norm: bool
    dropout: tuple[bool, ...]
    activate_output: bool

    @classmethod
    def of(cls, data: Mapping[Any, Any]) -> Shape:
        """From a file's facts, with A1111's defaults. Raises ValueError."""
        widths = tuple(map(float, data.get("layer_structure") or (1, 2, 1)))
        if len(widths) < 2 or widths[0] != 1 or widths[-1] != 1:
            raise ValueError(f"its layers must begin and end with 1, not {widths}")
        dropout = data.get("dropout_structure")
        if dropout is None:
            used, last = bool(data.get("use_dropout")), bool(data.get("last_layer_dropout"))
            inner = len(widths) - 2
            dropout = [0, *[used] * max(inner - 1, 0), *[used and last] * min(inner, 1), 0]
        return cls(
            widths=widths,
            activation=data.get("activation_func"),
            layer_norm=bool(data.get("is_layer_norm")),
            dropout=tuple(bool(each) for each in dropout[1:]),
            activate_output=bool(data.get("activate_output", True)),
        )

    def build(self, width: int) -> nn.Sequential:
        """The layers for a context of this width. Raises ValueError for an unknown activation."""
        layers: list[nn.Module] = []
        last = len(self.widths) - 2
        for index, (before, after) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            layers.append(nn.Linear(int(width * before), int(width * after)))
            if self.activation not in (None, "linear") and (index < last or self.activate_output):
                layers.append(_activation(str(self.activation)))
            if self.layer_norm:
                layers.append(nn.LayerNorm(int(width * after)))
            if index < len(self.dropout) and self.dropout[index]:
                layers.append(nn.Dropout())
        return nn.Sequential(*layers)


def _activation(name: str) -> nn.Module:
    made = ACTIVATIONS.get(name.lower())
    if made is None:
        raise ValueError(f'unknown activation function "{name}"')
    return made()


@dataclasses.dataclass(frozen=True)
class Hypernetwork:
    """For each context width a network for keys and one for values."""

    name: str
    layers: Mapping[int, tuple[nn.Sequential, nn.Sequential]]


def read(file: NetworkFile) -> Hypernetwork:
    """Read a file of A1111's format. Raises DamagedFile."""
    data = unpickled(file.path)
    try:
        shape = Shape.of(data)
        layers = {
            width: (_filled(shape.build(width), pair[0]), _filled(shape.build(width), pair[1]))
            for width, pair in data.items()
            if isinstance(width, int)
        }
    except (ValueError, RuntimeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{file.path.name}: not a hypernetwork ({str(error).splitlines()[0]}).") from error
    if not layers:
        raise DamagedFile(f"{file.path.name}: not a hypernetwork (it has no layers).")
    return Hypernetwork(file.name, layers)


def _filled(network: nn.Sequential, weights: Mapping[str, Tensor]) -> nn.Sequential:
    renamed = {_current(name).removeprefix("linear."): tensor.float() for name, tensor in weights.items()}
    network.load_state_dict(renamed)
    return network.eval().requires_grad_(False)


def _current(name: str) -> str:
    old = next((old for old in _OLD_NAMES if name.startswith(old)), None)
    return name if old is None else _OLD_NAMES[old] + name.removeprefix(old)


def install(unet: nn.Module, wanted: Sequence[tuple[Hypernetwork, float]], device: torch.device) -> Callable[[], None]:
    """Let contexts pass through the networks, one after the other, at their strengths -> a call that undoes it."""
    handles = contextlib.ExitStack()
    for index, projection in enumerate(("to_k", "to_v")):
        chain = [
            ({width: pair[index].to(device) for width, pair in network.layers.items()}, strength)
            for network, strength in wanted
        ]
        hook = _through(chain)
        for path, module in unet.named_modules():
            if chain and path.rpartition(".")[2] == projection:
                handles.callback(module.register_forward_pre_hook(hook).remove)
    return handles.close


def _through(
    chain: Sequence[tuple[Mapping[int, nn.Sequential], float]],
) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """A hook: context (B, N, width) -> context + strength * network(context), in float32, for every network."""

    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        context, *others = inputs
        for by_width, strength in chain:
            network = by_width.get(context.shape[-1])
            if network is not None:
                wide = context.float()
                context = (wide + network(wide) * strength).to(context.dtype)
        return (context, *others)

    return hook
