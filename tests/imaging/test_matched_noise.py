"""What was there stays; what is new has the old one's colours, and is the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from modules.imaging.matched_noise import extended

RNG = np.random.default_rng(3)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A picture (64, 96, 3) whose right third is not there yet, and its mask."""
    picture = RNG.random((64, 96, 3)) * [0.5, 0.9, 0.2] + [0.1, 0.0, 0.3]
    mask = np.zeros((64, 96))
    mask[:, 64:] = 1
    picture[:, 64:] = 0
    return picture, mask


def test_the_old_part_stays() -> None:
    picture, mask = scene()
    assert extended(picture, mask)[:, :64] == pytest.approx(picture[:, :64])


def test_the_new_part_has_the_old_ones_colours() -> None:
    picture, mask = scene()
    found = extended(picture, mask)
    for channel in range(3):
        old, new = picture[:, :64, channel], found[:, 64:, channel]
        for share in (0.1, 0.5, 0.9):
            assert np.quantile(new, share) == pytest.approx(np.quantile(old, share), abs=0.01)


def test_the_same_twice() -> None:
    picture, mask = scene()
    assert (extended(picture, mask) == extended(picture, mask)).all()


def test_less_colour_makes_greyer_noise() -> None:
    """Seen before the histogram gives the colours back: in how the channels go together."""
    picture, mask = scene()
    together = []
    for colour in (0.0, 1.0):
        found = extended(picture, mask, colour=colour)[:, 64:].reshape(-1, 3).T
        together.append(np.asarray(np.corrcoef(found))[0, 1])
    assert together[0] > together[1]


def test_a_black_picture_and_a_full_mask_are_no_trouble() -> None:
    black, mask = np.zeros((32, 32, 3)), np.zeros((32, 32))
    assert np.isfinite(extended(black, mask)).all()
    mask[:, 16:] = 1
    assert np.isfinite(extended(black, mask)).all()
    assert np.isfinite(extended(black, np.ones((32, 32)))).all()
