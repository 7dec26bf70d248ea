"""Metadata: what was written into a picture is read from it, in every format; damaged pictures are refused in words."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from modules.core.errors import BadRequest
from modules.imaging import png
from modules.imaging.policy import FORMATS, SavePolicy

TEXT = 'a "cat", é 日本語 🐱\nNegative prompt: b\nSteps: 20, Sampler: Euler, Size: 8x8'


def picture(size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Image.Image:
    return Image.radial_gradient("L").resize(size).convert(mode)


def saved(image: Image.Image, format: str, **arguments: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, format, **arguments)
    return target.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_infotext_survives_in_every_format(format: str) -> None:
    assert png.read(png.encode(picture(), TEXT, SavePolicy(format=format))).infotext == TEXT


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1), st.sampled_from(["png", "jpeg", "webp"]))
def test_any_infotext_survives(text: str, format: str) -> None:
    text = text.removeprefix("\ufeff") or "x"
    assert png.read(png.encode(picture(), text, SavePolicy(format=format))).infotext == text


@pytest.mark.parametrize("format", FORMATS)
def test_lone_surrogates_do_no_harm(format: str) -> None:
    assert png.read(png.encode(picture(), "a \ud800 b", SavePolicy(format=format))).infotext == "a ? b"


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_written_when_the_policy_says_so(format: str) -> None:
    assert png.read(png.encode(picture(), TEXT, SavePolicy(format=format, enable_pnginfo=False))).infotext is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("format", ["png", "webp"])
def test_lossless_formats_keep_every_pixel(format: str, mode: str) -> None:
    image = picture((64, 48), mode)
    data = png.encode(image, TEXT, SavePolicy(format=format, webp_lossless=True))
    assert Image.open(io.BytesIO(data)).convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "1", "L"])
def test_jpeg_takes_every_mode(mode: str) -> None:
    data = png.encode(picture(mode=mode), TEXT, SavePolicy(format="jpg"))
    assert Image.open(io.BytesIO(data)).format == "JPEG"


def test_quality_counts() -> None:
    image = picture((256, 256))
    for format in ("jpg", "webp", "avif"):
        small, large = (len(png.encode(image, None, SavePolicy(format=format, jpeg_quality=q))) for q in (10, 95))
        assert small < large


@pytest.mark.parametrize("format", ["jpeg", "webp"])
@pytest.mark.parametrize("code", ["unicode", "ascii"])
def test_exif_is_that_of_a1111(format: str, code: str) -> None:
    """Both ways against piexif, which A1111 uses."""
    piexif = pytest.importorskip("piexif")
    helper = pytest.importorskip("piexif.helper").UserComment
    tag = piexif.ExifIFD.UserComment
    theirs = saved(picture(), format, exif=piexif.dump({"Exif": {tag: helper.dump("a cat", code)}}))
    assert png.read(theirs).infotext == "a cat"
    ours = piexif.load(png.encode(picture(), TEXT, SavePolicy(format=format)))
    assert helper.load(ours["Exif"][tag]) == TEXT


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-16"])
def test_other_byte_orders_of_exif_are_understood(codec: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + TEXT.encode(codec)
    assert png.read(saved(picture(), "jpeg", exif=exif.tobytes())).infotext == TEXT


def test_chinese_text_is_not_taken_for_the_other_byte_order() -> None:
    assert png.read(png.encode(picture(), "一一丁", SavePolicy(format="jpg"))).infotext == "一一丁"


def test_other_texts_are_items_and_noise_is_not() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", TEXT)
    chunks.add_text("other", "kept")
    data = saved(picture(), "png", pnginfo=chunks, dpi=(72, 72), icc_profile=b"noise")
    assert png.read(data) == png.Metadata(infotext=TEXT, items={"other": "kept"}, size=(8, 6))
    assert png.read(saved(picture(), "jpeg", dpi=(72, 72))).items == {}


def test_text_behind_the_pixels_is_found() -> None:
    plain = saved(picture(), "png")
    body = b"tEXtparameters\0a cat"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert png.read(plain[:-12] + chunk + plain[-12:]).infotext == "a cat"


def test_path_bytes_and_opened_picture_are_the_same(tmp_path: Path) -> None:
    data = png.encode(picture(), TEXT, SavePolicy())
    (tmp_path / "a.png").write_bytes(data)
    assert png.read(data) == png.read(tmp_path / "a.png") == png.read(Image.open(io.BytesIO(data)))


def test_texts_of_other_programs_are_given_as_they_stand() -> None:
    chunks = PngImagePlugin.PngInfo()
    items = {"Software": "NovelAI", "Description": "a {cat}", "Comment": '{"steps": 28}', "prompt": '{"3": {}}'}
    for key, value in items.items():
        chunks.add_text(key, value)
    found = png.read(saved(picture(), "png", pnginfo=chunks))
    assert found == png.Metadata(infotext=None, items=items, size=(8, 6))


def bomb() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize("data", [b"", b"no picture", saved(picture(), "png")[:40], bomb()])
def test_damaged_and_hostile_pictures_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        png.read(data)
    assert caught.value.field == "image"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged EXIF
@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["png", "jpg", "webp", "gif"]), st.data())
def test_a_flipped_byte_is_read_or_refused(format: str, data: st.DataObject) -> None:
    encoded = bytearray(png.encode(picture(), TEXT, SavePolicy(format=format)))
    for _ in range(3):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(png.read(bytes(encoded)), png.Metadata)
    except BadRequest as error:
        assert error.field == "image"  # noqa: PT017  (both outcomes are right)


def test_what_a_format_cannot_hold_becomes_png() -> None:
    wide = Image.new("L", (70_000, 1))
    assert png.fitting(wide, None, SavePolicy(format="jpg")).format == "png"
    assert png.fitting(wide, None, SavePolicy(format="webp")).format == "png"
    assert png.fitting(picture(), "x" * 40_000, SavePolicy(format="jpg")).format == "png"
    assert png.fitting(picture(), "x" * 32_000, SavePolicy(format="jpg")).format == "jpg"
    assert png.read(png.encode(picture(), "x" * 32_000, SavePolicy(format="jpg"))).infotext == "x" * 32_000
    with pytest.raises(BadRequest):
        png.encode(wide, None, SavePolicy(format="webp"))


REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "golden" / "inputs"


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference pictures of A1111 are not here")
@pytest.mark.parametrize("name", ["with-infotext", "old-style", "with-much"])
def test_pictures_of_a1111(name: str) -> None:
    found = png.read(REFERENCE / f"{name}.png")
    assert found.infotext is not None
    assert "Steps: " in found.infotext
    assert found.items == {"other": "kept"}
