"""Every model family is a row in a table: how it is recognised, and every fact that is not a tensor shape.

Widths, depths and channel counts are read from shapes (`configs/`), so a 10 MB model and a 7 GB model of one family
load through the same code. A row whose `limit` is set is recognised and listed, and says why it cannot be loaded yet.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable

from modules.core.errors import DamagedFile
from modules.loading.family import ROOTS, UNET, VAE, Family, Latent, Scene, TextTower
from modules.loading.header import Header
from modules.loading.mmdit.rows import ROWS as TRANSFORMERS

__all__ = ["DEPTH", "EDITING", "INPAINTING", "TABLE", "UNET", "VAE", "Family", "Latent", "TextTower"]

INPAINTING, EDITING, DEPTH = "inpainting", "editing", "depth"
"""Variants by what further input channels show: masked picture and mask, the picture to change, its depth."""

USUAL_GUIDANCE = 7.0
"""The CFG scale of models that ask for none, as in A1111."""

_SD_PREVIEW = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))
_SDXL_PREVIEW = (
    (0.3448, 0.4168, 0.4395),
    (-0.1953, -0.0290, 0.0250),
    (0.1074, 0.0886, -0.0163),
    (-0.3730, -0.2499, -0.2088),
)
SD_LATENT = Latent(channels=4, scale=0.18215, preview=_SD_PREVIEW, tiny="taesd")
SDXL_LATENT = Latent(channels=4, scale=0.13025, preview=_SDXL_PREVIEW, tiny="taesdxl")

CLIP_L = TextTower(prefix="cond_stage_model.transformer.", layout="clip", activation="quick_gelu")
CLIP_H = TextTower(prefix="cond_stage_model.model.", layout="open_clip", activation="gelu", layer="penultimate")
XL_CLIP_L = dataclasses.replace(CLIP_L, prefix="conditioner.embedders.0.transformer.", layer="hidden")
XL_CLIP_G = dataclasses.replace(CLIP_H, prefix="conditioner.embedders.1.model.", layer="hidden", pooled=True)
REFINER_CLIP_G = dataclasses.replace(XL_CLIP_G, prefix="conditioner.embedders.0.model.")

_UNET = UNET + "input_blocks."


def sdxl_ids(scene: Scene) -> tuple[float, ...]:
    """Original size, crop, size (Podell et al. 2023, https://arxiv.org/abs/2307.01952, section 2.2)."""
    return (scene.height, scene.width, scene.crop_top, scene.crop_left, scene.height, scene.width)


def refiner_ids(scene: Scene) -> tuple[float, ...]:
    """Original size, crop, aesthetic score."""
    return (scene.height, scene.width, scene.crop_top, scene.crop_left, scene.aesthetic)


TABLE: tuple[Family, ...] = (
    *(
        Family(
            id=id,
            title=title,
            marks=(_UNET, "conditioner.embedders.1.model.", mark),
            latent=SDXL_LATENT,
            native_size=1024,
            limit="is recognised, but its continuous noise levels (EDM) are not supported in this version of Easel",
        )
        for id, title, mark in (("playground", "Playground 2.5", "edm_mean"), ("cosxl", "CosXL", "edm_vpred."))
    ),
    Family(
        id="sdxl",
        title="Stable Diffusion XL",
        marks=(_UNET, "conditioner.embedders.1.model."),
        latent=SDXL_LATENT,
        towers=(XL_CLIP_L, XL_CLIP_G),
        inputs={4: "", 9: INPAINTING},
        ids=sdxl_ids,
        native_size=1024,
    ),
    Family(
        id="sdxl-refiner",
        title="Stable Diffusion XL refiner",
        marks=(_UNET, "conditioner.embedders.0.model."),
        absent=("conditioner.embedders.1.",),
        latent=SDXL_LATENT,
        towers=(REFINER_CLIP_G,),
        ids=refiner_ids,
        native_size=1024,
    ),
    Family(
        id="sd2-unclip",
        title="Stable Diffusion 2 unCLIP",
        marks=(_UNET, "cond_stage_model.model.", "embedder.model."),
        latent=SD_LATENT,
        towers=(CLIP_H,),
        prediction="v",
    ),
    Family(
        id="sd2-depth",
        title="Stable Diffusion 2 depth",
        marks=(_UNET, "cond_stage_model.model.", "depth_model."),
        latent=SD_LATENT,
        towers=(CLIP_H,),
        inputs={5: DEPTH},
    ),
    Family(
        id="sd2",
        title="Stable Diffusion 2",
        marks=(_UNET, "cond_stage_model.model."),
        latent=SD_LATENT,
        towers=(CLIP_H,),
        prediction="",
        inputs={4: "", 5: DEPTH, 9: INPAINTING},
    ),
    Family(
        id="sd1",
        title="Stable Diffusion 1",
        marks=(_UNET, "cond_stage_model.transformer.", VAE),
        latent=SD_LATENT,
        towers=(CLIP_L,),
        heads=(8, None),
        inputs={4: "", 5: DEPTH, 8: EDITING, 9: INPAINTING},
    ),
    *TRANSFORMERS,
)


_added: tuple[Family, ...] = ()


def rows() -> tuple[Family, ...]:
    """Those of `TABLE`, behind those that extensions add."""
    return (*_added, *TABLE)


def add(family: Family) -> Callable[[], None]:
    """One more family, asked before Easel's own -> a function that takes it out again. ValueError: its id is taken."""
    global _added
    if any(family.id == other.id for other in rows()):
        raise ValueError(f'there is a model family "{family.id}" already')
    _added = (*_added, family)

    def remove() -> None:
        global _added
        _added = tuple(other for other in _added if other is not family)

    return remove


def detect(header: Header) -> Family:
    """The family of a checkpoint. Raises DamagedFile naming the nearest family and what it lacks."""
    for family in rows():
        if not missing(family, header) and not any(_has(header, mark) for mark in family.absent):
            return _own_colours(family, header)
    raise DamagedFile(f"{header.path.name}: {_nearest(header)}")


def _own_colours(family: Family, header: Header) -> Family:
    """A model with latents of its own says in its metadata which colours they show ("easel.preview": rows and base)."""
    if "easel.preview" not in header.metadata:
        return family
    try:
        *rows, base = [(float(r), float(g), float(b)) for r, g, b in json.loads(header.metadata["easel.preview"])]
    except (TypeError, ValueError):
        return family
    if len(rows) != family.latent.channels:
        return family
    latent = dataclasses.replace(family.latent, preview=tuple(rows), preview_base=base)
    return dataclasses.replace(family, latent=latent)


def text_widths(header: Header) -> tuple[int, ...]:
    """Channels of a token in each CLIP tower of a checkpoint, in order. Raises DamagedFile for no known family."""
    towers = detect(header).towers
    tables = {name: info.shape[1] for name, info in header.tensors.items() if name.endswith("token_embedding.weight")}
    return tuple(width for tower in towers for name, width in tables.items() if name.startswith(tower.prefix))


def missing(family: Family, header: Header) -> list[str]:
    """The marks that the header lacks."""
    return [mark for mark in family.marks if not _has(header, mark)]


def _has(header: Header, mark: str) -> bool:
    """Whether a name begins so; "*" is any of ROOTS."""
    if not mark.startswith("*"):
        return header.starts_with(mark)
    return any(header.starts_with(root + mark[1:]) for root in ROOTS)


def space(family: str | None) -> tuple[object, ...] | None:
    """What two families (by id) must share to work on one picture: latents and the way noise is mixed in."""
    row = next((row for row in rows() if row.id == family), None)
    return None if row is None else (row.latent.channels, row.latent.factor, row.prediction == "flow")


def native_size(header: Header) -> int:
    """The side in pixels that a model was made for: as its metadata ("modelspec.resolution") or its family has it."""
    told = re.match(r"(\d+)", header.metadata.get("modelspec.resolution", ""))
    return int(told[1]) if told and 8 <= int(told[1]) <= 4096 else detect(header).native_size


def guidance(header: Header) -> float:
    """The CFG scale that a model's metadata asks for ("easel.cfg_scale", 1..30), else the usual one."""
    try:
        told = float(header.metadata.get("easel.cfg_scale", ""))
    except ValueError:
        return USUAL_GUIDANCE
    return told if 1 <= told <= 30 else USUAL_GUIDANCE


def obstacle(family: Family, header: Header) -> str | None:
    """Why a recognised checkpoint cannot be used in this version, or None."""
    if family.limit:
        return f"{family.title} {family.limit}."
    if header.starts_with(_UNET) and (inputs := _inputs(header)) not in family.inputs:
        return f"{family.title} with {inputs} input channels is a variant that Easel does not know."
    return None


def variant(family: Family, header: Header) -> str:
    """What the input channels make of a UNet: INPAINTING, EDITING, DEPTH, or "" for a plain one."""
    return family.inputs[_inputs(header)] if header.starts_with(_UNET) else ""


def _inputs(header: Header) -> int:
    return header.shape(_UNET + "0.0.weight")[1]


def _nearest(header: Header) -> str:
    def shortfall(family: Family) -> tuple[int, int]:
        lacking = missing(family, header)
        return len(lacking) - len(family.marks), len(lacking)

    nearest = min(rows(), key=shortfall)
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
