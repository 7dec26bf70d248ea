"""New textual inversions and hypernetworks that know nothing yet, in A1111's files; training starts from them.

An embedding begins as the tokens of a text; a hypernetwork begins (nearly) as nothing.
"""

from __future__ import annotations

import dataclasses
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import BadRequest
from modules.core.store import write_atomically
from modules.imaging.filenames import component
from modules.loading import families, opening
from modules.loading.packed import dense
from modules.networks.hypernetwork import ACTIVATIONS, Shape
from modules.prompts import tokens
from modules.prompts.chunks import CHUNK

STAR = 265
"""The token that A1111's files name as the word's."""
WIDTHS = (320, 640, 768, 1024, 1280)
"""Widths of contexts that attention has in SD1 and SD2."""
DEEPEST, WIDEST = 16, 32.0

Start = Callable[[Tensor], object]
INITS: Mapping[str, Start] = {
    "Normal": lambda weight: nn.init.normal_(weight, std=0.01),
    "XavierUniform": lambda weight: nn.init.xavier_uniform_(weight),
    "XavierNormal": lambda weight: nn.init.xavier_normal_(weight),
    "KaimingUniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "KaimingNormal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}
"""How the weights of layers begin, by A1111's names."""


def target(folder: Path, name: str, *, overwrite: bool) -> Path:
    """The file for a name, without what A1111 leaves out of names. Raises BadRequest(field="name")."""
    kept = "".join(each for each in name if each.isalnum() or each in "._- ").strip(". ")
    if not kept or component(kept) != kept:
        raise BadRequest(f"name: {name!r} cannot be a file's name.", field="name")
    path = folder / f"{kept}.pt"
    if path.exists() and not overwrite:
        raise BadRequest(f"name: {path.name} exists already; overwrite_old replaces it.", field="name")
    return path


