"""Geometry: a face that is not changed leaves the picture as it was; what is missing is said with file and folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from modules.core import device
from modules.core.errors import DamagedFile, EaselError, NotFound
from modules.loading import faces
from modules.loading.faces import DETECTOR, TEMPLATE, FaceRestorers
from tests.loading.upscale import made


def restorers(models: Path) -> FaceRestorers:
    folders = {name: (models / name,) for name in ("GFPGAN", "Codeformer")}
    return FaceRestorers(folders, lambda part: device.choose(use_cpu=["all"]))


def put(models: Path, *names: str) -> FaceRestorers:
    for name in names:
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        (models / name).touch()
    return restorers(models)


@given(turn=st.floats(-3, 3), scale=st.floats(0.05, 5), x=st.floats(-500, 500), y=st.floats(-500, 500))
@settings(max_examples=50, deadline=None)
def test_a_turned_scaled_and_moved_face_is_brought_back_exactly(turn: float, scale: float, x: float, y: float) -> None:
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = TEMPLATE @ rotation.T + [x, y]
    matrix = faces.similarity(points, TEMPLATE)
    assert np.allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-6)
    back = faces.inverse(matrix)
    assert np.allclose(TEMPLATE @ back[:, :2].T + back[:, 2], points, atol=1e-6)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    """Only turns, scales and shifts: a network would not know a mirrored face's light."""
    matrix = faces.similarity(TEMPLATE * [-1, 1], TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0


def smooth(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(2).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_a_face_that_is_not_changed_leaves_the_picture_as_it_was(turn: float) -> None:
    image = smooth(700, 600).filter(ImageFilter.GaussianBlur(3))
    rotation = 0.6 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (TEMPLATE - 256) @ rotation.T + [350, 300]
    same = faces.restored(image, [points], lambda square: square)
    assert np.abs(np.asarray(same, dtype=int) - np.asarray(image, dtype=int)).max() <= 3


def test_only_the_face_changes_and_its_edge_is_soft() -> None:
    image = Image.new("RGB", (900, 800), (50, 50, 50))
    points = (TEMPLATE - 256) * 0.5 + [300, 400]
    sizes: list[tuple[int, int]] = []

    def whiten(square: Image.Image) -> Image.Image:
        sizes.append(square.size)
        return Image.new("RGB", square.size, (250, 250, 250))

    row = np.asarray(faces.restored(image, [points], whiten))[400, :, 0].astype(int)
    assert sizes == [(512, 512)]
    assert row[300] == 250
    assert row[170] == row[430] == row[700] == 50
    assert np.abs(np.diff(row)).max() < 40
    both = faces.restored(image, [points, points + np.array([350, 0])], whiten)
    assert both.getpixel((650, 400)) == (250, 250, 250)


def test_what_is_missing_is_said_with_file_and_folder(tmp_path: Path) -> None:
    folder = tmp_path / "GFPGAN"
    assert restorers(tmp_path).problem("GFPGAN") == f"GFPGAN needs its network: put GFPGANv1.4.pth into {folder}."
    found = put(tmp_path, "GFPGAN/GFPGANv1.3.pth")
    assert found.problem("gfpgan") == f"finding faces needs RetinaFace: put {DETECTOR} into {folder}."
    with pytest.raises(EaselError, match="RetinaFace"):
        found.restore(Image.new("RGB", (64, 64)), "GFPGAN")
    assert put(tmp_path, f"GFPGAN/{DETECTOR}").problem("GFPGAN") == ""
    assert "codeformer-v0.1.0.pth" in found.problem("CodeFormer")
    assert "spandrel_extra_arches" in put(tmp_path, "Codeformer/codeformer-v0.1.0.pth").problem("CodeFormer")


def test_a_flag_can_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").touch()
    named = FaceRestorers(
        {"GFPGAN": (put(tmp_path, f"GFPGAN/{DETECTOR}").folders["GFPGAN"][0],)},
        lambda part: device.choose(use_cpu=["all"]),
        files={"GFPGAN": tmp_path / "mine.pth"},
    )
    assert named.problem("GFPGAN") == ""


def test_an_unknown_restorer_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="GFPGAN"):
        restorers(tmp_path).problem("GFPGON")


def test_a_file_that_is_something_else_is_refused_by_name(tmp_path: Path) -> None:
    made.pth(tmp_path / "GFPGAN" / DETECTOR, {"a": 1})
    made.pth(tmp_path / "GFPGAN" / "GFPGANv1.4.pth", made.compact())
    with pytest.raises(DamagedFile, match="detection_Resnet50_Final"):
        restorers(tmp_path).restore(Image.new("RGB", (64, 64)), "GFPGAN")
