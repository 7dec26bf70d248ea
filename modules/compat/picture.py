"""`images` and `api.api`'s two helpers: saving, resizing, grids, texts in pictures, as A1111's code calls them."""

from __future__ import annotations

import base64
import datetime
import io
import os
import re
from pathlib import Path
from typing import Any

from PIL import Image

from modules.compat import callbacks as script_callbacks
from modules.compat import room as rooms
from modules.core.errors import BadRequest
from modules.imaging import annotations as legends
from modules.imaging import filenames, grids, masks, png, reading, saving
from modules.imaging.annotations import Look, Note
from modules.imaging.filenames import NameFacts
from modules.imaging.overlay import flattened
from modules.imaging.policy import SavePolicy
from modules.imaging.resize import Mode, resize

LANCZOS = Image.Resampling.LANCZOS
NEAREST = Image.Resampling.NEAREST
re_nonletters = re.compile(r"[\s!-/:-@\[-`{-~]+")
invalid_filename_chars = '#<>:"/\\|?*\n\r\t'


def decode_base64_to_image(encoding: str) -> Image.Image:
    """A picture in base64, with or without "data:…;base64,". Raises BadRequest."""
    if encoding.startswith(("http://", "https://")):
        raise BadRequest("Pictures by address are not fetched; send them in base64.", field="image")
    text = encoding.split(";")[1].split(",")[1] if encoding.startswith("data:image/") else encoding
    try:
        data = base64.b64decode(text)
    except ValueError as error:
        raise BadRequest("Invalid encoded image", field="image") from error
    return reading.read_picture(data, field="image")


def encode_pil_to_base64(image: Any) -> bytes:
    """In the format of the option samples_format, with the picture's texts."""
    options = rooms.current().opts
    if isinstance(image, str):
        return image.encode()
    infotext = image.info.get("parameters")
    policy = SavePolicy(format=options.samples_format, jpeg_quality=options.jpeg_quality)
    return base64.b64encode(png.encode(image, infotext, png.fitting(image, infotext, policy)))


