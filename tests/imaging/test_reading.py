"""Pictures from strangers: a plain picture or a refusal that names the field, never another error."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.imaging.reading import MOST_PIXELS, plain, read_picture


def file(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, format=format, **options)
    return target.getvalue()


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG's header for a size, whatever follows."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


RED = Image.new("RGB", (6, 4), "red")
SAMPLES = [file(RED), file(RED, "JPEG"), file(RED, "GIF"), file(RED, "WEBP"), file(RED, "TIFF"), file(RED, "BMP")]


@pytest.mark.parametrize("data", SAMPLES)
def test_common_formats_are_read(data: bytes) -> None:
    image = read_picture(data, field="image")
    assert (image.size, image.mode) == ((6, 4), "RGB")
    assert np.abs(np.asarray(image).astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_damage_is_a_refusal_or_a_picture(whole: bytes, data: st.DataObject) -> None:
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    broken = broken[: data.draw(st.integers(0, len(broken)))]
    try:
        outcome: Image.Image | BadRequest = read_picture(bytes(broken), field="init_images")
    except BadRequest as error:
        outcome = error
    if isinstance(outcome, BadRequest):
        assert (outcome.field, str(outcome)[:13]) == ("init_images", "init_images: ")
    else:
        assert outcome.mode in ("L", "LA", "RGB", "RGBA")


@pytest.mark.parametrize("data", [b"", b"not a picture", b"<svg/>", SAMPLES[0][:40], png(0, 5), png(40_000, 40_000)])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest, match="mask: ") as caught:
        read_picture(data, field="mask")
    assert caught.value.field == "mask"


def test_the_largest_size_is_checked_before_any_pixel_is_read() -> None:
    side = int((MOST_PIXELS + 1) ** 0.5) + 1
    with pytest.raises(BadRequest, match="too large a picture"):
        read_picture(png(side, side), field="image")


def test_photos_are_turned_as_exif_says() -> None:
    photo, exif = Image.new("RGB", (8, 2), "white"), Image.Exif()
    exif[0x0112] = 6
    assert read_picture(file(photo, "JPEG", exif=exif), field="image").size == (2, 8)


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("lime", "blue")]
    image = read_picture(file(frames[0], "GIF", save_all=True, append_images=frames[1:]), field="image")
    assert image.getpixel((0, 0)) == (0, 255, 0)


@pytest.mark.parametrize(
    ("image", "kind", "level"),
    [
        (Image.new("1", (2, 2), 1), "L", 255),
        (Image.fromarray(np.full((2, 2), 128 * 257, dtype=np.uint16)), "L", 128),
        (Image.fromarray(np.full((2, 2), 0.5, dtype=np.float32)), "L", 127),
        (Image.fromarray(np.full((2, 2), 200, dtype=np.int32)), "L", 200),
        (Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "RGB", (254, 0, 0)),
        (Image.new("RGB", (2, 2), "blue").quantize(2), "RGB", (0, 0, 255)),
        (Image.new("LA", (2, 2), (9, 8)), "LA", (9, 8)),
    ],
    ids=["1", "I;16", "F", "I", "CMYK", "P", "LA"],
)
def test_modes(image: Image.Image, kind: str, level: object) -> None:
    result = plain(image)
    assert result.mode == kind
    assert np.abs(np.asarray(result.getpixel((0, 0))) - np.asarray(level)).max() <= 1


def test_a_palette_with_transparency_keeps_it() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    result = read_picture(file(image, transparency=1), field="image")
    assert [result.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0, 255), (0, 255, 0, 0)]


def test_texts_stay_with_the_picture() -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("parameters", "a cat\nSteps: 1")
    assert read_picture(file(RED, pnginfo=texts), field="image").info["parameters"] == "a cat\nSteps: 1"
