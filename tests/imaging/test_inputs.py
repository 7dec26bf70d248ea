"""Pictures that jobs start from: kept once, found again after a restart, swept when nobody needs them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from modules.core.errors import BadRequest, NotFound
from modules.imaging.inputs import Inputs


def file(colour: str) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (3, 2), colour).save(target, format="PNG")
    return target.getvalue()


def test_what_is_put_in_comes_out_in_another_process_too(tmp_path: Path) -> None:
    name = Inputs(tmp_path / "inputs").add(file("red"), field="mask")
    assert Inputs(tmp_path / "inputs").open(name, field="mask").getpixel((0, 0)) == (255, 0, 0)
    made = Image.new("RGBA", (5, 5), (1, 2, 3, 4))
    assert Inputs(tmp_path / "inputs").open(Inputs(tmp_path / "inputs").add_image(made), field="mask") == made


def test_the_same_picture_is_there_once(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    assert inputs.add(file("red"), field="mask") == inputs.add(file("red"), field="init_images")
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("name", ["0" * 64, "", "../" * 20, "/etc/passwd", "A" * 64])
def test_what_is_not_there_is_said_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        Inputs(tmp_path).open(name, field="init_images")
    assert caught.value.field == "init_images"


def test_what_is_no_picture_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        Inputs(tmp_path / "inputs").add(b"no picture", field="mask")
    assert not (tmp_path / "inputs").exists()


def test_sweeping_keeps_what_is_needed_and_the_newest(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    names = [inputs.add(file(colour), field="mask") for colour in ("red", "green", "blue", "white")]
    for age, name in enumerate(reversed(names)):
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    inputs.sweep(lambda: {names[0]}, keep=1)
    assert set(os.listdir(tmp_path)) == {names[0], names[3]}
    Inputs(tmp_path / "none").sweep(set)
