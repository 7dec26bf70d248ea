"""OpenCLIP's text tower (SD2, SDXL) under the names of transformers' `CLIPTextModel`.

transformer.resblocks.3.attn.in_proj_weight (3 W, W)  ->  encoder.layers.3.self_attn.{q,k,v}_proj.weight (W, W)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import Tensor

from modules.loading.parts import Weights

NAMES = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
    "text_projection.weight": "text_projection.weight",
}
LAYERS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""Layers of a residual block; `networks.names` knows them too."""

_BLOCK = re.compile(r"^transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)$")


def converted(weights: Weights, *, projected: bool) -> dict[str, Tensor]:
    """The tensors that a text model needs; projected: with the projection of the pooled state. Raises ValueError."""
    found = dict(pair for name, tensor in weights.items() for pair in _renamed(name, tensor))
    if not projected:
        found.pop("text_projection.weight", None)
    return found


def _renamed(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What has no place in a text model (logit_scale, the image tower) is left out."""
    block = _BLOCK.match(name)
    if name in NAMES:
        yield NAMES[name], tensor
    elif name == "text_projection":
        yield "text_projection.weight", tensor.T
    elif block and block[2] == "attn.in_proj":
        for part, third in zip("qkv", tensor.chunk(3), strict=True):
            yield f"encoder.layers.{block[1]}.self_attn.{part}_proj.{block[3]}", third
    elif block and block[2] in LAYERS:
        yield f"encoder.layers.{block[1]}.{LAYERS[block[2]]}.{block[3]}", tensor
