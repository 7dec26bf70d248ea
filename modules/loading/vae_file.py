"""A separate VAE file to a network that takes the place of a checkpoint's own. Called by the shelf."""

from __future__ import annotations

import importlib

import torch
from torch import nn

from modules.core.device import Placement
from modules.core.errors import DamagedFile
from modules.loading import ldm_names, opening
from modules.loading.families import VAE, Family
from modules.loading.header import Header, TensorInfo
from modules.loading.parts import Source, Weights
from modules.loading.vaes import FIRSTS, VaeFile


def read(file: VaeFile, family: Family, placement: Placement, home: torch.device) -> nn.Module:
    """The VAE in a file, on `home`, in the number format of VAEs.

    Raises DamagedFile where it is incomplete, or made for latents of another family.
    """
    weights = {VAE + name: tensor for name, tensor in named(opening.tensors(file.path)).items()}
    infos = {name: TensorInfo("", tuple(tensor.shape)) for name, tensor in weights.items()}
    header = Header(file.path, infos, {})
    first = next(name for name in FIRSTS if VAE + name in infos or name == FIRSTS[-1])
    channels = header.shape(VAE + first)[1]
    if channels != family.latent.channels:
        raise DamagedFile(
            f"{file.name}: this VAE is for latents of {channels} channels; {family.title} has {family.latent.channels}."
        )
    source = Source(header=header, family=family, weights=weights, placement=placement, home=home)
    try:
        module, _, function = family.autoencoder.partition(":")
        made: nn.Module = getattr(importlib.import_module(module), function)(source)
        return made
    except (KeyError, StopIteration, RuntimeError, ValueError) as error:
        raise DamagedFile(f"{file.name}: not a complete VAE ({error}).") from error


def named(weights: Weights) -> dict[str, torch.Tensor]:
    """The VAE's tensors as a checkpoint has them behind "first_stage_model.": from a VAE file, which may have that
    prefix, diffusers' names and leftovers of training.
    """
    if any(name.startswith(VAE) for name in weights):
        weights = {name.removeprefix(VAE): tensor for name, tensor in weights.items() if name.startswith(VAE)}
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(("loss", "model_ema."))}
    if not any(".down_blocks." in name for name in kept):
        return kept
    renamed = ldm_names.vae(kept)
    return {
        renamed[name]: tensor[:, :, None, None] if ".attn_1." in renamed[name] and tensor.dim() == 2 else tensor
        for name, tensor in kept.items()
    }
