"""Image to image for every picture of a folder: one request each, so that every picture is a job of its own, which
waits, runs and survives a restart like any other. A1111's "Batch" tab; the page submits what `requests` gives.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modules.core.errors import BadRequest, EaselError
from modules.generate.request import Img2Img
from modules.imaging import png
from modules.imaging.inputs import Inputs
from modules.imaging.reading import read_picture
from modules.prompts import importing

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff")

FIELDS = {
    "Prompt": "prompt",
    "Negative prompt": "negative_prompt",
    "Seed": "seed",
    "CFG scale": "cfg_scale",
    "Sampler": "sampler_name",
    "Steps": "steps",
    "Model hash": "sd_model_checkpoint",
}
"""What may be taken from a picture's own infotext -> the field, or for the last one the setting, that it fills."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder:
    """files: the pictures; masks: a folder with a mask for each by the same name, or with one mask for all; output: the
    folder for the results, which then bear the pictures' names ("" = as usual); scale: the result's size as a factor of
    the picture's, None = the request's own; reused: keys of `FIELDS` that are taken from the pictures' infotexts, or
    from those of same-named pictures in `texts`.
    """

    files: tuple[Path, ...]
    masks: Path | None = None
    output: str = ""
    scale: float | None = None
    reused: tuple[str, ...] = ()
    texts: Path | None = None


class One(NamedTuple):
    """A picture's request, or why there is none."""

    file: Path
    request: Img2Img | None
    remark: str = ""


def pictures(folder: Path, *, field: str = "batch_folder") -> tuple[Path, ...]:
    """All pictures in a folder and below it, in the order people expect: 2 before 10. Raises BadRequest(field)."""
    if not folder.is_dir():
        raise BadRequest(f"{field}: there is no folder {folder}.", field=field)
    found = [Path(at, name) for at, _, names in os.walk(folder) for name in names]
    return tuple(sorted((path for path in found if path.suffix.lower() in ENDINGS), key=_natural))


def requests(folder: Folder, base: Img2Img, inputs: Inputs) -> Iterator[One]:
    """The request for each picture; the pictures lie in `inputs` then. One that cannot be read, or that has no mask,
    is told and left out. Raises BadRequest for a folder of masks that is none, EaselError if the disk refuses.
    """
    masks = _masks(folder)
    for file in folder.files:
        mask = masks.get("") or masks.get(file.stem)
        if masks and mask is None:
            yield One(file, None, f"{file.name}: there is no mask of this name in {folder.masks}.")
            continue
        try:
            yield One(file, _request(folder, base, inputs, file, mask))
        except BadRequest as error:
            yield One(file, None, f"{file.name}: {error}")


def _request(folder: Folder, base: Img2Img, inputs: Inputs, file: Path, mask: Path | None) -> Img2Img:
    data = _data(file)
    changes: dict[str, Any] = {"init_images": (inputs.add(data, field=file.name),)}
    if mask is not None:
        changes["mask"] = inputs.add(_data(mask), field=mask.name)
    if folder.scale is not None:
        width, height = read_picture(data, field=file.name).size
        changes |= {"width": max(8, int(width * folder.scale)), "height": max(8, int(height * folder.scale))}
    fields, settings = _told(folder, base, file, data)
    overrides = {**base.override_settings, **settings, **_naming(folder, base, file)}
    return dataclasses.replace(base, **changes, **fields, override_settings=overrides)


def _naming(folder: Folder, base: Img2Img, file: Path) -> Mapping[str, Any]:
    """Settings that give results the picture's name in the folder for results."""
    if not folder.output:
        return {}
    several = base.n_iter * base.batch_size > 1
    return {
        "outdir_samples": folder.output,
        "save_to_dirs": False,
        "save_images_add_number": False,
        "save_images_replace_action": "Add number suffix",
        "samples_filename_pattern": f"{file.stem}-[generation_number]" if several else file.stem,
    }


def _told(folder: Folder, base: Img2Img, file: Path, data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields, settings) that the picture's infotext fills; words are put behind the request's own."""
    if not folder.reused:
        return {}, {}
    source = data if folder.texts is None else _data(folder.texts / file.name)
    found = importing.parse(png.read(source).infotext or "")
    told = {FIELDS[label]: found[label] for label in folder.reused if label in FIELDS and label in found}
    settings = {"sd_model_checkpoint": told.pop("sd_model_checkpoint")} if "sd_model_checkpoint" in told else {}
    readers = {"seed": int, "steps": int, "cfg_scale": float, "sampler_name": str}
    try:
        fields: dict[str, Any] = {name: read(told[name]) for name, read in readers.items() if name in told}
    except ValueError as error:
        raise BadRequest(f"its infotext cannot be used: {error}.", field="infotext") from error
    own = {"prompt": base.prompt, "negative_prompt": base.negative_prompt}
    words = {name: f"{text} {told[name]}".strip() for name, text in own.items() if name in told}
    return fields | words, settings


def _masks(folder: Folder) -> Mapping[str, Path]:
    """Name without ending -> mask; "" -> the one for all."""
    if folder.masks is None:
        return {}
    found = pictures(folder.masks, field="batch_masks")
    if not found:
        raise BadRequest(f"batch_masks: there is no picture in {folder.masks}.", field="batch_masks")
    return {"": found[0]} if len(found) == 1 else {path.stem: path for path in reversed(found)}


def _data(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise BadRequest(f"there is no file {file}.", field="batch_files") from error
    except OSError as error:
        raise EaselError(f"{file} cannot be read: {error.strerror}.") from error


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 0, part.casefold()) for part in re.split(r"(\d+)", str(path))]
