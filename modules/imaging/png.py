"""Pictures and their generation parameters as bytes: PNG text chunks, EXIF of JPEG, WebP and AVIF, GIF comments.

`saving` and `web` encode, `web` (PNG Info, /png-info) reads. Where the parameters stand is as in A1111, so either
program reads the other's pictures: PNG chunk `parameters`; EXIF UserComment, "UNICODE" and UTF-16, in JPEG, WebP, AVIF.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from modules.core.errors import BadRequest
from modules.imaging.policy import FORMATS, SavePolicy

PARAMETERS = "parameters"

_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_CODES = {b"ASCII\0\0\0": "ascii", b"JIS\0\0\0\0\0": "iso2022_jp", b"UNICODE\0": "utf-16", b"\0" * 8: "utf-8"}
_LONGEST_SIDE = {"jpeg": 65535, "webp": 16383, "gif": 65535, "avif": 65535}
_JPEG_EXIF_LIMIT = 65000  # bytes that one APP1 segment holds, less room for its headers
_NOISE = frozenset(("jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "chromaticity", "icc_profile"))
_NOISE |= {"exif", "photoshop", "loop", "background", "timestamp", "duration", "progressive", "progression"}
"""Facts about the encoding, not about the picture."""
_PNG_LEVEL = 4
"""0..9. Half the time of Pillow's 6 (21 instead of 47 ms for 512x512 of flat colours) for files up to 4 % larger."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a picture says about itself: its infotext, every other text item it carries, its (width, height).

    The texts are as they stand; `prompts.importing` knows what programs other than A1111 mean by them.
    """

    infotext: str | None
    items: dict[str, str]
    size: tuple[int, int]


def read(source: bytes | Path | Image.Image) -> Metadata:
    """The metadata of a picture, by its file's bytes, its path or already opened. Pixels are decoded only for a PNG
    without text before its pixels.

    Raises `BadRequest(field="image")` for what is no picture, is damaged or is so large that it must be an attack.
    """
    with _open(source) as image, _plainly():
        items = _items(image)
        infotext = items.pop(PARAMETERS, None)
        comment = _user_comment(image)
        if comment:
            infotext = comment
        elif infotext is None:
            infotext = items.get("comment")  # of a GIF, and the comment segment of a JPEG
        return Metadata(infotext=infotext, items=items, size=image.size)


def encode(
    image: Image.Image, infotext: str | None, policy: SavePolicy, texts: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The picture as a file of `policy.format`, with the infotext inside if the policy wants it.

    texts: further texts by name, which only PNG holds. Transparency is lost in JPEG. Raises `BadRequest` when the
    format cannot hold the picture (see `fitting`).
    """
    name = _pillow_name(policy.format)
    text = _storable(infotext) if infotext and policy.enable_pnginfo else ""
    more = {key: _storable(value) for key, value in texts.items()} if policy.enable_pnginfo else {}
    target = io.BytesIO()
    try:
        _convertible(image, name).save(target, format=name, **_arguments(name, text, policy, more))
    except (ValueError, OSError, KeyError) as error:
        what = f"A {image.width}x{image.height} picture cannot be written as {policy.format}: {error}."
        raise BadRequest(what, field="samples_format") from error
    return target.getvalue()


def fitting(image: Image.Image, infotext: str | None, policy: SavePolicy) -> SavePolicy:
    """The policy, or the same with PNG when its format has no room for such a large picture or such a long text."""
    name = _pillow_name(policy.format)
    too_large = max(image.size) > _LONGEST_SIDE.get(name, max(image.size))
    too_long = name == "jpeg" and policy.enable_pnginfo and len(_exif(_storable(infotext or ""))) > _JPEG_EXIF_LIMIT
    return dataclasses.replace(policy, format="png") if too_large or too_long else policy


# --- writing


def _pillow_name(format: str) -> str:
    if format not in FORMATS:
        what = f'"{format}" is no picture format; choose one of {", ".join(FORMATS)}.'
        raise BadRequest(what, field="samples_format")
    return "jpeg" if format == "jpg" else format


