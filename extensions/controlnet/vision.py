"""The image encoder of IP-Adapter: transformers' `CLIPVisionModelWithProjection`, from a folder in its layout or from
one file, with sizes read from tensor shapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from modules.core.errors import DamagedFile, NotFound
from modules.loading import opening, parts
from modules.loading.header import Header

MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pictures, by channel (Radford et al. 2021)."""
_HEADS = {768: 12, 1024: 16, 1280: 16, 1664: 16}
"""By width: what no shape tells."""
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors")


class Encoder:
    """A loaded image encoder."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, image: Image.Image, *, plus: bool) -> tuple[Tensor, Tensor]:
        """What is seen of the picture, and of none: summaries (1, width); for plus all places (1, places, width)."""
        pixels = _pixels(image, self.network.config.image_size).to(next(self.network.parameters()))  # type: ignore[union-attr,arg-type]
        seen = self._seen(pixels, plus=plus)
        return seen, self._seen(torch.zeros_like(pixels), plus=plus) if plus else torch.zeros_like(seen)

    def _seen(self, pixels: Tensor, *, plus: bool) -> Tensor:
        answer = self.network(pixels, output_hidden_states=plus)
        found: Tensor = answer.hidden_states[-2] if plus else answer.image_embeds
        return found


def find(paths: Sequence[Path], folder: Path, *, width: int, plus: bool) -> Path:
    """The first encoder whose answer is so wide. Raises NotFound that says which file belongs where."""
    for path in paths:
        try:
            facts = opening.header(_weights(path))
        except (DamagedFile, OSError):
            continue
        prefix = _prefix(facts)
        if prefix is None:
            continue
        place = 0 if plus else -1
        shapes = {False: "visual_projection.weight", True: f"{prefix}embeddings.class_embedding"}
        shape = facts.tensors[shapes[plus]].shape if shapes[plus] in facts.tensors else ()
        if shape and (shape[place] if plus else shape[0]) == width:
            return path
    usual = {1024: "ViT-H", 1280: "ViT-H", 1664: "ViT-bigG", 768: "ViT-L"}.get(width, "CLIP")
    hint = (
        f"The IP-Adapter needs a {usual} image encoder whose answer is {width} wide, in transformers' layout: put it "
        f"into {folder} as a .safetensors file or as a folder with config.json."
    )
    raise NotFound("Image encoder", usual, [path.name for path in paths], field="model", hint=hint)


def load(path: Path, device: torch.device, dtype: torch.dtype) -> Encoder:
    """Raises DamagedFile."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    file = _weights(path)
    prefix = _prefix(opening.header(file)) or ""
    weights = {name: each for name, each in opening.tensors(file).items() if not name.endswith("position_ids")}
    wanted = {name: each for name, each in weights.items() if name.startswith((prefix, "visual_projection."))}
    try:
        settings = _config(parts.shapes(wanted), prefix)
        if path.is_dir():
            told = json.loads((path / "config.json").read_text())
            told = told.get("vision_config", told)
            settings |= {
                key: told[key] for key in ("num_attention_heads", "hidden_act", "layer_norm_eps") if key in told
            }
        with torch.device("meta"):
            network = CLIPVisionModelWithProjection(CLIPVisionConfig(**settings))
        network = parts.filled(_placed(network, device), _like(network, wanted, prefix), device, dtype)
    except (KeyError, RuntimeError, ValueError, OSError) as error:
        raise DamagedFile(f"{path.name}: not a complete CLIP image encoder ({error}).") from error
    return Encoder(network)


def _like(network: nn.Module, weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Under the names that this version of transformers has."""
    own = network.state_dict().keys()
    inner = "vision_model." if any(name.startswith("vision_model.") for name in own) else ""
    return {
        name if name.startswith("visual_projection.") else inner + name.removeprefix(prefix): each
        for name, each in weights.items()
    }


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    """With the numbers of places, which no file has, where the weights will be."""
    for module in network.modules():
        buffers = dict(module.named_buffers(recurse=False))
        if "position_ids" in buffers:
            count = buffers["position_ids"].shape[-1]
            module.position_ids = torch.arange(count, device=device).expand(1, -1)
    return network


def _config(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> dict[str, Any]:
    """Keyword arguments for CLIPVisionConfig. Raises KeyError."""
    patch = shapes[f"{prefix}embeddings.patch_embedding.weight"]
    places = shapes[f"{prefix}embeddings.position_embedding.weight"][0]
    inner = {name.removeprefix(f"{prefix}encoder.layers.").split(".")[0] for name in shapes if ".layers." in name}
    width = patch[0]
    return {
        "hidden_size": width,
        "intermediate_size": shapes[f"{prefix}encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": len(inner),
        "num_attention_heads": _HEADS.get(width, max(1, width // 64)),
        "patch_size": patch[-1],
        "image_size": round((places - 1) ** 0.5) * patch[-1],
        "projection_dim": shapes["visual_projection.weight"][0],
        "hidden_act": "quick_gelu" if width == 1024 else "gelu",  # ViT-L is OpenAI's, the others are OpenCLIP's
    }


def _weights(path: Path) -> Path:
    """The file with the numbers. Raises DamagedFile where a folder has none."""
    if not path.is_dir():
        return path
    for name in _WEIGHTS:
        if (path / name).is_file():
            return path / name
    raise DamagedFile(f"{path.name}: the folder has no {_WEIGHTS[0]}.")


def _prefix(facts: Header) -> str | None:
    """What the names of the encoder begin with; None where there is none in the file."""
    mark = "embeddings.patch_embedding.weight"
    return next((name.removesuffix(mark) for name in facts.tensors if name.endswith(mark)), None)


def _pixels(image: Image.Image, side: int) -> Tensor:
    """As CLIP is shown pictures: the middle square, (1, 3, side, side)."""
    width, height = image.size
    factor = side / min(width, height)
    sized = image.convert("RGB").resize(
        (max(side, round(width * factor)), max(side, round(height * factor))), Image.Resampling.BICUBIC
    )
    left, top = (sized.width - side) // 2, (sized.height - side) // 2
    levels = np.asarray(sized.crop((left, top, left + side, top + side)), dtype=np.float32) / 255
    normal = (levels - np.array(MEAN, dtype=np.float32)) / np.array(SPREAD, dtype=np.float32)
    return torch.from_numpy(normal).permute(2, 0, 1).unsqueeze(0)
