"""torchvision's transforms on Pillow and torch, for extensions: Easel works without torchvision.

Pictures are Pillow's or tensors (..., C, H, W). Names and meanings are torchvision's.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as tensors

from modules.core.errors import EaselError

__version__ = "0.0.0+easel"


class InterpolationMode(enum.Enum):
    """How to scale."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PILLOW = {
    **{"nearest": Image.Resampling.NEAREST, "nearest-exact": Image.Resampling.NEAREST, "box": Image.Resampling.BOX},
    **{"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC},
    **{"hamming": Image.Resampling.HAMMING, "lanczos": Image.Resampling.LANCZOS},
}
_BY_NUMBER = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


def pil_to_tensor(pic: Image.Image) -> Tensor:
    """uint8 (C, H, W)."""
    values = torch.from_numpy(np.array(pic))
    return values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()


def to_tensor(pic: Any) -> Tensor:
    """A picture, or an array (H, W, C) of bytes or floats -> float (C, H, W); bytes become 0..1."""
    if isinstance(pic, Image.Image):
        found = pil_to_tensor(pic)
    else:
        values = torch.from_numpy(np.ascontiguousarray(pic))
        found = values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()
    return found.float() / 255 if found.dtype == torch.uint8 else found


def to_pil_image(pic: Any, mode: str | None = None) -> Image.Image:
    """float (C, H, W) in 0..1, bytes of this shape, or an array (H, W, C) -> a picture."""
    if isinstance(pic, Tensor):
        pic = pic[None] if pic.ndim == 2 else pic
        pic = pic.detach().cpu()
        pic = (pic.mul(255).byte() if pic.is_floating_point() else pic.byte()).permute(1, 2, 0).numpy()
    values = pic[..., 0] if pic.ndim == 3 and pic.shape[2] == 1 else pic
    made = Image.fromarray(np.ascontiguousarray(values))
    return made.convert(mode) if mode and mode != made.mode else made


def _sides(img: Any) -> tuple[int, int]:
    return (img.height, img.width) if isinstance(img, Image.Image) else (int(img.shape[-2]), int(img.shape[-1]))


def _target(img: Any, size: Any, most: int | None) -> tuple[int, int]:
    """(height, width); a number is the shorter side's."""
    if not isinstance(size, int) and len(size) == 2:
        return int(size[0]), int(size[1])
    short = size if isinstance(size, int) else int(size[0])
    height, width = _sides(img)
    less, more = min(height, width), max(height, width)
    long = int(short * more / less)
    if most is not None and long > most:
        short, long = int(most * short / long), most
    return (short, long) if height <= width else (long, short)


def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: Any = True,
) -> Any:
    """size (height, width), or the shorter side."""
    way = interpolation.value if isinstance(interpolation, enum.Enum) else interpolation
    way = _BY_NUMBER.get(way, way) if isinstance(way, int) else str(way)
    height, width = _target(img, size, max_size)
    if isinstance(img, Image.Image):
        return img.resize((width, height), _PILLOW[way])
    batch = img if img.ndim == 4 else img.reshape(1, -1, *img.shape[-2:])
    whole = not img.is_floating_point()
    smooth = way in ("bilinear", "bicubic")
    more: dict[str, Any] = {"align_corners": False, "antialias": bool(antialias)} if smooth else {}
    made = tensors.interpolate(batch.float() if whole else batch, size=(height, width), mode=way, **more)
    made = made.round().clamp(0, 255).to(img.dtype) if whole else made
    return made.reshape(*img.shape[:-2], height, width)


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """(..., C, H, W): minus mean, by std, a number a channel."""
    middle, width = (tensor.new_tensor(list(each)).view(-1, 1, 1) for each in (mean, std))
    return tensor.sub_(middle).div_(width) if inplace else (tensor - middle) / width


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """What lies beyond the edge is black."""
    if isinstance(img, Image.Image):
        return img.crop((left, top, left + width, top + height))
    high, wide = _sides(img)
    beyond = (max(-left, 0), max(left + width - wide, 0), max(-top, 0), max(top + height - high, 0))
    top, left = top + beyond[2], left + beyond[0]
    return tensors.pad(img, beyond)[..., top : top + height, left : left + width]


