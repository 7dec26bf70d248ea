"""A1111's list and names; a network is read once and freed; tiles give the picture that no tiles give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.core import device
from modules.core.errors import BadRequest, NotFound
from modules.loading.upscale.catalog import Upscaler, Upscalers
from modules.settings.builtin import registry
from modules.settings.options import Snapshot
from tests.loading.upscale import made

OPTIONS = Snapshot(registry())


def upscalers(models: Path) -> Upscalers:
    names = ("ESRGAN", "RealESRGAN", "BSRGAN", "DAT", "HAT", "ScuNET", "SwinIR")
    return Upscalers({name: (models / name,) for name in names}, lambda part: device.choose(use_cpu=["all"]))


def picture(width: int = 40, height: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8))


def test_without_files_there_are_three(tmp_path: Path) -> None:
    assert upscalers(tmp_path).names() == ["None", "Lanczos", "Nearest"]


def test_files_have_a1111s_names_or_their_own_and_are_sorted(tmp_path: Path) -> None:
    for name in (
        "RealESRGAN/RealESRGAN_x4plus.pth",
        "ESRGAN/sub/4x-Zeta.safetensors",
        "DAT/DAT_x2.pth",
        "ESRGAN/x.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = upscalers(tmp_path)
    assert found.names()[3:] == ["4x-Zeta", "DAT x2", "R-ESRGAN 4x+"]
    assert found.find("dat X2").scale == 2
    assert found.find("R-ESRGAN 4x+").path == tmp_path / "RealESRGAN" / "RealESRGAN_x4plus.pth"


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("ESRGAN", "SwinIR"):
        made.pth(tmp_path / folder / "twin.pth", {})
    assert upscalers(tmp_path).names()[3:] == ["twin", "twin (SwinIR)"]


def test_a_file_that_came_later_is_found(tmp_path: Path) -> None:
    found = upscalers(tmp_path)
    made.pth(tmp_path / "ESRGAN" / "late.pth", made.compact())
    assert found.find("late").name == "late"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("R-ESRGAN 4x+", r"put RealESRGAN_x4plus\.pth into .*RealESRGAN"),
        ("SwinIR 4x", r"put SwinIR_4x\.pth into .*SwinIR"),
        ("LDSR", "not part of Easel"),
        ("Lanzcos", "Did you mean"),
    ],
)
def test_a_missing_one_says_what_to_do(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(NotFound, match=says) as caught:
        upscalers(tmp_path).find(name, field="upscaler_1")
    assert caught.value.field == "upscaler_1"


def test_the_size_is_what_was_asked_for(tmp_path: Path) -> None:
    made.FORMATS["compact"](tmp_path / "ESRGAN")
    found = upscalers(tmp_path)
    for name in found.names():
        assert found.upscale(picture(), 2.5, name, OPTIONS).size == (96, 56)
        assert found.to_size(picture(), 101, 33, name, OPTIONS).size == (101, 33)


@pytest.mark.parametrize("name", ["real-esrgan", "compact", "swinir"])
def test_tiles_give_the_picture_that_no_tiles_give(tmp_path: Path, name: str) -> None:
    """To one level, where these tiny networks see no further than the context; tile sizes of A1111's options."""
    row = made.FORMATS[name](tmp_path / "ESRGAN").stem
    found = upscalers(tmp_path)
    whole, tiled = (
        np.asarray(found.upscale(picture(150, 113), 2, row, OPTIONS.overlay(changes)), dtype=int)
        for changes in ({"ESRGAN_tile": 0}, {"ESRGAN_tile": 48})
    )
    assert np.abs(whole - tiled).max() <= 1


def test_an_absurd_size_is_refused_before_memory_runs_out(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="smaller factor"):
        upscalers(tmp_path).upscale(picture(2000, 2000), 60, "Lanczos", OPTIONS)


class Counting:
    """Where to compute, and how often it was asked."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def __call__(self, part: str) -> Any:
        self.parts.append(part)
        return device.choose(use_cpu=["all"])


def test_one_network_is_kept_until_another_is_wanted_or_it_is_released(tmp_path: Path) -> None:
    path = made.pth(tmp_path / "SwinIR" / "a.pth", made.compact())
    made.pth(tmp_path / "SwinIR" / "b.pth", made.compact(2))
    asked = Counting()
    found = Upscalers({"SwinIR": (tmp_path / "SwinIR",)}, asked)
    first = found.upscale(picture(), 2, "a", OPTIONS)
    assert set(asked.parts) == {"swinir"}
    kept = found.kept
    assert kept is not None
    found.upscale(picture(), 2, "a", OPTIONS)
    assert found.kept is kept
    made.pth(path, made.weights("Compact", seed=9, num_feat=8, num_conv=3, upscale=4))
    assert found.upscale(picture(), 2, "a", OPTIONS) != first, "a file that was replaced is read again"
    found.upscale(picture(), 2, "b", OPTIONS)
    assert found.kept is not None
    assert found.kept.name == "b.pth"
    found.release()
    assert found.kept is None


def test_extensions_add_rows_and_take_them_out_again(tmp_path: Path) -> None:
    found = upscalers(tmp_path)
    row = Upscaler(name="Doubling", once=lambda image, scale: image.resize((image.width * 2, image.height * 2)))
    remove = found.add(row)
    assert found.names() == ["None", "Lanczos", "Nearest", "Doubling"]
    assert found.upscale(picture(), 2, "doubling", OPTIONS).size == (80, 48)
    with pytest.raises(ValueError, match="taken"):
        found.add(row)
    with pytest.raises(ValueError, match="function"):
        found.add(Upscaler(name="empty"))
    remove()
    assert found.names() == ["None", "Lanczos", "Nearest"]
