"""A1111's order, words and sizes of postprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.core import device
from modules.generate import postprocess, postprocess_steps
from modules.generate.postprocess import Piece, Tools
from modules.loading.faces import FaceRestorers
from modules.loading.upscale.catalog import Upscalers
from modules.settings.builtin import STEPS, registry
from modules.settings.options import Snapshot


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    folders = {name: (tmp_path / name,) for name in ("GFPGAN", "Codeformer")}

    def cpu(part: str) -> Any:
        return device.choose(use_cpu=["all"])

    options = Snapshot(registry())
    return Tools(options=options, upscalers=Upscalers({}, cpu), faces=FaceRestorers(folders, cpu))


def image(width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(1, 256, (height, width, 3), np.uint8))


def chained(tools: Tools, picture: Image.Image, **wishes: Any) -> list[Piece]:
    names = {name.replace(" ", "_").replace("-", "_"): name for name in STEPS}
    asked = postprocess_steps.builtin().asked({names[key]: given for key, given in wishes.items()}, tools.options)
    return postprocess.chain(Piece(image=picture), asked, tools)


def upscaled(tools: Tools, picture: Image.Image, **arguments: Any) -> Piece:
    (piece,) = chained(tools, picture, Upscale={"upscaler_1_name": "Nearest", **arguments})
    return piece


def test_the_steps_are_those_that_settings_offer_in_their_order(tools: Tools) -> None:
    assert postprocess_steps.builtin().names() == list(STEPS)
    assert [row.name for row in postprocess_steps.builtin().in_order(tools.options)] == list(STEPS)


def test_options_change_the_order_and_leave_steps_out(tools: Tools) -> None:
    options = Snapshot(registry()).overlay(
        {"postprocessing_operation_order": ["Caption", "GFPGAN"], "postprocessing_disable_in_extras": ["Upscale"]}
    )
    names = [row.name for row in postprocess_steps.builtin().in_order(options)]
    assert names[:3] == ["Caption", "GFPGAN", "CodeFormer"]
    assert "Upscale" not in names
    asked = postprocess_steps.builtin().asked({"Upscale": {}, "Caption": {}}, options)
    assert [step.name for step, _ in asked] == ["Caption"]


def test_by_a_factor(tools: Tools) -> None:
    piece = upscaled(tools, image(), upscale_by=2.5)
    assert piece.image.size == (160, 120)
    assert piece.info == {"Postprocess upscale by": 2.5, "Postprocess upscaler": "Nearest"}


def test_a_longest_side_limits_the_factor(tools: Tools) -> None:
    piece = upscaled(tools, image(), upscale_by=4, max_side_length=128)
    assert piece.image.size == (128, 96)
    expected = {"Postprocess upscale by": 4.0, "Max side length": 128, "Postprocess upscaler": "Nearest"}
    assert list(piece.info.items()) == list(expected.items())
    assert upscaled(tools, image(), upscale_by=2, max_side_length=128).info.get("Max side length") is None
    assert upscaled(tools, image(48, 64), upscale_by=4, max_side_length=128).image.size == (96, 128)


def test_to_a_size_with_and_without_a_crop(tools: Tools) -> None:
    to = {"upscale_mode": 1, "upscale_to_width": 128, "upscale_to_height": 128}
    cropped = upscaled(tools, image(), **to)
    assert cropped.image.size == (128, 128)
    assert list(cropped.info) == ["Postprocess upscale to", "Postprocess crop to", "Postprocess upscaler"]
    assert cropped.info["Postprocess crop to"] == "128x128"
    whole = upscaled(tools, image(), **to, upscale_crop=False)
    assert whole.image.size == (168, 128)
    assert np.array_equal(np.asarray(whole.image)[:, 20:148], cropped.image)


def test_two_upscalers_are_blended(tools: Tools) -> None:
    one, two = (
        np.asarray(upscaled(tools, image(), upscaler_1_name=name).image, float) for name in ("Nearest", "Lanczos")
    )
    piece = upscaled(tools, image(), upscaler_2_name="Lanczos", upscaler_2_visibility=0.25)
    assert np.abs(np.asarray(piece.image, float) - (0.75 * one + 0.25 * two)).max() <= 1
    assert piece.info["Postprocess upscaler 2"] == "Lanczos"
    alone = upscaled(tools, image(), upscaler_2_name="Lanczos", upscaler_2_visibility=0)
    assert "Postprocess upscaler 2" not in alone.info


@pytest.mark.parametrize(
    "arguments", [{"upscaler_1_name": "None"}, {"upscaler_1_name": None}, {"upscale_enabled": False}]
)
def test_without_an_upscaler_nothing_happens(tools: Tools, arguments: dict[str, Any]) -> None:
    picture = image()
    piece = upscaled(tools, picture, **arguments)
    assert piece.image is picture
    assert piece.info == {}


def test_later_steps_work_on_the_pieces_of_earlier_ones(tools: Tools) -> None:
    tall = image(50, 200)
    to = {"upscale_mode": 1, "upscale_to_width": 50, "upscale_to_height": 50, "upscale_enabled": False}
    flip = {"enable": True, "option": ["Horizontal"]}
    pieces = chained(
        tools, tall, Upscale=to, Split_oversized_images={"enable": True, "overlap_ratio": 0}, Create_flipped_copies=flip
    )
    assert [piece.image.size for piece in pieces] == [(50, 50)] * 8
    first = np.asarray(pieces[0].image)
    assert np.array_equal(first, np.asarray(tall)[:50])
    assert np.array_equal(pieces[4].image, first[:, ::-1])


def test_a_focal_crop_says_that_it_saw_no_faces_and_keeps_its_drawing_apart(tools: Tools) -> None:
    to = {"upscale_mode": 1, "upscale_to_width": 40, "upscale_to_height": 40, "upscale_enabled": False}
    flip = {"enable": True, "option": ["Vertical"]}
    crop, debug, flipped = chained(
        tools,
        image(96, 48),
        Upscale=to,
        Auto_focal_point_crop={"enable": True, "debug": True},
        Create_flipped_copies=flip,
    )
    assert crop.image.size == flipped.image.size == (40, 40)
    assert debug.tags == ["focal-crop-debug"]
    assert debug.finished
    assert "RetinaFace" in tools.notes[0]


def test_an_automatic_size_that_there_is_none_of_leaves_the_picture(tools: Tools) -> None:
    picture = image(640, 40)
    (piece,) = chained(tools, picture, Auto_sized_crop={"enable": True})
    assert piece.image is picture
    assert "640x40" in tools.notes[0]
    (piece,) = chained(tools, image(640, 640), Auto_sized_crop={"enable": True})
    assert piece.image.size == (640, 640)
