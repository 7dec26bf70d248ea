"""Preprocessors and fitting: what a picture becomes before a network sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from extensions.controlnet import maps, pictures, preprocessors
from extensions.controlnet.units import RESIZE, Unit
from modules.core.errors import BadRequest, NotFound


def square(size: int = 64) -> Any:
    """Dark, with a light square in its middle."""
    made = np.full((size, size, 3), 20, dtype=np.uint8)
    made[size // 4 : -size // 4, size // 4 : -size // 4] = 220
    return made


def test_canny_draws_the_outline_once() -> None:
    edges = maps.canny(square(), 100, 200)[..., 0] > 0
    assert edges[32].sum() == edges[:, 32].sum() == 2
    assert not edges[:12].any()
    assert not edges[24:40, 24:40].any()
    assert maps.canny(square(), 100, 200).shape == (64, 64, 3)


def test_weak_edges_stay_where_they_touch_strong_ones() -> None:
    slope = np.zeros((32, 32, 3), dtype=np.uint8)
    slope[:16, 16:], slope[16:, 16:] = 200, 30
    alone = slope.copy()
    alone[:16] = 0
    assert maps.canny(slope, 50, 400)[24].any()
    assert not maps.canny(alone, 50, 400)[28].any()


@pytest.mark.parametrize("way", preprocessors.TABLE, ids=lambda way: way.name)
def test_every_preprocessor_makes_a_map(way: Any) -> None:
    given = np.concatenate([square(48), np.zeros((48, 48, 1), dtype=np.uint8)], axis=2)
    made = way(given, Unit(module=way.name, processor_res=64), seed=1)
    assert made.dtype == np.uint8
    assert made.shape[2] == (4 if way.masked else 3)
    assert preprocessors.find(way.label.upper()) is way


def test_lines_and_levels() -> None:
    page = np.full((64, 64, 3), 250, dtype=np.uint8)
    page[30:33] = 10
    for made in (maps.lineart(page), maps.xdog(page, 32)):
        assert made[31, 32, 0] > 100
        assert made[5, 32, 0] == 0
    assert np.array_equal(maps.threshold(square(), 127)[..., 0] == 255, square()[..., 0] == 220)
    assert np.array_equal(maps.intensity(square(), 1.0), square())
    assert maps.smaller(square(), 2).shape == (32, 32, 3)
    assert np.array_equal(maps.shuffled(square(), 3), maps.shuffled(square(), 3))
    assert not np.array_equal(maps.shuffled(square(), 3), maps.shuffled(square(), 4))


def test_names_that_need_more_are_refused_and_misspelled_ones_get_the_nearest() -> None:
    with pytest.raises(BadRequest, match="pose detector"):
        preprocessors.find("openpose_full")
    with pytest.raises(NotFound, match="canny"):
        preprocessors.find("cany")


def test_sliders_out_of_range_mean_their_defaults() -> None:
    unit = preprocessors.find("canny").bounded(Unit(threshold_a=-1, threshold_b=300, processor_res=5))
    assert (unit.threshold_a, unit.threshold_b, unit.processor_res) == (100, 200, 512)


def test_fitting_crops_fills_or_stretches() -> None:
    wide = np.zeros((32, 64, 3), dtype=np.uint8)
    wide[:, 16:48] = (90, 120, 150)
    for mode in RESIZE:
        assert pictures.fitted(wide, (64, 64), mode).shape == (64, 64, 3)
    cropped = pictures.fitted(wide, (64, 64), "Crop and Resize")
    assert (cropped[32, 4:-4] == (90, 120, 150)).all()
    filled = pictures.fitted(wide, (64, 64), "Resize and Fill")
    assert (filled[0] == 0).all()
    assert (filled[32, 32] == (90, 120, 150)).all()


def test_what_fill_leaves_free_counts_as_masked() -> None:
    masked = np.zeros((32, 64, 4), dtype=np.uint8)
    made = pictures.fitted(masked, (64, 64), "Resize and Fill")
    assert (made[:16, :, 3] == 255).all()
    assert (made[20:44, :, 3] == 0).all()


def test_black_and_white_stays_so() -> None:
    lines = maps.canny(square(), 100, 200)
    for size in (40, 150):
        made = pictures.fitted(lines, (size, size), "Just Resize")
        assert set(np.unique(made)) == {0, 255}
        assert made[size // 2].any()


def test_pixel_perfect_is_the_size_that_the_picture_will_have() -> None:
    assert preprocessors.exact_resolution((100, 200), (512, 512), fills=False) == 512
    assert preprocessors.exact_resolution((100, 200), (512, 512), fills=True) == 256
