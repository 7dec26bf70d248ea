"""Upscaler files on disk: which folders are searched, what A1111 calls the files it knows, which options tile them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from modules.loading.walking import walk

ENDINGS = (".safetensors", ".pth", ".pt")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A folder of models/. tile, overlap: the options that say how its networks are tiled; part: its word for
    --use-cpu.
    """

    folder: str
    tile: str = "ESRGAN_tile"
    overlap: str = "ESRGAN_tile_overlap"
    part: str = "esrgan"


KINDS = (
    Kind(folder="ESRGAN"),
    Kind(folder="RealESRGAN"),
    Kind(folder="BSRGAN", part="bsrgan"),
    Kind(folder="DAT", tile="DAT_tile", overlap="DAT_tile_overlap"),
    Kind(folder="HAT"),
    Kind(folder="ScuNET", tile="SCUNET_tile", overlap="SCUNET_tile_overlap", part="scunet"),
    Kind(folder="SwinIR", tile="SWIN_tile", overlap="SWIN_tile_overlap", part="swinir"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Known:
    """A file that A1111 offers under a name of its own. stem: the file's name without ending."""

    name: str
    folder: str
    stem: str
    scale: int = 4
    also: tuple[str, ...] = ()


KNOWN = (
    Known(name="ESRGAN_4x", folder="ESRGAN", stem="ESRGAN_4x", also=("ESRGAN",)),
    Known(name="R-ESRGAN General 4xV3", folder="RealESRGAN", stem="realesr-general-x4v3"),
    Known(name="R-ESRGAN General WDN 4xV3", folder="RealESRGAN", stem="realesr-general-wdn-x4v3"),
    Known(name="R-ESRGAN AnimeVideo", folder="RealESRGAN", stem="realesr-animevideov3"),
    Known(name="R-ESRGAN 4x+", folder="RealESRGAN", stem="RealESRGAN_x4plus"),
    Known(name="R-ESRGAN 4x+ Anime6B", folder="RealESRGAN", stem="RealESRGAN_x4plus_anime_6B"),
    Known(name="R-ESRGAN 2x+", folder="RealESRGAN", stem="RealESRGAN_x2plus", scale=2),
    Known(name="DAT x2", folder="DAT", stem="DAT_x2", scale=2),
    Known(name="DAT x3", folder="DAT", stem="DAT_x3", scale=3),
    Known(name="DAT x4", folder="DAT", stem="DAT_x4"),
    Known(name="ScuNET GAN", folder="ScuNET", stem="ScuNET", also=("scunet_color_real_gan", "ScuNET_GAN")),
    Known(name="ScuNET PSNR", folder="ScuNET", stem="scunet_color_real_psnr", also=("ScuNET_PSNR",)),
    Known(
        name="SwinIR 4x",
        folder="SwinIR",
        stem="SwinIR_4x",
        also=("003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN",),
    ),
)
REAL_ESRGAN = tuple(known for known in KNOWN if known.folder == "RealESRGAN")

_BY_STEM = {stem.casefold(): known for known in KNOWN for stem in (known.stem, *known.also)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class UpscalerFile:
    """One file. name: A1111's for those it knows, else the file's own without ending; scale as far as names tell."""

    name: str
    path: Path
    kind: Kind
    scale: float


def scan(folders: Mapping[str, Sequence[Path]], *, hidden: bool = True) -> list[UpscalerFile]:
    """All files below the folders of each kind (by its folder name); no file is opened. Of two with one name the later
    gets its folder's name behind its own. hidden: see `walk`.
    """
    found: dict[str, UpscalerFile] = {}
    for kind in KINDS:
        below = (path for folder in folders.get(kind.folder, ()) for path in walk(folder, hidden=hidden))
        for path in dict.fromkeys(below):
            if path.suffix.lower() not in ENDINGS:
                continue
            known = _BY_STEM.get(path.stem.casefold())
            name = known.name if known else path.stem
            if name.casefold() in found:
                name = f"{name} ({kind.folder})"
            file = UpscalerFile(name=name, path=path, kind=kind, scale=known.scale if known else 4)
            found.setdefault(name.casefold(), file)
    return list(found.values())


def hint(name: str, folders: Mapping[str, Sequence[Path]]) -> str:
    """The way out for an upscaler that A1111 would download: which file to put where; "" for any other name."""
    wanted = name.strip().casefold()
    if wanted == "ldsr":
        return "LDSR is not part of Easel: choose another upscaler."
    for known in KNOWN:
        if known.name.casefold() == wanted and folders.get(known.folder):
            return f"Easel downloads no model: put {known.stem}.pth into {folders[known.folder][0]}."
    return ""
