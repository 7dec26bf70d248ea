"""Merged tokens change a picture and are told as A1111 tells them; which ratio counts is the first that is not zero."""

from __future__ import annotations

from typing import Any

import pytest

from modules.generate.request import Txt2Img
from tests.reference.cases import psnr
from tests.studio import Bench

ASKED = Txt2Img(prompt="a cat", seed=3, subseed=3, steps=2, width=64, height=64)
TWICE = Txt2Img(prompt="a cat", seed=3, subseed=3, steps=2, width=64, height=64, enable_hr=True, denoising_strength=0.5)


def told(bench: Bench, request: Txt2Img, **options: Any) -> dict[str, str]:
    text = bench.make(request, **options)["info"]["infotexts"][0]
    return {part.split(": ")[0]: part.split(": ")[1] for part in text.splitlines()[-1].split(", ") if "Token" in part}


def test_a_picture_changes_and_the_next_is_as_before(bench: Bench) -> None:
    plain = bench.images(ASKED)[0]
    assert psnr(bench.images(ASKED, token_merging_ratio=0.5)[0], plain) < 60
    assert psnr(bench.images(ASKED)[0], plain) == 99


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"token_merging_ratio": 0.5}, {"Token merging ratio": "0.5", "Token merging ratio hr": "0.5"}),
        ({"token_merging_ratio_hr": 0.3}, {"Token merging ratio hr": "0.3"}),
        ({"token_merging_ratio_img2img": 0.3}, {}),
    ],
)
def test_both_passes_are_told(bench: Bench, options: dict[str, Any], expected: dict[str, str]) -> None:
    assert told(bench, TWICE, **options) == expected


def test_the_second_pass_has_a_ratio_of_its_own(bench: Bench) -> None:
    plain = bench.images(TWICE)[0]
    assert psnr(bench.images(TWICE, token_merging_ratio_hr=0.5)[0], plain) < 99
    assert told(bench, ASKED, token_merging_ratio_hr=0.5) == {}