def _convertible(image: Image.Image, name: str) -> Image.Image:
    if name == "jpeg" and image.mode not in ("RGB", "L", "CMYK"):
        return image.convert("RGB")
    if name in ("webp", "avif") and image.mode not in ("RGB", "RGBA"):
        return image.convert("RGBA" if "A" in image.getbands() else "RGB")
    return image


def _arguments(name: str, text: str, policy: SavePolicy, texts: Mapping[str, str]) -> dict[str, Any]:
    """Keyword arguments of Pillow's `save`."""
    if name == "png":
        chunks = PngInfo()
        for key, value in {**({PARAMETERS: text} if text else {}), **texts}.items():
            chunks.add_text(key, value)
        return {"pnginfo": chunks, "compress_level": _PNG_LEVEL}
    if name == "gif":
        return {"comment": text.encode()} if text else {}
    exif = {"exif": _exif(text)} if text else {}
    lossless = {"lossless": policy.webp_lossless} if name == "webp" else {}
    return {"quality": policy.jpeg_quality, **lossless, **exif}


def _exif(text: str) -> bytes:
    """EXIF with nothing but a UserComment. Written out here since Pillow gives bytes the type BYTE, not the UNDEFINED
    that EXIF 2.3 asks for, and A1111 would not find the text."""
    comment = b"UNICODE\0" + text.encode("utf-16-be")
    first = struct.pack(">H HHII I", 1, _EXIF_IFD, 4, 1, 26, 0)  # one LONG: where the second directory is
    second = struct.pack(">H HHII I", 1, _USER_COMMENT, 7, len(comment), 44, 0)  # one UNDEFINED: length, where
    return b"Exif\0\0" + b"MM\0*" + struct.pack(">I", 8) + first + second + comment


def _storable(text: str) -> str:
    """Lone surrogates, which no file can hold, become "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


# --- reading


def _open(source: bytes | Path | Image.Image) -> contextlib.AbstractContextManager[Image.Image]:
    if isinstance(source, Image.Image):
        return contextlib.nullcontext(source)
    with _plainly():
        return Image.open(source if isinstance(source, Path) else io.BytesIO(source))


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """Pillow's many errors as one `BadRequest`."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise BadRequest("This is not a picture in a known format, or it is damaged.", field="image") from error
    except Image.DecompressionBombError as error:
        raise BadRequest(f"The picture has too many pixels: {error}", field="image") from error
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, OverflowError, TypeError) as error:
        raise BadRequest(f"The picture is damaged: {error}", field="image") from error


def _items(image: Image.Image) -> dict[str, str]:
    """Every text the picture carries, without facts about its encoding."""
    if image.format == "PNG" and PARAMETERS not in image.info:
        image.load()  # text may also stand behind the pixels
    found: dict[str, str] = {}
    for key, value in image.info.items():
        text = value.decode("utf-8", "ignore") if isinstance(value, bytes) else value
        if isinstance(key, str) and isinstance(text, str) and key not in _NOISE:
            found[key] = str(text)
    return found


def _user_comment(image: Image.Image) -> str:
    """EXIF UserComment as text, "" if there is none: eight bytes name the code, the rest is the text."""
    if "exif" not in image.info:
        return ""
    raw = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    if not isinstance(raw, bytes):
        return str(raw or "")
    code = _CODES.get(raw[:8])
    body = raw[8:] if code else raw
    if code == "utf-16":
        code = _byte_order(body)
    return body.decode(code or "utf-8", "ignore").removeprefix("\ufeff")


def _byte_order(body: bytes) -> str:
    """EXIF leaves the byte order of "UNICODE" open: big-endian as in A1111, unless only the other makes sense."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    readings = {code: body.decode(code, "ignore") for code in ("utf-16-be", "utf-16-le")}
    return next((code for code, text in readings.items() if "Steps: " in text), "utf-16-be")