def embedding(path: Path, checkpoint: Path, *, vectors: int, text: str) -> Path:
    """Write an embedding of so many vectors (1..75) that begins as a text's tokens, "" as zeros, for the text encoder
    of a checkpoint. Raises BadRequest, DamagedFile.
    """
    if not 1 <= vectors <= CHUNK:
        raise BadRequest(f"num_vectors_per_token: {CHUNK} places are the most.", field="num_vectors_per_token")
    table = _token_table(checkpoint)
    made = torch.zeros(vectors, table.shape[1])
    ids = tokens.encode(text)[:vectors]
    for place in range(vectors if ids else 0):
        made[place] = table[ids[place * len(ids) // vectors]].float()
    write_embedding(path, path.stem, made, step=0)
    return path


def _token_table(checkpoint: Path) -> Tensor:
    """(tokens, width) of the one text encoder of an SD1 or SD2 checkpoint."""
    header = opening.header(checkpoint)
    found = families.detect(header)
    names = [name for name in header.tensors if name.endswith("token_embedding.weight")]
    if len(names) != 1:
        kind = f"{found.title} has {len(names)} CLIP text encoders"
        raise BadRequest(f"{kind}: embeddings are made for models with one, Stable Diffusion 1 and 2.", field="name")
    table: Tensor = dense(opening.stored(checkpoint)[names[0]])
    return table


def write_embedding(
    path: Path, name: str, vectors: Tensor, *, step: int, checkpoint: tuple[str | None, str | None] = (None, None)
) -> None:
    """vectors (n, width); checkpoint: short hash and name of the one that it was trained with."""
    facts = {"name": name, "step": step, "sd_checkpoint": checkpoint[0], "sd_checkpoint_name": checkpoint[1]}
    kept = vectors.detach().float().cpu().contiguous()
    _write(path, {"string_to_token": {"*": STAR}, "string_to_param": {"*": kept}, **facts})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Design:
    """How a hypernetwork is built. layers: widths as multiples of the context's; dropout: a share behind each layer."""

    layers: tuple[float, ...] = (1.0, 2.0, 1.0)
    activation: str = "linear"
    init: str = "Normal"
    layer_norm: bool = False
    dropout: tuple[float, ...] = ()

    def check(self) -> None:
        """Raises BadRequest naming A1111's field."""
        inner = self.layers[1:-1]
        if not 2 <= len(self.layers) <= DEEPEST or self.layers[0] != 1 or self.layers[-1] != 1:
            said = f"layer_structure: 2 to {DEEPEST} widths that begin and end with 1"
            raise BadRequest(f"{said}, such as 1, 2, 1.", field="layer_structure")
        if not all(math.isfinite(each) and 0.01 <= each <= WIDEST for each in inner):
            raise BadRequest(f"layer_structure: widths are between 0.01 and {WIDEST:g}.", field="layer_structure")
        if self.activation not in ACTIVATIONS:
            raise BadRequest(
                f"activation_func: {self.activation!r} is none of {', '.join(ACTIVATIONS)}.", field="activation_func"
            )
        if self.init not in INITS:
            raise BadRequest(f"weight_init: {self.init!r} is none of {', '.join(INITS)}.", field="weight_init")
        if self.dropout and (len(self.dropout) != len(self.layers) or not all(0 <= each < 1 for each in self.dropout)):
            raise BadRequest("dropout_structure: a share from 0 to 1 for each layer.", field="dropout_structure")

    @property
    def shape(self) -> Shape:
        return Shape(
            widths=self.layers,
            activation=self.activation,
            layer_norm=self.layer_norm,
            dropout=tuple(bool(each) for each in self.dropout[1:]),
            activate_output=False,
        )


def hypernetwork(path: Path, sizes: Sequence[int], design: Design) -> Path:
    """Write a fresh hypernetwork for contexts of these widths. Raises BadRequest."""
    design.check()
    unknown = [size for size in sizes if size not in WIDTHS]
    if unknown or not sizes:
        raise BadRequest(f"enable_sizes: some of {', '.join(map(str, WIDTHS))}.", field="enable_sizes")
    layers = {size: tuple(_begun(design, size) for _ in range(2)) for size in dict.fromkeys(sizes)}
    facts = {
        "step": 0,
        "name": path.stem,
        "layer_structure": list(design.layers),
        "activation_func": design.activation,
        "is_layer_norm": design.layer_norm,
        "weight_initialization": design.init,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
        "activate_output": False,
        "use_dropout": any(design.dropout),
        "dropout_structure": list(design.dropout) or [0.0] * len(design.layers),
        "last_layer_dropout": bool(design.dropout and design.dropout[-2]),
        "optional_info": None,
    }
    write_hypernetwork(path, layers, facts)
    return path


def write_hypernetwork(path: Path, layers: Mapping[int, Sequence[nn.Sequential]], facts: Mapping[str, Any]) -> None:
    """layers: for each width the networks for keys and for values; facts: what else the file says."""
    data: dict[Any, Any] = {
        width: tuple(
            {f"linear.{name}": each.detach().cpu().contiguous() for name, each in network.state_dict().items()}
            for network in pair
        )
        for width, pair in layers.items()
    }
    _write(path, {**data, **facts})


def _begun(design: Design, size: int) -> nn.Sequential:
    """As in A1111: weights by `init`, those of norms by the normal one too, no bias."""
    network = design.shape.build(size)
    for layer in network:
        if isinstance(layer, nn.Linear | nn.LayerNorm):
            start = INITS["Normal"] if isinstance(layer, nn.LayerNorm) else INITS[design.init]
            with torch.no_grad():
                start(layer.weight)
                layer.bias.zero_()
    return network


def _write(path: Path, data: Mapping[Any, Any]) -> None:
    """torch's format, whole or not at all. Raises StoreError."""
    target = io.BytesIO()
    torch.save(dict(data), target)
    os.makedirs(path.parent, exist_ok=True)
    write_atomically(path, target.getvalue())
