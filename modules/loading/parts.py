"""What the builder of a family is given and what it gives back, and the tools that all builders share.

A row of `families.TABLE` names its builder ("module:function"); `loader.load` looks it up and calls it with a `Source`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from modules.core.device import Placement
from modules.core.process import NoiseProcess, TrainedLevels, VarianceExploding
from modules.loading import packed
from modules.loading.companions import NOWHERE, Companions
from modules.loading.families import Family
from modules.loading.header import Header
from modules.loading.mmdit.names import Rule
from modules.loading.paging import Pages
from modules.loading.prediction import Given
from modules.loading.text import TextModel

Weights: TypeAlias = Mapping[str, Tensor]
"""Tensors by name."""

Ask: TypeAlias = Callable[[nn.Module, Tensor, Tensor, Given], Tensor]
"""(denoiser, x (B, C, H, W) in its number format, time (B,), given) -> its raw prediction (B, C, H, W)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """An opened checkpoint of a recognised family. weights: views of the mapped file; home: where parts are put;
    companions: where parts may lie that the file lacks; keep_packed: see `loader.load`.
    """

    header: Header
    family: Family
    weights: Weights
    placement: Placement
    home: torch.device
    companions: Companions = NOWHERE
    keep_packed: bool = True

    @functools.cached_property
    def pages(self) -> Pages:
        """Of the file."""
        return Pages(self.header.path)

    def below(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin so, without that beginning."""
        return {name[len(prefix) :]: tensor for name, tensor in self.weights.items() if name.startswith(prefix)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """A loaded model's parts. text: all its text encoders as one; ask: how its denoiser is called.

    prediction: a key of `prediction.KINDS`; process and levels: the noise it was trained with; rules: how the file's
    names became the denoiser's, where a table of patterns says so.
    """

    denoiser: nn.Module
    ask: Ask
    text: TextModel
    autoencoder: nn.Module
    levels: TrainedLevels
    process: NoiseProcess = dataclasses.field(default_factory=VarianceExploding)
    prediction: str = "eps"
    rules: tuple[Rule, ...] = ()


Builder: TypeAlias = Callable[[Source], Parts]
"""Raises KeyError, StopIteration, RuntimeError or ValueError where tensors are missing or of odd shapes."""


def shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor."""
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}


def filled(
    model: nn.Module,
    weights: Weights,
    device: torch.device,
    dtype: torch.dtype,
    *,
    channels_last: Callable[[str], bool] = lambda name: False,
    pages: Pages | None = None,
) -> nn.Module:
    """Put weights into a model made on the meta device; each tensor is converted (packed ones stay so) and moved once,
    and what it was copied from gives its memory back. channels_last: whether convolutions of this name lie in that
    order; pages: of the weights' file.

    Raises RuntimeError for missing, unknown and misshapen ones.
    """
    ready = {}
    for name, tensor in weights.items():
        order = torch.channels_last if tensor.dim() == 4 and channels_last(name) else torch.preserve_format
        ready[name] = tensor.to(device=device, dtype=dtype, memory_format=order)
        for old, new in zip(packed.stored(tensor), packed.stored(ready[name]), strict=True):
            if pages is not None and new.data_ptr() != old.data_ptr():
                pages.let_go(old)
    model.load_state_dict(ready, strict=True, assign=True)
    return model.eval().requires_grad_(False)