def image_grid(imgs: list[Image.Image], batch_size: int = 1, rows: int | None = None) -> Image.Image:
    options = rooms.current().opts
    policy = SavePolicy.of(rooms.current().app.options.snapshot(), kind="grid")
    rows = grids.row_count_for(len(imgs), policy, batch_size=batch_size) if rows is None else rows
    rows = min(max(1, rows), len(imgs))
    params = script_callbacks.ImageGridLoopParams(imgs, -(-len(imgs) // rows), rows)
    script_callbacks.image_grid_callback(params)
    del options
    return grids.grid(params.imgs, params.rows, policy, batch_size=batch_size)


class GridAnnotation:
    """A text beside a grid."""

    def __init__(self, text: str = "", is_active: bool = True) -> None:
        self.text, self.is_active = text, is_active
        self.size: Any = None
        self.lines: list[str] = text.splitlines()


def _notes(texts: Any) -> list[list[Note]]:
    return [[Note(each.text, each.is_active) for each in column] for column in texts]


def draw_grid_annotations(
    im: Image.Image, width: int, height: int, hor_texts: Any, ver_texts: Any, margin: int = 0
) -> Image.Image:
    look = Look.of(rooms.current().app.options.snapshot())
    return legends.annotate(
        im, cell=(width, height), columns=_notes(hor_texts), rows=_notes(ver_texts), margin=margin, look=look
    )


def draw_prompt_matrix(im: Image.Image, width: int, height: int, all_prompts: Any, margin: int = 0) -> Image.Image:
    look = Look.of(rooms.current().app.options.snapshot())
    return legends.annotate_matrix(im, cell=(width, height), words=list(all_prompts)[1:], margin=margin, look=look)


def resize_image(
    resize_mode: int,
    im: Image.Image,
    width: int,
    height: int,
    upscaler_name: str | None = None,
    force_RGBA: bool = False,  # noqa: N803
) -> Image.Image:
    """0 stretches, 1 crops, 2 fills."""
    room = rooms.current()
    name = upscaler_name or room.opts.upscaler_for_img2img

    def upscale(image: Image.Image, factor: float) -> Image.Image:
        return room.app.upscalers.upscale(image, factor, name, room.app.options.snapshot())

    known = name not in (None, "", "None")
    made = resize(im, (int(width), int(height)), Mode(int(resize_mode)), upscale=upscale if known else None)
    return made.convert("RGBA") if force_RGBA else made


def flatten(img: Image.Image, bgcolor: str) -> Image.Image:
    """The picture on a colour."""
    return flattened(img, bgcolor)


def sanitize_filename_part(text: str | None, replace_spaces: bool = True) -> str | None:
    return None if text is None else filenames.sanitize(text, replace_spaces=replace_spaces)


def get_next_sequence_number(path: str, basename: str) -> int:
    """One more than the greatest number of a file in the folder; 0 for an empty one."""
    found = -1
    prefix = f"{basename}-" if basename else ""
    for name in os.listdir(path) if os.path.isdir(path) else ():
        if name.startswith(prefix):
            first = os.path.splitext(name[len(prefix) :])[0].split("-")[0]
            if first.isdigit():
                found = max(found, int(first))
    return found + 1


def read_info_from_image(image: Image.Image) -> tuple[str | None, dict[str, Any]]:
    """(infotext or None, the picture's other texts)."""
    found = png.read(image)
    items: dict[str, Any] = {str(key): value for key, value in (image.info or {}).items() if key not in _IGNORED}
    items.pop("parameters", None)
    return found.infotext or None, items


_IGNORED = {
    *("jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background", "timestamp"),
    *("duration", "progressive", "progression", "icc_profile", "chromaticity", "photoshop"),
}


def image_data(data: bytes) -> tuple[str | None, None]:
    """The text in a picture file or text file."""
    try:
        return read_info_from_image(Image.open(io.BytesIO(data)))[0], None
    except OSError:
        pass
    try:
        return data.decode("utf8"), None
    except UnicodeDecodeError:
        return "", None


def save_image(
    image: Image.Image,
    path: str | None,
    basename: str,
    seed: Any = None,
    prompt: str | None = None,
    extension: str = "png",
    info: str | None = None,
    short_filename: bool = False,
    no_prompt: bool = False,
    grid: bool = False,
    pnginfo_section_name: str = "parameters",
    p: Any = None,
    existing_info: dict[str, Any] | None = None,
    forced_filename: str | None = None,
    suffix: str = "",
    save_to_dirs: bool | None = None,
) -> tuple[str, str | None]:
    """Write a picture as A1111 names it -> (its path, its text file's path or None)."""
    room = rooms.current()
    policy, facts = _policy(room, extension, basename, grid, short_filename, save_to_dirs), _facts(seed, prompt, p)
    now = datetime.datetime.now()
    folder = Path(path) if path else room.app.paths.outputs
    folder = folder if folder.is_absolute() else room.app.paths.data / folder
    if policy.save_to_dirs:
        inner = dataclass_with(policy, outdir=str(folder))
        folder = filenames.folder(room.app.paths.data, inner, facts, image=image, now=now)
    texts = {key: str(value) for key, value in (existing_info or {}).items()}
    params = script_callbacks.ImageSaveParams(image, p, str(folder / (forced_filename or "")), dict(texts))
    if info is not None:
        params.pnginfo[pnginfo_section_name] = info
    script_callbacks.before_image_saved_callback(params)
    infotext = params.pnginfo.pop(pnginfo_section_name, None)
    done = saving.save(
        params.image,
        infotext,
        folder=folder,
        name=facts,
        policy=policy,
        now=now,
        stem=forced_filename or "",
        suffix=suffix,
        texts={key: str(value) for key, value in params.pnginfo.items()},
    )
    image.already_saved_as = str(done.path)  # type: ignore[attr-defined]
    params.filename = str(done.path)
    if infotext is not None:
        params.pnginfo[pnginfo_section_name] = infotext
    script_callbacks.image_saved_callback(params)
    return str(done.path), str(done.txt_path) if done.txt_path else None


def dataclass_with(policy: SavePolicy, **changes: Any) -> SavePolicy:
    import dataclasses

    return dataclasses.replace(policy, **changes)


def _policy(room: Any, extension: str, basename: str, grid: bool, short: bool, dirs: bool | None) -> SavePolicy:
    policy = SavePolicy.of(room.app.options.snapshot(), kind="grid" if grid else "sample")
    dirs = policy.save_to_dirs if dirs is None else dirs
    changes = {"format": extension.lstrip(".").lower(), "basename": basename or "", "save_to_dirs": dirs}
    return dataclass_with(policy, **changes, short=short or (grid and policy.short))


def _facts(seed: Any, prompt: str | None, p: Any) -> NameFacts:
    seed = int(seed) if isinstance(seed, int | float | str) and str(seed).lstrip("-").isdigit() else None
    if p is None:
        return NameFacts(seed=seed, prompt=prompt or "")
    return NameFacts(
        seed=seed,
        seeds=tuple(p.all_seeds or ()),
        prompt=prompt if prompt is not None else str(p.prompt),
        negative_prompt=p.negative_prompt if isinstance(p.negative_prompt, str) else "",
        styles=tuple(p.styles or ()),
        steps=p.steps,
        cfg_scale=p.cfg_scale,
        sampler=p.sampler_name,
        scheduler=p.scheduler,
        model_name=p.sd_model_name,
        model_hash=p.sd_model_hash,
        batch_index=p.batch_index,
        batch_size=p.batch_size,
        iteration=p.iteration,
        n_iter=p.n_iter,
    )


def fix_image(image: Any) -> Any:
    """EXIF turned into pixels, odd modes into usual ones."""
    return None if image is None else reading_mode(image)


def reading_mode(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    turned = ImageOps.exif_transpose(image)
    return turned.convert("RGBA") if turned.mode in ("P", "LA", "PA") else turned


def read(fp: Any, **kwargs: Any) -> Image.Image:
    return reading_mode(Image.open(fp, **kwargs))


def create_binary_mask(image: Image.Image, round: bool = True) -> Image.Image:
    return masks.binary(image, rounded=round)


class Grid:
    """Tiles of a picture."""

    def __init__(self, tiles: Any, tile_w: int, tile_h: int, image_w: int, image_h: int, overlap: int) -> None:
        self.tiles, self.tile_w, self.tile_h = tiles, tile_w, tile_h
        self.image_w, self.image_h, self.overlap = image_w, image_h, overlap

    def __iter__(self) -> Any:
        return iter((self.tiles, self.tile_w, self.tile_h, self.image_w, self.image_h, self.overlap))


def split_grid(image: Image.Image, tile_w: int = 512, tile_h: int = 512, overlap: int = 64) -> Grid:
    """The picture cut into overlapping tiles, rows of [x, width, tile]."""
    width, height = image.size

    def starts(length: int, tile: int) -> list[int]:
        count = max(1, -(-(length - overlap) // (tile - overlap)))
        step = (length - tile) / (count - 1) if count > 1 else 0
        return [max(0, min(int(place * step), length - tile)) for place in range(count)]

    rows = []
    for y in starts(height, tile_h):
        row = [[x, tile_w, image.crop((x, y, x + tile_w, y + tile_h))] for x in starts(width, tile_w)]
        rows.append([y, tile_h, row])
    return Grid(rows, tile_w, tile_h, width, height, overlap)


def combine_grid(grid: Grid) -> Image.Image:
    """The tiles together again, faded into one another where they overlap."""
    whole = Image.new("RGB", (grid.image_w, grid.image_h))
    fade = max(1, grid.overlap)
    across = Image.linear_gradient("L").rotate(90).resize((fade, grid.tile_h))
    down = Image.linear_gradient("L").resize((grid.image_w, fade))
    for y, _, row in grid.tiles:
        line = Image.new("RGB", (grid.image_w, grid.tile_h))
        for x, _, tile in row:
            if x == 0:
                line.paste(tile, (0, 0))
                continue
            line.paste(tile.crop((0, 0, fade, grid.tile_h)), (x, 0), mask=across)
            line.paste(tile.crop((fade, 0, grid.tile_w, grid.tile_h)), (x + fade, 0))
        if y == 0:
            whole.paste(line, (0, 0))
            continue
        whole.paste(line.crop((0, 0, grid.image_w, fade)), (0, y), mask=down)
        whole.paste(line.crop((0, fade, grid.image_w, grid.tile_h)), (0, y + fade))
    return whole
