"""The UNet of SD1, SD2 and SDXL as `UNetModel` of the original code: see `blocks`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.compat.original.blocks import (
    Downsample,
    ResBlock,
    Shown,
    SpatialTransformer,
    TimestepEmbedSequential,
    Upsample,
)


class UNetModel(Shown):
    """x (B, C, H, W), timesteps (B,), context (B, M, C'), y (B, V) for SDXL -> (B, 4, H, W).

    Places (`input_blocks[3]` …) are called one by one when an extension hangs on one; else diffusers' own forward runs.
    """

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.time_embed = _stack(real.time_embedding)
        if (label := _label(real)) is not None:
            self.label_emb = nn.Sequential(_stack(label))
        self.input_blocks = nn.ModuleList([TimestepEmbedSequential(real.conv_in), *_down(real)])
        middle = real.mid_block
        self.middle_block = TimestepEmbedSequential(*_paired(middle, 0), ResBlock(middle.resnets[1]))
        self.output_blocks = nn.ModuleList(_up(real))
        self.out = nn.Sequential(real.conv_norm_out, real.conv_act, real.conv_out)
        self.in_channels, self.out_channels = real.config.in_channels, real.config.out_channels
        self.model_channels: int = real.config.block_out_channels[0]
        self.num_classes = None if label is None else "sequential"
        for name, module in self.named_modules():
            module.__dict__["network_layer_name"] = f"diffusion_model_{name}".replace(".", "_")

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def _places(self) -> list[nn.Module]:
        return [*self.input_blocks, self.middle_block, *self.output_blocks, self.out, self.time_embed]

    def forward(
        self, x: Tensor, timesteps: Any = None, context: Any = None, y: Tensor | None = None, **_: Any
    ) -> Tensor:
        more = dict(self._more)
        if y is not None and not more:
            more = self._told_of(y)
        apart = more.get("down_intrablock_additional_residuals") is None and any(map(hung_on, self._places()))
        if apart:
            return self._in_order(x, timesteps, context, more)
        return type(self._real).forward(self._real, x, timesteps, context, **{**more, "return_dict": False})[0]

    def _asked(
        self, sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, return_dict: bool = True, **more: Any
    ) -> Any:
        times = torch.as_tensor(timestep, device=sample.device).expand(len(sample))
        said = {"context": encoder_hidden_states}
        if (y := self._vector(more, len(sample))) is not None:
            said["y"] = y
        made = self._telling(more, lambda: self(sample, times, **said))
        if not return_dict:
            return (made,)
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

        return UNet2DConditionOutput(sample=made)

    def _vector(self, more: dict[str, Any], count: int) -> Tensor | None:
        """SDXL's `y`: what the pooled text says, then the numbers as waves."""
        added = more.get("added_cond_kwargs")
        if not added or "time_ids" not in added:
            return more.get("class_labels")
        text = added["text_embeds"]
        waves = self._real.add_time_proj(added["time_ids"].flatten()).reshape(count, -1)
        return torch.cat([text, waves.to(text)], dim=1)

    def _told_of(self, y: Tensor) -> dict[str, Any]:
        """The call of somebody who comes with `y` alone. Only unCLIP's is told as it is."""
        return {"class_labels": y} if self._real.config.class_embed_type == "projection" else {}

    def _in_order(self, x: Tensor, timesteps: Any, context: Any, more: dict[str, Any]) -> Tensor:
        """As the original works: place by place, what went down coming back on the way up."""
        emb = self._embedded(x, timesteps, context, more)
        kept: list[Tensor] = []
        for place in self.input_blocks:
            x = place(x, emb, context)
            kept.append(x)
        if (steered := more.get("down_block_additional_residuals")) is not None:
            kept = [each + by for each, by in zip(kept, steered, strict=True)]
        x = self.middle_block(x, emb, context)
        if (by := more.get("mid_block_additional_residual")) is not None:
            x = x + by
        for place in self.output_blocks:
            skip = kept.pop()
            if x.shape[-2:] != skip.shape[-2:]:
                x = functional.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = place(torch.cat([x, skip], dim=1), emb, context)
        return self.out(x)

    def _embedded(self, x: Tensor, timesteps: Any, context: Any, more: dict[str, Any]) -> Tensor:
        real = self._real
        emb = self.time_embed(real.get_time_embed(sample=x, timestep=timesteps))
        label = real.get_class_embed(sample=x, class_labels=more.get("class_labels"))
        emb = emb if label is None else emb + label
        added = more.get("added_cond_kwargs")
        further = real.get_aug_embed(emb=emb, encoder_hidden_states=context, added_cond_kwargs=added)
        return emb if further is None else emb + further


class DiffusionWrapper(nn.Module):
    """`sd_model.model`: the network, and which ways it is told things."""

    def __init__(self, network: nn.Module, conditioning_key: str) -> None:
        super().__init__()
        self.diffusion_model, self.conditioning_key = network, conditioning_key

    def forward(self, x: Tensor, t: Tensor, c_concat: Any = None, c_crossattn: Any = None, c_adm: Any = None) -> Tensor:
        """c_concat, c_crossattn: lists of tensors that stand beside each other; c_adm: a vector."""
        x = torch.cat([x, *(c_concat or ())], dim=1)
        more = {} if c_adm is None else {"y": c_adm}
        return self.diffusion_model(x, t, context=torch.cat(list(c_crossattn), dim=1), **more)


def hung_on(module: nn.Module) -> bool:
    """Whether somebody put hooks or another forward on it."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__)


def _stack(embedding: Any) -> nn.Sequential:
    return nn.Sequential(embedding.linear_1, embedding.act, embedding.linear_2)


def _label(real: Any) -> Any:
    """The layers of SDXL's sizes, of unCLIP's picture, or None."""
    for name in ("add_embedding", "class_embedding"):
        found = getattr(real, name, None)
        if hasattr(found, "linear_1"):
            return found
    return None


def _paired(block: Any, number: int) -> list[nn.Module]:
    """A residual block and, where there is one, its attention."""
    attentions = getattr(block, "attentions", None)
    made: list[nn.Module] = [ResBlock(block.resnets[number])]
    if attentions is not None and number < len(attentions) and attentions[number] is not None:
        made.append(SpatialTransformer(attentions[number]))
    return made


def _down(real: Any) -> list[nn.Module]:
    places: list[nn.Module] = []
    for block in real.down_blocks:
        places += [TimestepEmbedSequential(*_paired(block, number)) for number in range(len(block.resnets))]
        if block.downsamplers is not None:
            places.append(TimestepEmbedSequential(Downsample(block.downsamplers[0])))
    return places


def _up(real: Any) -> list[nn.Module]:
    places: list[nn.Module] = []
    for block in real.up_blocks:
        made = [_paired(block, number) for number in range(len(block.resnets))]
        if block.upsamplers is not None:
            made[-1].append(Upsample(block.upsamplers[0]))
        places += [TimestepEmbedSequential(*each) for each in made]
    return places


def shown(real: nn.Module) -> nn.Module:
    """What shows this UNet: always the same; networks of other kinds show themselves."""
    if "shown" in real.__dict__:
        found: nn.Module = real.__dict__["shown"]
        return found
    if type(real).__name__ != "UNet2DConditionModel" or real.mid_block is None:
        return real
    return UNetModel(real)


def timestep_embedding(timesteps: Tensor, dim: int, max_period: int = 10000, repeat_only: bool = False) -> Tensor:
    """Times (B,) as waves (B, dim): cosines, then sines (Vaswani et al. 2017)."""
    half = dim // 2
    speeds = torch.exp(-math.log(max_period) * torch.arange(half, device=timesteps.device).float() / half)
    angles = timesteps[:, None].float() * speeds[None]
    waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return functional.pad(waves, (0, dim % 2))
