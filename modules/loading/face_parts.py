"""Which pixels of an upright face are face: ParseNet, with the names of the published weights (parsing_parsenet.pth).

`faces` asks it, where the user has the file, so that a restored face is laid back without the hair, hat and background
around it. The network is C. Chen et al.'s (PSFRGAN, 2021), the labels are those of CelebAMask-HQ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.nn import functional

from modules.core.device import Placement
from modules.core.errors import DamagedFile
from modules.loading import opening

FILE = "parsing_parsenet.pth"
OTHERS = (0, 14, 16, 17, 18)
"""Labels that are no face: background, hat or hair, ear ring, necklace, clothes. The other fourteen are."""
SOFT = 11.0  # pixels: deviation of the blur, which is laid on twice
BORDER = 10  # pixels that never count


class FaceParts:
    """The network on its device."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network = network
        self._device = device

    def mask(self, square: Image.Image) -> Image.Image:
        """An RGB picture of an upright face -> mode L: white is face, with a soft edge, black at the border."""
        pixels = torch.from_numpy(np.asarray(square, dtype=np.float32).copy()).permute(2, 0, 1)[None]
        with torch.inference_mode():
            labels = self._network((pixels / 127.5 - 1).to(self._device))[0].argmax(0)
        face = ~np.isin(labels.cpu().numpy(), OTHERS)
        soft = Image.fromarray((face * 255).astype(np.uint8))
        for _ in range(2):
            soft = soft.filter(ImageFilter.GaussianBlur(SOFT))
        inner = (BORDER, BORDER, square.width - BORDER, square.height - BORDER)
        framed = Image.new("L", square.size)
        framed.paste(soft.crop(inner), inner)
        return framed


def load(path: Path, placement: Placement) -> FaceParts:
    """Raises DamagedFile for a file that is not this network."""
    weights = opening.tensors(path)
    try:
        network = _Network(weights)
        network.load_state_dict(dict(weights), strict=True)
    except (KeyError, RuntimeError, ValueError) as error:
        raise DamagedFile(f"{path.name}: not the network {FILE} that tells faces from hair ({error}).") from error
    return FaceParts(network.to(placement.device).eval().requires_grad_(False), placement.device)


class _Layer(nn.Module):
    """A convolution over a mirrored border; before it the picture may grow, after it come norm and rectifier."""

    def __init__(self, weights: Mapping[str, Tensor], name: str, *, scale: str = "", active: bool = False) -> None:
        super().__init__()
        after, before, side = weights[f"{name}.conv2d.weight"].shape[:3]
        normed = f"{name}.norm.norm.weight" in weights
        stride = 2 if scale == "down" else 1
        self.conv2d = nn.Conv2d(before, after, side, stride, bias=not normed)
        self.norm = nn.ModuleDict({"norm": nn.BatchNorm2d(after)} if normed else {})
        self._grows, self._active, self._border = scale == "up", active, side // 2

    def forward(self, x: Tensor) -> Tensor:
        if self._grows:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = self.conv2d(functional.pad(x, (self._border,) * 4, mode="reflect"))
        for norm in self.norm.values():
            x = norm(x)
        return functional.leaky_relu(x, 0.2) if self._active else x


class _Block(nn.Module):
    """Two layers beside a way around them."""

    def __init__(self, weights: Mapping[str, Tensor], name: str, scale: str = "") -> None:
        super().__init__()
        first, second = ("up", "") if scale == "up" else ("", scale)
        around = f"{name}.shortcut_func"
        if f"{around}.conv2d.weight" in weights:
            self.shortcut_func: nn.Module = _Layer(weights, around, scale=scale)
        else:
            self.shortcut_func = nn.Identity()
        self.conv1 = _Layer(weights, f"{name}.conv1", scale=first, active=True)
        self.conv2 = _Layer(weights, f"{name}.conv2", scale=second)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.shortcut_func(x) + self.conv2(self.conv1(x))
        return changed


class _Network(nn.Module):
    """(B, 3, H, W) in -1..1 -> a score for each label (B, labels, H, W). Widths and depths are read off the weights."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()

        def blocks(part: str, scale: str = "", first: int = 0) -> list[nn.Module]:
            numbers = {int(found[1]) for name in weights if (found := re.match(rf"{part}\.(\d+)\.", name))}
            return [_Block(weights, f"{part}.{number}", scale) for number in range(first, max(numbers, default=-1) + 1)]

        self.encoder = nn.Sequential(_Layer(weights, "encoder.0"), *blocks("encoder", "down", first=1))
        self.body = nn.Sequential(*blocks("body"))
        self.decoder = nn.Sequential(*blocks("decoder", "up"))
        self.out_img_conv = _Layer(weights, "out_img_conv")
        self.out_mask_conv = _Layer(weights, "out_mask_conv")

    def forward(self, x: Tensor) -> Tensor:
        seen = self.encoder(x)
        scores: Tensor = self.out_mask_conv(self.decoder(seen + self.body(seen)))
        return scores
