"""A file of a ControlNet, T2I-Adapter or IP-Adapter to a network on its device, with sizes read from tensor shapes.

ControlNets come in the names of latent-diffusion (`control_model.input_hint_block…`) and of diffusers, T2I-Adapters in
TencentARC's and diffusers'. All are brought to diffusers' names; the classes are diffusers' own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from modules.core.device import Placement
from modules.core.errors import DamagedFile
from modules.loading import attention, opening, parts
from modules.loading.loader import import_libraries

from . import marks
from .ip_adapter import Adapter

Weights: TypeAlias = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Net:
    """A loaded file. kind: of `marks`; pools: its answers are averaged over the picture, as that of the shuffle net."""

    name: str
    kind: str
    network: Any
    pools: bool = False


def load(path: Path, placement: Placement) -> Net:
    """Raises DamagedFile for what is damaged, not known, or known and not built."""
    import_libraries()
    names = opening.header(path).tensors
    kind, refused = marks.kind(names), marks.lacking(names)
    if refused:
        raise DamagedFile(f"{path.name} is {refused}. Easel does not build those; take a {marks.KNOWN}.")
    if not kind:
        raise DamagedFile(f"{path.name}: no known kind of control model. It should be a {marks.KNOWN}.")
    weights = opening.tensors(path)
    try:
        network = _BUILDERS[kind](weights, placement)
        if isinstance(network, nn.Module) and placement.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    except (KeyError, StopIteration, RuntimeError, ValueError, IndexError) as error:
        raise DamagedFile(f"{path.name}: not a complete {kind} ({error}).") from error
    return Net(name=path.stem, kind=kind, network=network, pools="shuffle" in path.stem.lower())


def controlnet(weights: Weights, placement: Placement) -> nn.Module:
    """A `ControlNetModel`."""
    from diffusers.models.controlnets.controlnet import ControlNetModel

    named = _named(weights)
    with torch.device("meta"):
        model = ControlNetModel(**config(parts.shapes(named)))
    attention.install(model)
    return parts.filled(model, named, placement.device, placement.dtype)


def _named(weights: Weights) -> dict[str, Tensor]:
    """Under diffusers' names."""
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    prefix = next((start for start in ("control_model.", "model.") if _any(weights, start)), "")
    plain = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    if "time_embedding.linear_1.weight" in plain:
        return plain
    ups = sum(name.endswith(".0.op.weight") for name in plain)
    zeros = len({name.split(".")[1] for name in plain if name.startswith("zero_convs.")})
    layers = (zeros - 1 - ups) // (ups + 1)
    converted = convert_controlnet_checkpoint(dict(plain), {"layers_per_block": layers})
    for number, own in ((1, 0), (2, 2)):
        for part in ("weight", "bias"):
            if f"label_emb.0.{own}.{part}" in plain:
                converted[f"add_embedding.linear_{number}.{part}"] = plain[f"label_emb.0.{own}.{part}"]
    return {name: tensor for name, tensor in converted.items() if tensor is not None}


def config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Keyword arguments for ControlNetModel. Raises KeyError where a structural tensor is missing."""
    levels = range(_count(shapes, r"down_blocks\.(\d+)\."))
    channels = [shapes[f"down_blocks.{level}.resnets.0.conv1.weight"][0] for level in levels]
    depths = [_count(shapes, rf"down_blocks\.{level}\.attentions\.0\.transformer_blocks\.(\d+)\.") for level in levels]
    middle = _count(shapes, r"mid_block\.attentions\.0\.transformer_blocks\.(\d+)\.")
    texts = [shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")]
    linear = any(len(shape) == 2 for name, shape in shapes.items() if name.endswith("proj_in.weight"))
    blocks = range(_count(shapes, r"controlnet_cond_embedding\.blocks\.(\d+)\."))
    hint = [shapes[f"controlnet_cond_embedding.blocks.{block}.weight"][0] for block in blocks]
    first = shapes["controlnet_cond_embedding.conv_in.weight"]
    added = shapes.get("add_embedding.linear_1.weight")
    found: dict[str, Any] = {
        "in_channels": shapes["conv_in.weight"][1],
        "conditioning_channels": first[1],
        "conditioning_embedding_out_channels": (first[0], *hint[1::2]),
        "block_out_channels": tuple(channels),
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "layers_per_block": _count(shapes, r"down_blocks\.0\.resnets\.(\d+)\."),
        "transformer_layers_per_block": tuple(depth or middle or 1 for depth in depths),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "cross_attention_dim": texts[0] if texts else 1,
        # diffusers calls it attention_head_dim, but reads it as the number of heads
        "attention_head_dim": tuple(max(1, width // 64) for width in channels) if linear else 8,
        "use_linear_projection": linear,
        "norm_num_groups": next(groups for groups in (32, 16, 8, 4, 2, 1) if channels[0] % groups == 0),
    }
    if added is not None:
        found |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": added[1],
        }
    return found


def t2i(weights: Weights, placement: Placement) -> nn.Module:
    """A `T2IAdapter`."""
    from diffusers.models.adapter import T2IAdapter

    plain = {name.removeprefix("adapter."): tensor for name, tensor in weights.items()}
    full = "conv_in.weight" in plain
    if full and "body.0.resnets.0.block1.weight" not in plain:
        plain = _levelled(plain)
    elif not full:
        plain = {re.sub(r"^(body\.\d+)\.body\.", r"\1.resnets.", name): tensor for name, tensor in plain.items()}
    levels = range(_count(plain, r"body\.(\d+)\."))
    last = "resnets.0.block1.weight" if full else "out_conv.weight"
    channels = [plain[f"body.{level}.{last}"].shape[0] for level in levels]
    wide = (plain["conv_in.weight"] if full else plain["body.0.in_conv.weight"]).shape[1]
    factor = 16 if wide in (256, 768) else 8
    model = T2IAdapter(
        in_channels=wide // factor**2,
        channels=channels if full else channels[:-1],
        num_res_blocks=_count(plain, r"body\.0\.resnets\.(\d+)\."),
        downscale_factor=factor,
        adapter_type="light_adapter" if not full else "full_adapter" if factor == 8 else "full_adapter_xl",
    )
    named = {f"adapter.{name}": tensor for name, tensor in plain.items()}
    return parts.filled(model, named, placement.device, placement.dtype)


def _levelled(plain: Weights) -> dict[str, Tensor]:
    """TencentARC's blocks in a row -> those of each level."""
    size = min(int(name.split(".")[1]) for name in plain if name.endswith(".in_conv.weight"))
    found = {}
    for name, tensor in plain.items():
        head, *tail = name.split(".")
        if head == "body":
            level, block = divmod(int(tail[0]), size)
            inner = [] if tail[1] == "in_conv" else ["resnets", str(block)]
            name = ".".join(["body", str(level), *inner, *tail[1:]])
        found[name] = tensor
    return found


def ip_adapter(weights: Weights, placement: Placement) -> Adapter:
    ready = {name: tensor.to(placement.device, torch.float32) for name, tensor in weights.items()}
    return Adapter(ready, dtype=placement.dtype)


_BUILDERS: Mapping[str, Callable[[Weights, Placement], Any]] = {
    marks.CONTROLNET: controlnet,
    marks.T2I: t2i,
    marks.IP_ADAPTER: ip_adapter,
}


def _any(weights: Weights, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in weights)


def _count(names: Mapping[str, Any], pattern: str) -> int:
    """How many different numbers there are where the pattern has its group."""
    return len({match[1] for name in names if (match := re.match(pattern, name))})
