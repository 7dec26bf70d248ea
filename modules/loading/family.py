"""What a row of `families.TABLE` says of a model family. Rows are in `families` and, for transformers, `mmdit.rows`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeAlias

UNET = "model.diffusion_model."
VAE = "first_stage_model."
ROOTS = (UNET, "", "diffusion_model.", "transformer.")
"""Where the names of a denoiser begin in released files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latent:
    """The space that is sampled in: pixels / factor, channels, model latent = (vae latent - shift) * scale.

    preview: RGB in -1..1 of one latent pixel is its dot product with these rows (channels x 3): a linear fit. tiny: how
    the names of its tiny autoencoders begin (see `tiny`).
    """

    channels: int
    scale: float
    preview: tuple[tuple[float, float, float], ...]
    preview_base: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift: float = 0.0
    factor: int = 8
    tiny: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTower:
    """One text encoder in the file: key prefix, layout ("clip" or "open_clip"), width of an attention head.

    layer: which of its states is read: "skip" = the last, or the one that clip skip asks for, after the final norm;
    "penultimate" = the last but one, after the final norm; "hidden" = the last but one as it is. pooled: whether the
    projected state of the end token is asked for too.
    """

    prefix: str
    layout: str
    activation: str
    head_width: int = 64
    layer: str = "skip"
    pooled: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """What a prompt is about beside its words: width and height of the picture in pixels, whether it is a negative
    prompt, where the picture was cropped (pixels), how well people like it (1..10); guidance:
    the scale that a distilled model is told.
    """

    width: int
    height: int
    negative: bool
    crop_top: int
    crop_left: int
    aesthetic: float
    guidance: float = 3.5


Ids: TypeAlias = Callable[[Scene], tuple[float, ...]]
"""The numbers that a network is told of a scene."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One row.

    marks: name prefixes that must all be present; absent: prefixes that must not. A leading "*" stands for any of
    ROOTS: the denoiser may be alone in its file. build: the function that makes the parts, "module:function" (see
    `parts.Builder`); autoencoder: the one that makes a VAE of a file of its own. heads: (count, None) where every layer
    has as many heads, (None, width) where every head has as many channels. prediction: "eps" | "v" | "flow", "" where
    only the network itself can tell. inputs: input channels of the UNet -> what they make of it ("" = a plain model).
    ids: what it is told of a scene. wide: its numbers overflow half precision, bfloat16 takes its place. notes: in an
    infotext, name -> option that only models like it heed. limit: why it cannot be loaded yet ("" = it can).
    """

    id: str
    title: str
    marks: tuple[str, ...]
    absent: tuple[str, ...] = ()
    latent: Latent
    build: str = "modules.loading.ldm:build"
    autoencoder: str = "modules.loading.ldm:autoencoder"
    towers: tuple[TextTower, ...] = ()
    heads: tuple[int | None, int | None] = (None, 64)
    prediction: str = "eps"
    inputs: Mapping[int, str] = dataclasses.field(default_factory=lambda: {4: ""})
    ids: Ids | None = None
    native_size: int = 512
    wide: bool = False
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    limit: str = ""
