"""A folder of pictures: a request each, results by the pictures' names, and a word about every one that is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modules.core.errors import BadRequest
from modules.generate.folder import FIELDS, Folder, pictures, requests
from modules.generate.request import Img2Img
from modules.imaging.inputs import Inputs
from tests.studio import Bench

BASE = Img2Img(prompt="a cat", seed=1, steps=2, width=64, height=64)


def write(path: Path, colour: str = "red", *, size: tuple[int, int] = (24, 16), infotext: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = PngInfo()
    if infotext:
        texts.add_text("parameters", infotext)
    Image.new("RGB", size, colour).save(path, format="PNG", pnginfo=texts)
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path / "inputs")


def test_pictures_come_in_the_order_people_expect(tmp_path: Path) -> None:
    for name in ("b/3.png", "10.png", "2.PNG", "1.jpg", "notes.txt"):
        write(tmp_path / name)
    assert [path.name for path in pictures(tmp_path)] == ["1.jpg", "2.PNG", "10.png", "3.png"]
    with pytest.raises(BadRequest, match="there is no folder"):
        pictures(tmp_path / "none")


def test_every_picture_is_a_request_that_keeps_everything_else(tmp_path: Path, inputs: Inputs) -> None:
    files = tuple(write(tmp_path / f"{colour}.png", colour) for colour in ("red", "blue"))
    made = [one.request for one in requests(Folder(files=files), BASE, inputs)]
    assert [request and (request.prompt, request.width, request.override_settings) for request in made] == [
        ("a cat", 64, {})
    ] * 2
    colours = [inputs.open(each.init_images[0], field="").getpixel((0, 0)) for each in made if each]
    assert colours == [(255, 0, 0), (0, 0, 255)]


def test_masks_are_found_by_name_or_one_is_for_all(tmp_path: Path, inputs: Inputs) -> None:
    files = tuple(write(tmp_path / "in" / f"{name}.png") for name in ("a", "b"))
    write(tmp_path / "masks" / "a.jpg", "white")
    first, second = requests(Folder(files=files, masks=tmp_path / "masks"), BASE, inputs)
    assert first.request is not None
    assert second.request is not None
    assert first.request.mask == second.request.mask is not None
    write(tmp_path / "masks" / "c.png", "white")
    first, second = requests(Folder(files=files, masks=tmp_path / "masks"), BASE, inputs)
    assert first.request is not None
    assert second.request is None
    assert "b.png: there is no mask" in second.remark
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRequest, match="no picture"):
        list(requests(Folder(files=files, masks=tmp_path / "empty"), BASE, inputs))


def test_a_picture_that_cannot_be_read_is_told_and_left_out(tmp_path: Path, inputs: Inputs) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    files = (broken, tmp_path / "gone.png", write(tmp_path / "fine.png"))
    made = list(requests(Folder(files=files), BASE, inputs))
    assert [one.request is None for one in made] == [True, True, False]
    assert [one.remark.split(":")[0] for one in made] == ["broken.png", "gone.png", ""]


def test_sizes_follow_the_pictures_where_a_scale_is_given(tmp_path: Path, inputs: Inputs) -> None:
    files = (write(tmp_path / "a.png", size=(30, 10)), write(tmp_path / "b.png", size=(4, 4)))
    made = [one.request for one in requests(Folder(files=files, scale=1.5), BASE, inputs)]
    assert [request and (request.width, request.height) for request in made] == [(45, 15), (8, 8)]


def test_what_a_picture_says_of_itself_is_reused_as_far_as_asked(tmp_path: Path, inputs: Inputs) -> None:
    text = "of gold\nNegative prompt: dull\nSteps: 9, Sampler: DDIM, CFG scale: 3.5, Seed: 77, Model hash: abc123"
    file = write(tmp_path / "a.png", infotext=text)
    (all,) = requests(Folder(files=(file,), reused=tuple(FIELDS)), BASE, inputs)
    request = all.request
    assert request is not None
    assert (request.prompt, request.negative_prompt, request.seed, request.steps) == ("a cat of gold", "dull", 77, 9)
    assert (request.sampler_name, request.cfg_scale) == ("DDIM", 3.5)
    assert request.override_settings == {"sd_model_checkpoint": "abc123"}
    (seed,) = requests(Folder(files=(file,), reused=("Seed",)), BASE, inputs)
    assert seed.request is not None
    assert (seed.request.seed, seed.request.steps, seed.request.prompt) == (77, 2, "a cat")
    other = write(tmp_path / "texts" / "a.png", infotext="x\nSteps: 4, Sampler: Euler, Seed: 5")
    (elsewhere,) = requests(Folder(files=(file,), reused=("Seed",), texts=other.parent), BASE, inputs)
    assert elsewhere.request is not None
    assert elsewhere.request.seed == 5


def test_results_bear_the_pictures_names(bench: Bench, tmp_path: Path) -> None:
    files = (write(tmp_path / "my cat.png"),)
    for _ in range(2):
        (one,) = requests(Folder(files=files, output=str(tmp_path / "out")), BASE, bench.studio.inputs)
        assert one.request is not None
        bench.make(one.request)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["my cat-1.png", "my cat.png"]
