"""A checkpoint file as parts to sample from or to train companions of, through the product's own loader."""

from __future__ import annotations

from pathlib import Path

import torch

from modules.core import device as devices
from modules.core.device import Placement
from modules.core.errors import BadRequest, NotFound
from modules.loading import families, loader, opening
from modules.loading.library import Checkpoint
from modules.loading.residency import Residency
from modules.training.sampling import Parts


def device_of(*, cpu: bool) -> torch.device:
    """The accelerator if there is one, unless the CPU is asked for."""
    return devices.choose(use_cpu=("all",) if cpu else ()).device


def parts_of(path: Path, *, cpu: bool = False) -> Parts:
    """The parts of an SD1 checkpoint, in float32. Raises NotFound, DamagedFile, BadRequest for other families."""
    if not path.is_file():
        raise NotFound("checkpoint", str(path))
    device = device_of(cpu=cpu)
    placement = Placement(device=device, dtype=torch.float32, vae_dtype=torch.float32)
    model = loader.load(Checkpoint(path=path, name=path.name), placement, Residency("normal", device))
    if model.family.id != "sd1" or model.variant:
        raise BadRequest(f"{path.name}: {model.family.title} cannot be trained; take a plain Stable Diffusion 1.")
    size = families.native_size(opening.header(path))
    return Parts(unet=model.unet, vae=model.vae.network, tower=model.text.towers["text"], size=size)
