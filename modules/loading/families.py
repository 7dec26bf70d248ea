"""Every model family is a row in a table: how it is recognised, and every fact that is not a tensor shape.

Widths, depths and channel counts are read from shapes (`configs/`), so a 10 MB model and a 7 GB model of one family
load through the same code. A row whose `limit` is set is recognised and listed, and says why it cannot be loaded yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from modules.core.errors import DamagedFile
from modules.loading.header import Header

UNET = "model.diffusion_model."
VAE = "first_stage_model."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latent:
    """The space that is sampled in: pixels / factor, channels, model latent = (vae latent - shift) * scale.

    preview: RGB in -1..1 of one latent pixel is its dot product with these rows (channels x 3): a linear fit.
    """

    channels: int
    scale: float
    preview: tuple[tuple[float, float, float], ...]
    shift: float = 0.0
    factor: int = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTower:
    """One text encoder in the file: key prefix, layout ("clip" or "open_clip"), width of an attention head."""

    prefix: str
    layout: str
    activation: str
    head_width: int = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One row.

    marks: name prefixes that must all be present; absent: prefixes that must not. heads: (count, None) where every
    layer has as many heads, (None, width) where every head has as many channels. prediction: "eps" | "v" | "flow".
    limit: why it cannot be loaded yet ("" = it can).
    """

    id: str
    title: str
    marks: tuple[str, ...]
    absent: tuple[str, ...] = ()
    latent: Latent
    towers: tuple[TextTower, ...] = ()
    heads: tuple[int | None, int | None] = (None, 64)
    prediction: str = "eps"
    native_size: int = 512
    limit: str = ""


_SD_PREVIEW = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))
_SDXL_PREVIEW = (
    (0.3448, 0.4168, 0.4395),
    (-0.1953, -0.0290, 0.0250),
    (0.1074, 0.0886, -0.0163),
    (-0.3730, -0.2499, -0.2088),
)
SD_LATENT = Latent(channels=4, scale=0.18215, preview=_SD_PREVIEW)
SDXL_LATENT = Latent(channels=4, scale=0.13025, preview=_SDXL_PREVIEW)
_NOT_YET = "is recognised, but this version of Easel makes pictures with Stable Diffusion 1 checkpoints only"

CLIP_L = TextTower(prefix="cond_stage_model.transformer.", layout="clip", activation="quick_gelu")

TABLE: tuple[Family, ...] = (
    Family(
        id="sdxl",
        title="Stable Diffusion XL",
        marks=(UNET + "input_blocks.", "conditioner.embedders.1."),
        latent=SDXL_LATENT,
        native_size=1024,
        limit=_NOT_YET,
    ),
    Family(
        id="sdxl-refiner",
        title="Stable Diffusion XL refiner",
        marks=(UNET + "input_blocks.", "conditioner.embedders.0.model."),
        absent=("conditioner.embedders.1.",),
        latent=SDXL_LATENT,
        native_size=1024,
        limit=_NOT_YET,
    ),
    Family(
        id="sd2",
        title="Stable Diffusion 2",
        marks=(UNET + "input_blocks.", "cond_stage_model.model."),
        latent=SD_LATENT,
        limit=_NOT_YET,
    ),
    Family(
        id="sd1",
        title="Stable Diffusion 1",
        marks=(UNET + "input_blocks.", "cond_stage_model.transformer.", VAE),
        latent=SD_LATENT,
        towers=(CLIP_L,),
        heads=(8, None),
    ),
    Family(
        id="sd3",
        title="Stable Diffusion 3",
        marks=(UNET + "joint_blocks.",),
        latent=Latent(channels=16, scale=1.5305, shift=0.0609, preview=()),
        prediction="flow",
        native_size=1024,
        limit=_NOT_YET,
    ),
)


def detect(header: Header) -> Family:
    """The family of a checkpoint. Raises DamagedFile naming the nearest family and what it lacks."""
    for family in TABLE:
        if not missing(family, header) and not any(header.starts_with(prefix) for prefix in family.absent):
            return family
    raise DamagedFile(f"{header.path.name}: {_nearest(header)}")


def missing(family: Family, header: Header) -> list[str]:
    """The marks that the header lacks."""
    return [mark for mark in family.marks if not header.starts_with(mark)]


def obstacle(family: Family, header: Header) -> str | None:
    """Why a recognised checkpoint cannot be used in this version, or None."""
    if family.limit:
        return f"{family.title} {family.limit}."
    inputs = header.shape(UNET + "input_blocks.0.0.weight")[1]
    if inputs != family.latent.channels:
        variant = _VARIANTS.get(inputs, "an unknown variant")
        return f"{family.title} with {inputs} input channels ({variant}) is not supported in this version of Easel."
    return None


_VARIANTS = {9: "an inpainting model", 8: "an instruct-pix2pix model", 5: "a depth model"}
"""Input channels of the UNet -> what they make of it."""


def _nearest(header: Header) -> str:
    def shortfall(family: Family) -> tuple[int, int]:
        lacking = missing(family, header)
        return len(lacking) - len(family.marks), len(lacking)

    nearest = min(TABLE, key=shortfall)
    lacking = missing(nearest, header)
    if len(lacking) == len(nearest.marks):
        return f"no known model family. It holds {_glimpse(header.tensors)}. {_guess(header)}"
    return f"no known model family; nearest is {nearest.title}, without {', '.join(lacking)}*."


def _guess(header: Header) -> str:
    if any("lora_" in name for name in header.tensors):
        return "It looks like a LoRA: put it into models/Lora."
    if header.starts_with("encoder.conv_in.") or header.starts_with("decoder.conv_in."):
        return "It looks like a VAE: put it into models/VAE."
    return "A checkpoint has UNet, VAE and text encoder in one file."


def _glimpse(names: Iterable[str]) -> str:
    some = sorted(names)[:2]
    return ", ".join(some) if some else "no tensors"
