"""What saving takes from the options: one frozen value, made once a job, so that a running job does not notice changes.

`generate.save` makes it; `png`, `filenames`, `saving` and `grids` take it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from modules.core.errors import BadRequest

Kind: TypeAlias = Literal["sample", "grid"]

FORMATS = ("png", "jpg", "jpeg", "webp", "avif", "gif")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavePolicy:
    """How pictures of one kind become files. Defaults are A1111's for samples of txt2img."""

    format: str = "png"  # one of FORMATS; also the file's ending
    jpeg_quality: int = 80  # 1..100, also of WebP and AVIF
    webp_lossless: bool = False
    enable_pnginfo: bool = True  # write the infotext into the picture
    save_txt: bool = False  # and into a text file beside it
    outdir: str = "outputs/txt2img-images"  # relative ones lie under the data folder
    basename: str = ""  # comes before the number: "grid" gives grid-0000.png
    pattern: str = ""  # of the name; "" = "[seed]", with "[prompt_spaces]" when save_to_dirs is off
    short: bool = False  # the number is the whole name
    add_number: bool = True
    replace: bool = True  # without a number, an existing file is replaced; else "-1", "-2", … is added
    save_to_dirs: bool = True  # the folder gets a sub-folder named by directories_pattern
    directories_pattern: str = "[date]"
    max_prompt_words: int = 8  # of [prompt_words]
    export_for_4chan: bool = True  # large pictures are saved a second time, as JPG
    limit_megabytes: float = 4.0  # large: a bigger file,
    limit_side: float = 4000.0  # or a longer side in pixels
    n_rows: int = -1  # of grids: -1 = by the number of pictures, 0 = the batch size
    prevent_empty_spots: bool = False
    background: str = "#ffffff"

    @classmethod
    def of(cls, options: Mapping[str, Any], *, kind: Kind = "sample", tab: str = "txt2img") -> SavePolicy:
        """The policy for samples or grids of a tab ("txt2img", "img2img") as the options say.

        Options that are absent have their default. Raises `BadRequest` with the option's key as field for a format
        that is not in `FORMATS`.
        """
        common = _taken(options, _COMMON)
        common["replace"] = options.get("save_images_replace_action", "Replace") == "Replace"
        per_kind = _grid(options, tab) if kind == "grid" else _sample(options, tab)
        return cls(**common | per_kind)


_COMMON = {
    "jpeg_quality": "jpeg_quality",
    "webp_lossless": "webp_lossless",
    "enable_pnginfo": "enable_pnginfo",
    "save_txt": "save_txt",
    "pattern": "samples_filename_pattern",
    "add_number": "save_images_add_number",
    "directories_pattern": "directories_filename_pattern",
    "max_prompt_words": "directories_max_prompt_words",
    "export_for_4chan": "export_for_4chan",
    "limit_megabytes": "img_downscale_threshold",
    "limit_side": "target_side_length",
    "n_rows": "n_rows",
    "prevent_empty_spots": "grid_prevent_empty_spots",
    "background": "grid_background_color",
}
"""field of SavePolicy -> key of the option, for both kinds."""


def _taken(options: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    return {field: options[key] for field, key in keys.items() if key in options}


def _sample(options: Mapping[str, Any], tab: str) -> dict[str, Any]:
    outdir = options.get("outdir_samples") or options.get(f"outdir_{tab}_samples") or f"outputs/{tab}-images"
    return {
        "format": _format(options, "samples_format"),
        "outdir": outdir,
        **_taken(options, {"save_to_dirs": "save_to_dirs"}),
    }


def _grid(options: Mapping[str, Any], tab: str) -> dict[str, Any]:
    outdir = options.get("outdir_grids") or options.get(f"outdir_{tab}_grids") or f"outputs/{tab}-grids"
    return {
        "format": _format(options, "grid_format"),
        "outdir": outdir,
        "basename": "grid",
        "short": not options.get("grid_extended_filename", False),
        **_taken(options, {"save_to_dirs": "grid_save_to_dirs"}),
    }


def _format(options: Mapping[str, Any], key: str) -> str:
    wanted = str(options.get(key, "png")).strip().lower().removeprefix(".")
    if wanted not in FORMATS:
        raise BadRequest(f'{key}: "{wanted}" is no picture format; choose one of {", ".join(FORMATS)}.', field=key)
    return wanted
