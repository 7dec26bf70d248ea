"""Requests survive a trip through JSON."""

from __future__ import annotations

import json

import pytest

from modules.core.errors import BadRequest
from modules.generate.request import KINDS, Generation, Img2Img, Txt2Img


@pytest.mark.parametrize(
    "request_",
    [
        Txt2Img(prompt="a", styles=("x", "y"), override_settings={"CLIP_stop_at_last_layers": 2}, tiling=True),
        Img2Img(init_images=("a" * 64, "b" * 64), mask="c" * 64, mask_round=False, denoising_strength=0.1),
        Img2Img(),
    ],
)
def test_of_json_is_the_inverse_of_to_json(request_: Generation) -> None:
    assert KINDS[request_.kind].of_json(json.loads(json.dumps(request_.to_json()))) == request_


@pytest.mark.parametrize("kind", KINDS)
def test_fields_of_a_newer_version_are_refused(kind: str) -> None:
    with pytest.raises(BadRequest, match=f'{kind} has no field "wings"'):
        KINDS[kind].of_json({"wings": 2})
