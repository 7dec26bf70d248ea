"""Pictures over HTTP: A1111's for the same request, saved only when asked for, and readable by png-info."""

from __future__ import annotations

import base64
import re

import pytest
from PIL import Image

from tests.reference.cases import SHIPPED, Case, comparable, psnr, read
from tests.server.running import Answer, Server, files, pixels

LEAST = 60.0
"""dB, as in tests/reference/test_pictures.py."""

CASES = {case.name: case for case in read(SHIPPED)}
UNSAVED = ("samplers/dpmpp-2m-8", "rng/nv-variation", "batch/2x2-euler")
SAVED = ("samplers/euler-a-8", "rng/nv-variation", "batch/grid-saved")


def made(server: Server, case: Case, *, save_images: bool) -> Answer:
    """The answer to a golden case's request, checked against A1111's."""
    answer = server.txt2img(**{**case.request, "save_images": save_images})
    assert len(answer.images) == len(case.images)
    for index, image in enumerate(answer.images):
        assert psnr(image, case.picture(index)) >= LEAST
    assert [comparable(text) for text in answer.infotexts] == [comparable(text) for text in case.info["infotexts"]]
    for field in ("all_seeds", "all_prompts", "index_of_first_image", "sampler_name", "clip_skip", "width", "height"):
        assert answer.info[field] == case.info[field]
    return answer


@pytest.mark.parametrize("name", UNSAVED)
def test_unsaved_pictures_are_those_of_a1111_and_leave_outputs_alone(server: Server, name: str) -> None:
    before = files(server.data / "outputs")
    answer = made(server, CASES[name], save_images=False)
    assert [image.info["parameters"] for image in answer.images] == answer.infotexts
    assert files(server.data / "outputs") == before


@pytest.mark.parametrize("name", SAVED)
def test_saved_pictures_are_those_of_a1111_and_lie_in_outputs(server: Server, name: str) -> None:
    before = files(server.data / "outputs")
    answer = made(server, CASES[name], save_images=True)
    new = sorted(files(server.data / "outputs") - before)
    assert sorted(path.read_bytes() for path in new) == sorted(answer.raw)
    for path in new:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.info["parameters"] in answer.infotexts


def test_saved_pictures_are_numbered_below_the_date(server: Server) -> None:
    folder = server.data / "outputs" / "txt2img-images"
    taken = len(files(folder))
    before = files(folder)
    server.txt2img(seed=4711, n_iter=2, save_images=True, do_not_save_grid=True)
    new = sorted(path.relative_to(folder) for path in files(folder) - before)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", path.parent.name) for path in new)
    if new[0].parent == new[1].parent and len(list(folder.iterdir())) == 1:  # not at midnight
        assert [path.name for path in new] == [f"{taken:05}-4711.png", f"{taken + 1:05}-4712.png"]


def test_png_info_tells_how_a_picture_was_made(server: Server) -> None:
    answer = server.txt2img(prompt="a red house", negative_prompt="blurry", seed=99, steps=3)
    image = base64.b64encode(answer.raw[0]).decode()
    told = server.post("png-info", {"image": image}).raise_for_status().json()
    assert told["info"] == answer.infotexts[0]
    expected = {"Prompt": "a red house", "Negative prompt": "blurry", "Seed": "99", "Steps": "3"}
    assert {key: str(told["parameters"][key]) for key in expected} == expected


def test_the_infotext_of_a_picture_makes_it_again(server: Server) -> None:
    first = server.txt2img(prompt="a boat", seed=5, sampler_name="Euler a", override_settings={"randn_source": "CPU"})
    again = Answer(server.post("txt2img", {"infotext": first.infotexts[0]}).raise_for_status())
    assert pixels(again.images[0]) == pixels(first.images[0])
    assert again.infotexts == first.infotexts
