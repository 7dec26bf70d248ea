"""A hypernetwork in A1111's format: for each width of context a small network before keys and one before values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from modules.networks.hypernetwork import Hypernetwork, Shape, install
from modules.training.diffusion import DiffusionTask, Material
from modules.training.loop import Pace, Trainer
from modules.training.recipes import Stage
from modules.training.sampling import Parts

SHAPE = Shape(widths=(1, 1, 1), activation="relu", layer_norm=False, dropout=(False, False), activate_output=False)


def begin(parts: Parts, seed: int) -> dict[int, tuple[nn.Sequential, nn.Sequential]]:
    """Networks for every width that keys and values are made from; the last layer is zero, so nothing changes yet."""
    torch.manual_seed(seed)
    widths = {
        module.in_features
        for path, module in parts.unet.named_modules()
        if isinstance(module, nn.Linear) and path.endswith((".to_k", ".to_v"))
    }
    layers = {width: (SHAPE.build(width), SHAPE.build(width)) for width in sorted(widths)}
    for pair in layers.values():
        for network in pair:
            *_, last = network
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
    return layers


def train(
    parts: Parts, material: Material, stage: Stage, *, folder: Path, name: str, pace: Pace | None = None
) -> Hypernetwork:
    """Networks that make the model draw like the material."""
    layers = begin(parts, material.seed)
    trained = nn.ModuleList(network for pair in layers.values() for network in pair)
    for each in (parts.unet, parts.tower):
        each.requires_grad_(False)
    made = Hypernetwork(name, layers)
    task = DiffusionTask(parts.unet, parts.tower, material, trained=trained)
    undo = install(parts.unet, [(made, 1.0)], parts.device)
    try:
        trainer = Trainer(task, stage, seed=material.seed, folder=folder, device=parts.device)
        trainer.run(pace or Pace())
    finally:
        undo()
    trainer.mean.settle(trained)
    return made


def write(path: Path, made: Hypernetwork, *, steps: int) -> None:
    """A1111's file: torch.save of a table, widths as keys; half precision, which it reads as well."""
    data: dict[Any, Any] = {
        width: tuple(
            {f"linear.{name}": each.detach().cpu().half() for name, each in network.state_dict().items()}
            for network in pair
        )
        for width, pair in made.layers.items()
    }
    data |= {
        "step": steps,
        "name": made.name,
        "layer_structure": [int(width) for width in SHAPE.widths],
        "activation_func": SHAPE.activation,
        "is_layer_norm": SHAPE.layer_norm,
        "weight_initialization": "Normal",
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
        "activate_output": SHAPE.activate_output,
        "use_dropout": False,
        "dropout_structure": [0.0, 0.0, 0.0],
        "last_layer_dropout": False,
        "optional_info": None,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    torch.save(data, unfinished)
    unfinished.replace(path)