def center_crop(img: Any, output_size: Any) -> Any:
    height, width = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
    high, wide = _sides(img)
    return crop(img, round((high - height) / 2), round((wide - width) / 2), height, width)


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """padding: all sides; (left and right, top and bottom); or left, top, right, bottom."""
    sides = [padding] if isinstance(padding, int) else list(padding)
    left, top, right, bottom = (sides * 4)[:4] if len(sides) < 3 else sides
    picture = isinstance(img, Image.Image)
    values = pil_to_tensor(img).float() if picture else img
    named = {"edge": "replicate"}.get(padding_mode, padding_mode)
    more = {"value": fill} if named == "constant" and isinstance(fill, int | float) else {}
    made = tensors.pad(values[None], (left, right, top, bottom), mode=named, **more)[0]
    return to_pil_image(made.byte()) if picture else made


def hflip(img: Any) -> Any:
    return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if isinstance(img, Image.Image) else img.flip(-1)


def vflip(img: Any) -> Any:
    return img.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if isinstance(img, Image.Image) else img.flip(-2)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    if isinstance(img, Image.Image):
        return img.convert("L") if num_output_channels == 1 else img.convert("L").convert("RGB")
    weights = img.new_tensor([0.2989, 0.587, 0.114]).view(-1, 1, 1)
    made = (img * weights).sum(dim=-3, keepdim=True)
    return made.expand(*made.shape[:-3], num_output_channels, *made.shape[-2:])


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """kernel_size: odd, of both sides or (width, height); sigma: a number or two, by the size where None."""
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    sigmas = [0.15 * each + 0.35 for each in sizes] if sigma is None else sigma
    sigmas = [float(sigmas)] * 2 if isinstance(sigmas, int | float) else (list(sigmas) * 2)[:2]
    picture = isinstance(img, Image.Image)
    values = to_tensor(img) if picture else img
    wide, high = (_bell(size, width, values) for size, width in zip(sizes, sigmas, strict=True))
    kernel = (high[:, None] * wide[None]).expand(values.shape[-3], 1, len(high), len(wide))
    around = (len(wide) // 2, len(wide) // 2, len(high) // 2, len(high) // 2)
    batch = tensors.pad(values.reshape(-1, *values.shape[-3:]).to(kernel), around, mode="reflect")
    made = tensors.conv2d(batch, kernel, groups=values.shape[-3]).reshape(values.shape)
    return to_pil_image(made) if picture else made.to(values.dtype)


def _bell(size: int, sigma: float, like: Tensor) -> Tensor:
    places = torch.linspace(-(size - 1) / 2, (size - 1) / 2, size, device=like.device)
    bell = torch.exp(-0.5 * (places / sigma) ** 2)
    bell = bell / bell.sum()
    return bell.to(like.dtype) if like.is_floating_point() else bell


def rotate(img: Any, angle: float, *_: Any, **__: Any) -> Any:
    """Pictures, and tensors by quarters of a turn."""
    if isinstance(img, Image.Image):
        return img.rotate(angle)
    if angle % 90:
        raise EaselError("Turning a tensor by other than 90 degrees needs torchvision, which is not installed.")
    return torch.rot90(img, int(angle // 90), dims=(-2, -1))


class Compose:
    """One after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, img: Any) -> Any:
        for each in self.transforms:
            img = each(img)
        return img


class _Transform(nn.Module):
    """A function with its arguments."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__()
        self._given, self._named = given, named

    def forward(self, img: Any) -> Any:
        return self.function(img, *self._given, **self._named)

    def function(self, img: Any, *given: Any, **named: Any) -> Any:
        raise NotImplementedError


class ToTensor(_Transform):
    def function(self, img: Any) -> Tensor:
        return to_tensor(img)


class PILToTensor(_Transform):
    def function(self, img: Any) -> Tensor:
        return pil_to_tensor(img)


class ToPILImage(_Transform):
    def function(self, img: Any, mode: str | None = None) -> Image.Image:
        return to_pil_image(img, mode)


class Resize(_Transform):
    def function(self, img: Any, *given: Any, **named: Any) -> Any:
        return resize(img, *given, **named)


class CenterCrop(_Transform):
    def function(self, img: Any, size: Any) -> Any:
        return center_crop(img, size)


class Normalize(_Transform):
    def function(self, img: Any, *given: Any, **named: Any) -> Any:
        return normalize(img, *given, **named)


class Pad(_Transform):
    def function(self, img: Any, *given: Any, **named: Any) -> Any:
        return pad(img, *given, **named)


class Grayscale(_Transform):
    def function(self, img: Any, num_output_channels: int = 1) -> Any:
        return rgb_to_grayscale(img, num_output_channels)


class GaussianBlur(_Transform):
    """sigma: a number, or (lowest, highest) between which each call draws its own."""

    def function(self, img: Any, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> Any:
        low, high = (sigma, sigma) if isinstance(sigma, int | float) else sigma
        drawn = low if low == high else float(torch.empty(1).uniform_(low, high))
        return gaussian_blur(img, kernel_size, drawn)


class RandomHorizontalFlip(_Transform):
    def function(self, img: Any, p: float = 0.5) -> Any:
        return hflip(img) if float(torch.rand(1)) < p else img


class RandomCrop(_Transform):
    def function(self, img: Any, size: Any) -> Any:
        height, width = (size, size) if isinstance(size, int) else size
        high, wide = _sides(img)
        top, left = (int(torch.randint(0, max(1, room + 1), (1,))) for room in (high - height, wide - width))
        return crop(img, top, left, height, width)


class Lambda(_Transform):
    def function(self, img: Any, lambd: Callable[[Any], Any]) -> Any:
        return lambd(img)


def make_grid(tensor: Any, nrow: int = 8, padding: int = 2, normalize: bool = False, **_: Any) -> Tensor:
    """Pictures (B, C, H, W), or a list of them -> one with rows of so many."""
    batch = torch.stack(list(tensor)) if isinstance(tensor, list | tuple) else tensor
    batch = batch[None] if batch.ndim == 3 else batch
    batch = batch.expand(-1, 3, -1, -1) if batch.shape[1] == 1 else batch
    if normalize:
        low, high = batch.min(), batch.max()
        batch = (batch - low) / (high - low).clamp(min=1e-5)
    columns = min(nrow, len(batch))
    height, width = batch.shape[-2] + padding, batch.shape[-1] + padding
    made = batch.new_zeros(
        batch.shape[1], height * math.ceil(len(batch) / columns) + padding, width * columns + padding
    )
    for number, each in enumerate(batch):
        top, left = padding + height * (number // columns), padding + width * (number % columns)
        made[:, top : top + each.shape[-2], left : left + each.shape[-1]] = each
    return made


def save_image(tensor: Any, fp: str | Path, format: str | None = None, **named: Any) -> None:
    to_pil_image(make_grid(tensor, **named).add(0.5 / 255).clamp(0, 1)).save(fp, format=format)


FUNCTIONS: dict[str, Any] = {
    each.__name__: each
    for each in (
        *(pil_to_tensor, to_tensor, to_pil_image, resize, normalize, crop, center_crop, pad, hflip, vflip),
        *(rgb_to_grayscale, gaussian_blur, rotate, InterpolationMode),
    )
}
ALL: dict[str, Any] = {
    each.__name__: each
    for each in (
        *(InterpolationMode, Compose, ToTensor, PILToTensor, ToPILImage, Resize, CenterCrop, Normalize, Pad, Grayscale),
        *(GaussianBlur, RandomHorizontalFlip, RandomCrop, Lambda),
    )
}
