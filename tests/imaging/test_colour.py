"""Colours of one picture given to another: OpenCV's Lab bit for bit, and the target's histogram."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging import colour

EVERY_SEVENTH = np.stack(np.meshgrid(*[np.arange(0, 256, 7, dtype=np.uint8)] * 3, indexing="ij"), -1)


def picture(seed: int, size: tuple[int, int] = (16, 12)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8), "RGB")


def test_lab_is_opencvs() -> None:
    """The bytes that cv2.cvtColor makes of the same colours; all 2^24 were compared when this was written."""
    digests = [hashlib.sha256(way(EVERY_SEVENTH).tobytes()).hexdigest()[:16] for way in (colour.to_lab, colour.to_rgb)]
    assert digests == ["32f8adbc365c6736", "4c57c16460c0ce4f"]


def test_there_and_back_is_nearly_the_same() -> None:
    back = colour.to_rgb(colour.to_lab(EVERY_SEVENTH)).astype(int)
    assert np.abs(back - EVERY_SEVENTH).mean() < 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99))
def test_a_picture_with_its_own_colours_changes_little(seed: int) -> None:
    before = picture(seed)
    difference = np.asarray(colour.corrected(before, before)).astype(int) - np.asarray(before)
    assert np.abs(difference).mean() < 4


def test_grey_pictures_stay_grey_and_keep_their_brightness() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16), "L").convert("RGB")
    result = np.asarray(colour.corrected(ramp, Image.new("RGB", (9, 9), (128, 128, 128)))).astype(int)
    assert np.abs(result - np.asarray(ramp)).max() <= 2


def test_the_target_lends_its_hue_whatever_its_size() -> None:
    grey = Image.fromarray(np.linspace(90, 160, 256).astype(np.uint8).reshape(16, 16), "L").convert("RGB")
    red, green, blue = np.asarray(colour.corrected(grey, Image.new("RGB", (50, 3), (200, 80, 80)))).mean((0, 1))
    assert red > green + 40
    assert abs(green - blue) < 8
