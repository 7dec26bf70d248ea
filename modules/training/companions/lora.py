"""A LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685) for UNet and text tower, written in kohya's format.

Each linear layer of the attention gets W x + alpha / rank * up(down(x)); up begins at zero, so training begins at the
model as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from modules.training import exporting
from modules.training.diffusion import DiffusionTask, Material
from modules.training.loop import Pace, Trainer
from modules.training.recipes import Stage
from modules.training.sampling import Parts

UNET_LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")
TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
PREFIXES = {"unet": "lora_unet_", "text": "lora_te_text_model_"}


class Adapter(nn.Module):
    """alpha / rank * up(down(x)) beside one linear layer."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.up.weight)
        self.alpha, self.rank = alpha, rank

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.up(self.down(x)) * (self.alpha / self.rank)
        return change


class Adapters(nn.Module):
    """Adapters by kohya's names for the layers they belong to."""

    def __init__(self, parts: Parts, *, rank: int, alpha: float, text: bool = True) -> None:
        super().__init__()
        self._layers: dict[str, nn.Linear] = dict(_targets(parts.unet, "unet", UNET_LAYERS))
        if text:
            self._layers |= _targets(parts.tower, "text", TEXT_LAYERS)
        self.made = nn.ModuleDict({name: Adapter(layer, rank, alpha) for name, layer in self._layers.items()})

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While it lasts, the model computes with the adapters."""
        with contextlib.ExitStack() as stack:
            for name, layer in self._layers.items():
                adapter = self.made[name]

                def add(_: nn.Module, inputs: tuple[Tensor, ...], out: Tensor, by: nn.Module = adapter) -> Tensor:
                    change: Tensor = by(inputs[0])
                    return out + change

                stack.callback(layer.register_forward_hook(add).remove)
            yield

    def tensors(self) -> dict[str, Tensor]:
        """As kohya's files have them, half precision."""
        found: dict[str, Tensor] = {}
        for name, adapter in self.made.items():
            assert isinstance(adapter, Adapter)
            found[f"{name}.lora_down.weight"] = adapter.down.weight.detach().half().cpu().contiguous()
            found[f"{name}.lora_up.weight"] = adapter.up.weight.detach().half().cpu().contiguous()
            found[f"{name}.alpha"] = torch.tensor(adapter.alpha)
        return found


def train(
    parts: Parts, material: Material, stage: Stage, *, folder: Path, rank: int = 4, alpha: float = 4.0,
    pace: Pace | None = None,
) -> Adapters:  # fmt: skip
    """Adapters that make the model draw like the material."""
    torch.manual_seed(material.seed)
    adapters = Adapters(parts, rank=rank, alpha=alpha)
    for each in (parts.unet, parts.tower):
        each.requires_grad_(False)
    task = DiffusionTask(parts.unet, parts.tower, material, trained=adapters, through_text=True)
    with adapters.at_work():
        trainer = Trainer(task, stage, seed=material.seed, folder=folder, device=parts.device)
        trainer.run(pace or Pace())
    trainer.mean.settle(adapters)
    return adapters


def write(path: Path, adapters: Adapters, *, title: str) -> None:
    """kohya's format."""
    first = next(iter(adapters.made.values()))
    assert isinstance(first, Adapter)
    notes = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(first.rank),
        "ss_network_alpha": str(first.alpha),
        "ss_base_model_version": "sd_v1",
        "ss_output_name": title,
    }
    exporting.write(path, adapters.tensors(), notes)


def _targets(root: nn.Module, part: str, ends: tuple[str, ...]) -> dict[str, nn.Linear]:
    """Linear layers by kohya's name."""
    return {
        PREFIXES[part] + path.removeprefix("text_model.").replace(".", "_"): module
        for path, module in root.named_modules()
        if isinstance(module, nn.Linear) and path.endswith(ends)
    }
