"""FreeU (Si et al. 2023, https://arxiv.org/abs/2309.11497) and its second version, for UNets of diffusers' layout.

In the decoder each ResNet sees [backbone | skip connection]. Where the backbone has 4 or 2 times the UNet's base
channels its first half is multiplied, and of the skip connection the low frequencies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import BadRequest
from modules.generate.moments import ModelCalled, Sampled, Sampling

Weights = tuple[float, float]
"""(of the backbone, of the skip connection's low frequencies)"""


class FreeU:
    """The listeners of one job."""

    def __init__(self, values: Mapping[str, Any], studio: object, request: object) -> None:
        self._values = values
        self._active = True
        self._calls = 1
        self._remove: list[Callable[[], None]] = []

    def sampling(self, event: Sampling) -> None:
        """Hooks on the model that samples. Raises BadRequest for one that is no UNet."""
        self._calls = event.plan.calls
        unet: Any = event.model.unet
        if not hasattr(unet, "up_blocks"):
            raise BadRequest("FreeU works on UNets (SD1, SD2, SDXL): switch it off for this model.", field="FreeU")
        values = self._values
        base = unet.config.block_out_channels[0]
        weights = {base * 4: (values["b1"], values["s1"]), base * 2: (values["b2"], values["s2"])}
        for block, backbone in decoder(unet):
            if backbone in weights:
                self._hook(block, backbone, weights[backbone])

    def model_called(self, event: ModelCalled) -> None:
        share = event.call / max(self._calls - 1, 1)
        self._active = self._values["start"] <= share <= self._values["end"]

    def sampled(self, event: Sampled) -> None:
        self.close()

    def close(self) -> None:
        while self._remove:
            self._remove.pop()()

    def _hook(self, block: nn.Module, backbone: int, weights: Weights) -> None:
        second = self._values["version"] == "2"

        def before(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not self._active:
                return None
            return (weighed(given[0], backbone, weights, second=second), *given[1:])

        self._remove.append(block.register_forward_pre_hook(before).remove)


def decoder(unet: Any) -> Iterator[tuple[nn.Module, int]]:
    """(ResNet, channels of the backbone among its inputs) of the UNet's second half, in order."""
    backbone = unet.mid_block.resnets[-1].out_channels
    for block in unet.up_blocks:
        for resnet in block.resnets:
            yield resnet, backbone
            backbone = resnet.out_channels


def weighed(joined: Tensor, backbone: int, weights: Weights, *, second: bool) -> Tensor:
    """joined (B, C, H, W), its first `backbone` channels the backbone -> the same with both weighed."""
    main, skip = joined[:, :backbone], joined[:, backbone:]
    half, (strength, low) = backbone // 2, weights
    factor: Tensor | float = strength
    if second:
        mean = main.mean(dim=1, keepdim=True)
        least, most = mean.amin(dim=(2, 3), keepdim=True), mean.amax(dim=(2, 3), keepdim=True)
        factor = (strength - 1) * (mean - least) / (most - least).clamp(min=1e-6) + 1
    return torch.cat([main[:, :half] * factor, main[:, half:], lowered(skip, low)], dim=1).to(joined.dtype)


def lowered(maps: Tensor, factor: float, *, radius: int = 1) -> Tensor:
    """maps (B, C, H, W) with their lowest frequencies (2 * radius along each axis, about zero) multiplied."""
    spectrum = torch.fft.fftshift(torch.fft.fftn(maps.float(), dim=(-2, -1)), dim=(-2, -1))
    row, column = maps.shape[-2] // 2, maps.shape[-1] // 2
    spectrum[..., max(0, row - radius) : row + radius, max(0, column - radius) : column + radius] *= factor
    restored: Tensor = torch.fft.ifftn(torch.fft.ifftshift(spectrum, dim=(-2, -1)), dim=(-2, -1)).real
    return restored.to(maps.dtype)
