"""A file of an image-to-image network -> something to call with pixels. spandrel knows the architectures.

spandrel reads dozens of them (ESRGAN, Real-ESRGAN, SwinIR, DAT, HAT, SCUNet, GFPGAN, …) from names and shapes of their
weights. It is an optional part: without it, everything else works and `library` says what to install.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.machinery
import importlib.util
import logging
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from modules.core.device import Placement
from modules.core.errors import DamagedFile, EaselError
from modules.imaging.upscale import Bytes, Reals
from modules.loading import loader, opening, pickles

log = logging.getLogger(__name__)

ALIGN = 16
"""Tiles begin at multiples of it, so that networks with attention windows see the same windows as without tiles."""
EXTRA = (
    "spandrel_extra_arches"  # architectures under licences that forbid commercial use: only if the user installed it
)
VISION = "torchvision"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network on its device. channels: of the pictures it takes, 1 or 3; call: (1, C, H, W) in 0..1 -> the same,
    `scale` times as large.
    """

    name: str
    architecture: str
    call: Any
    scale: int
    channels: int
    align: int
    device: torch.device
    dtype: torch.dtype

    def __call__(self, picture: Bytes) -> Reals:
        """RGB (h, w, 3) in 0..255 -> (h * scale, w * scale, 3) in 0..255, not rounded.

        The channels go in as BGR, as in A1111: most of these networks hardly tell the difference, and its pictures are
        made that way. Raises EaselError where the result is not finite.
        """
        with torch.inference_mode():
            planes = torch.from_numpy(np.ascontiguousarray(picture[:, :, ::-1])).to(self.device)
            x = planes.permute(2, 0, 1)[None].to(torch.float32) / 255
            if self.channels == 1:
                x = (x * x.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
            answer: Tensor = self.call(x.to(self.dtype))[0].float()
            if not torch.isfinite(answer).all():
                raise EaselError(f"{self.name} produced numbers that are not finite. Start with --no-half.")
            pixels = (answer.clamp(0, 1) * 255).expand(3, -1, -1).permute(1, 2, 0).flip(2)
            return cast(Reals, pixels.contiguous().cpu().numpy())


GREY = (0.114, 0.587, 0.299)  # of B, G, R, as Pillow weighs them


def load(path: Path, placement: Placement) -> Network:
    """Read a file. Raises DamagedFile naming it, EaselError where spandrel is missing."""
    descriptor = read(path)
    if type(descriptor).__name__ != "ImageModelDescriptor" or descriptor.purpose == "FaceSR":
        kind = descriptor.architecture.name
        raise DamagedFile(f"{path.name}: this is a {kind} network for {descriptor.purpose}, not an upscaler.")
    if descriptor.input_channels not in (1, 3) or descriptor.output_channels not in (1, 3):
        channels = f"{descriptor.input_channels} channels in, {descriptor.output_channels} out"
        raise DamagedFile(f"{path.name}: only networks for grey or RGB pictures are used; this one has {channels}.")
    dtype = fitting_dtype(descriptor, placement)
    descriptor.model.to(device=placement.device, dtype=dtype)
    descriptor.model.eval().requires_grad_(False)
    if placement.channels_last:
        descriptor.model.to(memory_format=torch.channels_last)
    log.info("Loaded %s (%s, %dx).", path.name, descriptor.architecture.name, descriptor.scale)
    return Network(
        name=path.name,
        architecture=descriptor.architecture.id,
        call=descriptor,
        scale=descriptor.scale,
        channels=descriptor.input_channels,
        align=max(ALIGN, descriptor.size_requirements.multiple_of),
        device=placement.device,
        dtype=dtype,
    )


def fitting_dtype(descriptor: Any, placement: Placement) -> torch.dtype:
    """The placement's number format, or one that the architecture can do."""
    able = {torch.float16: descriptor.supports_half, torch.bfloat16: descriptor.supports_bfloat16}
    if placement.dtype == torch.float16 and not able[torch.float16] and able[torch.bfloat16]:
        return torch.bfloat16
    return placement.dtype if able.get(placement.dtype, True) else torch.float32


def read(path: Path) -> Any:
    """A file -> spandrel's descriptor of the network, on the CPU. Raises DamagedFile, EaselError."""
    spandrel = library()
    weights = spandrel.canonicalize_state_dict(_weights(path))
    try:
        return spandrel.MAIN_REGISTRY.load(weights)
    except spandrel.UnsupportedModelError as error:
        raise DamagedFile(f"{path.name}: its network is of no kind that spandrel knows.") from error
    except (RuntimeError, KeyError, ValueError, IndexError, AssertionError, AttributeError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedFile(f"{path.name}: not a complete network ({reason}).") from error


def _weights(path: Path) -> dict[str, Any]:
    """Named tensors (perhaps one table further in). Nothing in a file is ever run: plain data and tensors only."""
    try:
        found: Any = opening.mapped(path) if path.suffix.lower() == ".safetensors" else pickles.unpickled(path)
    except OSError as error:
        raise DamagedFile(f"{path.name}: {error.strerror or error}.") from error
    if not isinstance(found, dict) or not found:
        raise DamagedFile(f"{path.name}: holds no table of weights.")
    return found


@functools.cache
def library() -> Any:
    """spandrel, with the extra architectures if they are installed. Raises EaselError saying how to get it."""
    if importlib.util.find_spec("spandrel") is None:
        raise EaselError(
            "Upscaler and face networks are read by the package spandrel, which is not installed. Start once without "
            "--skip-install, or install what requirements.txt names; None, Lanczos and Nearest work without it."
        )
    loader.import_libraries()  # they ask whether there is torchvision: before something stands in for it
    with _something_like_torchvision():
        spandrel = importlib.import_module("spandrel")
        if importlib.util.find_spec(EXTRA) is not None:
            importlib.import_module(EXTRA).install(ignore_duplicates=True)
    return spandrel


@contextmanager
def _something_like_torchvision() -> Iterator[None]:
    """spandrel imports three names of torchvision for two architectures that upscale nothing. Where torchvision is
    absent, or was built for another torch, others stand in while spandrel is imported.
    """
    if _works(VISION):
        yield
        return
    functional = _module(f"{VISION}.transforms.functional", normalize=_normalized, rotate=_refused)
    functional.InterpolationMode = type("InterpolationMode", (), {"BILINEAR": "bilinear"})  # type: ignore[attr-defined]
    transforms = _module(f"{VISION}.transforms", functional=functional)
    stand_ins = {module.__name__: module for module in (_module(VISION, transforms=transforms), transforms, functional)}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)


def _works(name: str) -> bool:
    """Whether the package can be imported. One that was built for another torch raises RuntimeError, or cannot find
    its libraries (OSError).
    """
    if importlib.util.find_spec(name) is None:
        return False
    try:
        importlib.import_module(name)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        log.warning("%s does not fit this torch and is not used: %s", name, error)
        return False
    return True


def _module(name: str, **contents: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__path__ = []
    vars(module).update(contents)
    return module


def _normalized(x: Tensor, mean: list[float], std: list[float], inplace: bool = False) -> Tensor:
    """(…, C, H, W): minus mean, by std, a number a channel."""
    middle, width = (x.new_tensor(values).view(-1, 1, 1) for values in (mean, std))
    return x.sub_(middle).div_(width) if inplace else (x - middle) / width


def _refused(*_: Any, **__: Any) -> Tensor:
    raise EaselError("LaMa networks that rotate need torchvision, which is not installed.")
