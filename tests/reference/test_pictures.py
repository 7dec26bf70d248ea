"""The promise: a request that A1111 1.10.1 answered gets A1111's picture and A1111's infotext.

The shipped cases run everywhere; where shared/reference lies beside the repository, its covered cases run instead.
"""

from __future__ import annotations

import dataclasses

import pytest
from PIL import Image

from modules.core.types import JsonObject
from modules.generate.request import Generation, Img2Img, Txt2Img
from modules.imaging.inputs import Inputs
from tests.reference.cases import CHAOTIC, IMAGE_TO_IMAGE, SHARED, SHIPPED, Case, comparable, covered, psnr, read
from tests.studio import Bench

LEAST = 60.0
"""dB. A1111 against itself with another attention kernel differs by 1 of 255 here and there."""
LEAST_OF_CHAOTIC = 20.0
"""dB: the same composition and colours; every perturbation that was tried is above 29."""

CASES = [case for case in read(SHARED) or read(SHIPPED) if covered(case)]
PICTURES = ("mask", "latent_mask")
FLOATS = (
    *("cfg_scale", "eta", "subseed_strength", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond"),
    *("denoising_strength", "hr_scale"),
)

pytestmark = pytest.mark.reference


def request_of(case: Case, inputs: Inputs) -> Generation:
    """As the API makes it: numbers have the types of the schema, pictures are saved only if asked for."""
    kind = Img2Img if case.raw["endpoint"] == IMAGE_TO_IMAGE else Txt2Img
    body, fields = case.request, {field.name for field in dataclasses.fields(kind)}
    if "mask_blur" in body:
        body |= {"mask_blur_x": body["mask_blur"], "mask_blur_y": body["mask_blur"]}
    body = {key: value for key, value in body.items() if key in fields}
    body |= {key: float(body[key]) for key in FLOATS if key in body}
    body |= {key: inputs.add(case.input(body[key]), field=key) for key in PICTURES if key in body}
    if "init_images" in body:
        body["init_images"] = tuple(inputs.add(case.input(name), field="init_images") for name in body["init_images"])
    save = case.request.get("save_images", False)
    return kind(**body, do_not_save_samples=not save, do_not_save_grid=not save)


def test_there_are_cases() -> None:
    assert len(CASES) >= 60


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def answer(request: pytest.FixtureRequest, bench: Bench) -> tuple[Case, JsonObject]:
    """A case and our answer to it; made once for all laws."""
    case: Case = request.param
    return case, bench.make(request_of(case, bench.studio.inputs), **case.settings)


def test_the_same_picture(answer: tuple[Case, JsonObject]) -> None:
    case, result = answer
    pictures = result["pictures"]
    assert len(pictures) == len(case.images)
    worst = min(psnr(Image.open(each["path"]), case.picture(index)) for index, each in enumerate(pictures))
    assert worst >= (LEAST_OF_CHAOTIC if case.name in CHAOTIC else LEAST), f"{worst:.1f} dB"


def test_the_same_text(answer: tuple[Case, JsonObject]) -> None:
    case, result = answer
    ours = [comparable(text) for text in result["info"]["infotexts"]]
    assert ours == [comparable(text) for text in case.info["infotexts"]]
    told = [each for each in result["pictures"] if each["kind"] != "mask"]
    embedded = [Image.open(each["path"]).info["parameters"] for each in told]
    assert embedded == result["info"]["infotexts"]


def test_the_same_facts(answer: tuple[Case, JsonObject]) -> None:
    """Everything in `info` is A1111's, but for random seeds, version and time."""
    case, result = answer
    ours, theirs = result["info"], case.info
    free = {"version", "infotexts", "job_timestamp"}
    if not case.request.get("subseed"):
        free |= {"subseed", "all_subseeds"}
    assert {key: ours[key] for key in theirs if key not in free} == {
        key: value for key, value in theirs.items() if key not in free
    }
