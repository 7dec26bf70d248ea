"""Latents to pictures, and pictures to latents."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from modules.core import device
from modules.core.errors import EaselError
from modules.loading.families import Latent
from modules.loading.tiling import tile

log = logging.getLogger(__name__)

TILE = 512
"""Pixels along a tile's side; tiles overlap by a quarter."""
AROUND = 16
"""Latent pixels of the opposite side that tiles of a seamless picture see beyond its borders."""


@dataclasses.dataclass
class Vae:
    """An AutoencoderKL and the scale of the latent space it serves.

    base: the checkpoint's own network while a separate file's is in its place; file: what that file is known by;
    wider: the number format that it is moved to, for good, where it overflows, None: it is not; remarks: what the user
    should know of the work since `told` was last called. tiled: pictures are worked on in tiles that overlap, which
    takes little memory; a run out of memory turns that on for good. seamless: opposite borders of a
    picture continue each other.
    """

    network: nn.Module
    latent: Latent
    base: nn.Module | None = None
    file: object = None
    wider: torch.dtype | None = torch.float32
    remarks: list[str] = dataclasses.field(default_factory=list)
    tiled: bool = False
    seamless: bool = False

    def put(self, network: nn.Module | None, file: object) -> None:
        """Work with another network from now on, or with the checkpoint's own (None), which nobody has touched."""
        own, present = self.network if self.base is None else self.base, self.network
        self.network = (own if network is None else network).to(next(present.parameters()).device)
        self.base, self.file = (None, None) if network is None else (own, file)
        if present is not self.network:
            present.to(torch.device("cpu"))

    def told(self) -> tuple[str, ...]:
        """The remarks; then there are none."""
        remarks, self.remarks = tuple(dict.fromkeys(self.remarks)), []
        return remarks

    def decode(self, latent: Tensor) -> Tensor:
        """One latent (C, H, W) -> pixels (3, 8H, 8W), float32 in 0..1. Raises EaselError where it overflows and may not
        be moved to a wider format.
        """
        pixels = self._decode(latent)
        if not torch.isfinite(pixels).all():
            self._widen()
            pixels = self._decode(latent)
        return ((pixels + 1) / 2).clamp(0, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels (3, H, W) in 0..1 -> the latent (C, H/8, W/8) in the middle of the encoder's answer, float32.

        A1111 adds the encoder's own deviation by an unseeded draw; trained encoders keep it below what can be seen, and
        without it the same request makes the same picture. Overflow in half precision: as in `decode`.
        """
        latent = self._encode(pixels)
        if not torch.isfinite(latent).all():
            self._widen()
            latent = self._encode(pixels)
        return latent

    def _widen(self) -> None:
        now = self._dtype()
        overflowed = f"The VAE overflowed in {_name(now)}"
        if now == torch.float32:
            raise EaselError(f"{overflowed}: what it was given is no latent of a picture, or its file is damaged.")
        if self.wider is None or self.wider == now:
            raise EaselError(f"{overflowed}. Turn auto_vae_precision on in Settings, or start with --no-half-vae.")
        remark = f"{overflowed} and runs in {_name(self.wider)} from now on."
        log.warning("%s", remark)
        self.remarks.append(f"{remark} --no-half-vae computes it in float32 from the start.")
        self.network.to(self.wider)

    def _encode(self, pixels: Tensor) -> Tensor:
        given = (pixels.to(self._device(), self._dtype()) * 2 - 1).unsqueeze(0)
        mean: Tensor = self._thrifty("encode", given)[0]
        return (mean.float() - self.latent.shift) * self.latent.scale

    def _decode(self, latent: Tensor) -> Tensor:
        raw = (latent.to(self._dtype()) / self.latent.scale + self.latent.shift).unsqueeze(0)
        pixels: Tensor = self._thrifty("decode", raw)
        return pixels[0].float()

    def _thrifty(self, work: str, given: Tensor) -> Any:
        """The network's answer; when memory runs out, in tiles from now on."""
        if self.tiled:
            self._cut()
        try:
            return self._answer(work, given)
        except RuntimeError as error:
            if self.tiled or not device.out_of_memory(error) or not hasattr(self.network, "enable_tiling"):
                raise
        log.warning("Memory ran out in the VAE, which works in tiles from now on.")
        self.remarks.append("Memory ran out in the VAE: it works in tiles from now on.")
        self.tiled = True
        device.free(self._device())
        self._cut()
        return self._answer(work, given)

    def _answer(self, work: str, given: Tensor) -> Any:
        """Of "decode" the pixels, of "encode" the middle of the latents, for (1, C, H, W).

        Tiles of a seamless picture do not wrap around, each on itself: they are cut from a picture that goes on beyond
        its borders, and what is beyond is cut off again.
        """
        factor = self.latent.factor
        side, around = (TILE, AROUND * factor) if work == "encode" else (TILE // factor, AROUND)
        wrapped = self.seamless and self.tiled and max(given.shape[-2:]) > side
        tile(self.network, self.seamless and not wrapped)
        if not wrapped:
            return self._raw(work, given)
        height, width = given.shape[-2:]
        beyond = [min(around, length) for length in (width, height)]
        answer = self._raw(work, functional.pad(given, (beyond[0],) * 2 + (beyond[1],) * 2, mode="circular"))
        (left, wide), (top, high) = (
            (part // factor, length // factor) if work == "encode" else (part * factor, length * factor)
            for part, length in zip(beyond, (width, height), strict=True)
        )
        return answer[..., top : top + high, left : left + wide]

    def _raw(self, work: str, given: Tensor) -> Tensor:
        network: Any = self.network
        made = (
            network.encode(given).latent_dist.mode()
            if work == "encode"
            else network.decode(given, return_dict=False)[0]
        )
        answer: Tensor = made
        return answer

    def _cut(self) -> None:
        """Let the network work in tiles of TILE pixels."""
        network: Any = self.network
        network.enable_tiling()
        network.tile_sample_min_size = TILE
        network.tile_latent_min_size = TILE // self.latent.factor

    def _dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    def _device(self) -> torch.device:
        return next(self.network.parameters()).device


def wider(options: Mapping[str, Any]) -> torch.dtype | None:
    """What these options let a VAE be moved to where it overflows."""
    if options["auto_vae_precision_bfloat16"]:
        return torch.bfloat16
    return torch.float32 if options["auto_vae_precision"] else None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def to_image(pixels: Tensor) -> Image.Image:
    """pixels (3, H, W) in 0..1 -> an RGB picture. Truncated, not rounded, to 8 bits: A1111 does so."""
    levels = (pixels * 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    return Image.fromarray(levels.cpu().numpy(), "RGB")


def of_image(image: Image.Image) -> Tensor:
    """An RGB picture -> pixels (3, H, W) in 0..1, float32."""
    levels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255.0
    return torch.from_numpy(np.moveaxis(levels, 2, 0).copy())
