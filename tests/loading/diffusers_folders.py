"""Writes a loaded model as the folder that diffusers' save_pretrained makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from modules.loading.loader import Model

WEIGHTS = "diffusion_pytorch_model"


def write(model: Model, folder: Path, *, shards: int = 1, ending: str = ".safetensors", **scheduler: Any) -> Path:
    """shards: files that the UNet is spread over; scheduler: its configuration."""
    folder.mkdir(parents=True)
    _json(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2D"]})
    _json(folder / "scheduler" / "scheduler_config.json", scheduler)
    _part(model.unet, folder / "unet", WEIGHTS, ending, shards)
    _part(model.vae.network, folder / "vae", WEIGHTS, ending)
    towers = list(model.text.towers.values())
    names = ["text_encoder_2"] if model.family.id == "sdxl-refiner" else ["text_encoder", "text_encoder_2"]
    for name, tower in zip(names, towers, strict=False):
        _part(tower, folder / name, "model", ending, without=_last(tower) if model.family.id == "sd2" else None)
        activation = "quick_gelu" if _config(tower).hidden_act == "quick_gelu" else "gelu"
        _json(folder / name / "config.json", {"hidden_act": activation})
    return folder


def _last(tower: nn.Module) -> str:
    """The layer that SD2's folders leave out."""
    return f"encoder.layers.{_config(tower).num_hidden_layers - 1}."


def _config(tower: nn.Module) -> Any:
    return tower.config


def _part(
    module: nn.Module, folder: Path, stem: str, ending: str, shards: int = 1, *, without: str | None = None
) -> None:
    folder.mkdir(exist_ok=True)
    kept = {name: each for name, each in module.state_dict().items() if without is None or not name.startswith(without)}
    weights = {name: each.contiguous() for name, each in kept.items()}
    if ending == ".bin":
        torch.save(weights, folder / "pytorch_model.bin")
        return
    if shards == 1:
        save_file(weights, folder / f"{stem}{ending}")
        return
    places: dict[str, str] = {}
    for shard in range(shards):
        file = f"{stem}-{shard + 1:05}-of-{shards:05}{ending}"
        names = [name for index, name in enumerate(weights) if index % shards == shard]
        save_file({name: weights[name] for name in names}, folder / file)
        places |= dict.fromkeys(names, file)
    _json(folder / f"{stem}{ending}.index.json", {"weight_map": places})


def _json(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
