"""What models with further input channels are shown beside the noise: a picture with a hole in it and the hole's mask,
the picture that is to be edited, or its depth.

`img2img` and hires fix ask `shown`, text to image asks `blank`.
"""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from modules.generate.plan import Plan
from modules.generate.studio import Studio
from modules.imaging.resize import resize
from modules.loading.families import DEPTH, EDITING, INPAINTING
from modules.loading.loader import Model
from modules.loading.vae import of_image


def blank(model: Model, work: Plan, count: int) -> Tensor | None:
    """For `count` pictures made of text alone (count, C', H/8, W/8); None for a plain model. Raises EaselError."""
    if not model.variant:
        return None
    if model.variant == DEPTH:
        factor = model.family.latent.factor
        return torch.zeros(count, 1, work.height // factor, work.width // factor, device=model.placement.device)
    grey = torch.full((3, work.height, work.width), 0.5, device=model.placement.device)
    latent = _encoded(model, grey)
    if model.variant == EDITING:
        return torch.zeros_like(latent).expand(count, -1, -1, -1)
    mask = torch.ones_like(latent[:, :1])
    return torch.cat([mask, latent], dim=1).expand(count, -1, -1, -1)


def shown(
    studio: Studio, model: Model, work: Plan, picture: Image.Image, mask: Image.Image | None, *, rounded: bool
) -> Tensor | None:
    """For an RGB picture of which the mask (L, white may change; None: all of it) may change (1, C', H/8, W/8).

    None for a plain model. Raises EaselError.
    """
    if not model.variant:
        return None
    size = (work.height // model.family.latent.factor, work.width // model.family.latent.factor)
    if model.variant == DEPTH:
        return studio.depth.tell(picture, size).to(model.placement.device)
    pixels = of_image(picture).to(model.placement.device)
    if model.variant == EDITING:
        facts = model.family.latent
        return _sized(_encoded(model, pixels) / facts.scale + facts.shift, size)
    hole = torch.ones_like(pixels[:1]) if mask is None else _levels(resize(mask, picture.size), rounded).to(pixels)
    weight: float = work.options["inpainting_mask_weight"]
    holed = torch.lerp(pixels, pixels * (1 - hole) + 0.5 * hole, weight)
    small = functional.interpolate(hole.unsqueeze(0), size=size)
    return torch.cat([small, _sized(_encoded(model, holed), size)], dim=1)


def _levels(mask: Image.Image, rounded: bool) -> Tensor:
    """(1, H, W) in 0..1."""
    levels = of_image(mask)[:1]
    return levels.round() if rounded else levels


def _encoded(model: Model, pixels: Tensor) -> Tensor:
    """(3, H, W) in 0..1 -> (1, C, H/8, W/8)."""
    model.residency.use("vae")
    return model.vae.encode(pixels).unsqueeze(0)


def _sized(latent: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(latent.shape[-2:]) == size:
        return latent
    return functional.interpolate(latent, size=size, mode="bilinear")


def is_editing(model: Model) -> bool:
    """Whether it is shown a picture to edit."""
    return model.variant == EDITING


def is_flat(model: Model, studio: Studio) -> bool:
    """Whether it is shown depth, and nobody can tell any."""
    return model.variant == DEPTH and studio.depth.folder is None


def is_inpainting(model: Model) -> bool:
    """Whether it is shown a mask."""
    return model.variant == INPAINTING
