"""A transformers `CLIPTextConfig` from the shapes of a CLIP text tower."""

from __future__ import annotations

from typing import Any

from modules.loading.configs.unet import Shapes
from modules.loading.family import TextTower


def config(shapes: Shapes, tower: TextTower) -> dict[str, Any]:
    """Keyword arguments for CLIPTextConfig; names as transformers writes them, from `embeddings.` on. Raises
    KeyError.
    """
    vocabulary, width = shapes["embeddings.token_embedding.weight"]
    layers = len({name.split(".")[2] for name in shapes if name.startswith("encoder.layers.")})
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": shapes["encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // tower.head_width),
        "max_position_embeddings": shapes["embeddings.position_embedding.weight"][0],
        "hidden_act": tower.activation,
        "projection_dim": shapes.get("text_projection.weight", (width,))[0],
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407,
    }
