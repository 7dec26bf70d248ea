"""A policy is what A1111's options say."""

from __future__ import annotations

from typing import Any

import pytest

from modules.core.errors import BadRequest
from modules.imaging.policy import SavePolicy


def test_no_options_are_the_defaults() -> None:
    assert SavePolicy.of({}) == SavePolicy()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"samples_format": ".JPG"}, {"format": "jpg"}),
        ({"save_images_replace_action": "Add number suffix"}, {"replace": False}),
        ({"outdir_samples": "", "outdir_txt2img_samples": "mine"}, {"outdir": "mine"}),
        ({"outdir_samples": "all", "outdir_txt2img_samples": "mine"}, {"outdir": "all"}),
        ({"img_downscale_threshold": 2.0, "target_side_length": 1000}, {"limit_megabytes": 2.0, "limit_side": 1000}),
        ({"save_to_dirs": False, "grid_save_to_dirs": True}, {"save_to_dirs": False}),
    ],
)
def test_options_of_samples(options: dict[str, Any], expected: dict[str, Any]) -> None:
    policy = SavePolicy.of(options)
    assert {key: getattr(policy, key) for key in expected} == expected


def test_grids_have_their_own_options() -> None:
    options = {"samples_format": "webp", "grid_format": "jpg", "save_to_dirs": True, "grid_save_to_dirs": False}
    policy = SavePolicy.of(options, kind="grid", tab="img2img")
    assert (policy.format, policy.basename, policy.short, policy.save_to_dirs) == ("jpg", "grid", True, False)
    assert policy.outdir == "outputs/img2img-grids"
    assert SavePolicy.of({"grid_extended_filename": True}, kind="grid").short is False


@pytest.mark.parametrize(("kind", "key"), [("sample", "samples_format"), ("grid", "grid_format")])
def test_unknown_formats_are_refused_by_name(kind: Any, key: str) -> None:
    with pytest.raises(BadRequest, match="choose one of png") as caught:
        SavePolicy.of({key: "exe"}, kind=kind)
    assert caught.value.field == key
