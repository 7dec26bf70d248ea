"""The promise for scripts: A1111's pictures, A1111's texts, A1111's info, in A1111's order."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from modules.core.types import JsonObject
from modules.generate.request import Img2Img
from modules.generate.scripts import loopback
from tests.reference.cases import SHARED, SHIPPED, Case, comparable, psnr, read, scripted
from tests.reference.test_pictures import LEAST, request_of
from tests.scripting import answered
from tests.studio import Bench

CASES = [case for case in read(SHARED) or read(SHIPPED) if scripted(case)]

CHAOTIC = {"scripts/loopback-aggressive": 50.0}
"""dB. Each loop makes differences some ten times larger (one level in one pixel of its beginning: 68 dB at its end),
and A1111's first picture differs from ours in two pixels; the step from each of A1111's pictures to its next one
agrees.
"""

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def answer(
    request: pytest.FixtureRequest, bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Case, JsonObject]:
    """A case and our answer to it; made once for all laws."""
    case: Case = request.param
    return case, answered(case, bench, tmp_path_factory.mktemp("scripts"))


def test_the_same_pictures(answer: tuple[Case, JsonObject]) -> None:
    case, result = answer
    assert len(result["pictures"]) == len(case.images)
    for index, each in enumerate(result["pictures"]):
        assert psnr(Image.open(each["path"]), case.picture(index)) >= CHAOTIC.get(case.name, LEAST)


def test_the_same_texts(answer: tuple[Case, JsonObject]) -> None:
    case, result = answer
    assert [comparable(text) for text in result["info"]["infotexts"]] == [
        comparable(text) for text in case.info["infotexts"]
    ]


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


def test_every_picture_is_a_file_that_says_what_it_is(answer: tuple[Case, JsonObject]) -> None:
    _, result = answer
    for each in result["pictures"]:
        assert Path(each["path"]).is_file()
        assert Image.open(each["path"]).info.get("parameters", "") == each["infotext"]


@pytest.mark.parametrize("case", [case for case in CASES if case.name in CHAOTIC], ids=lambda case: case.name)
def test_each_loop_agrees_from_a1111s_own_picture_on(case: Case, bench: Bench) -> None:
    first = request_of(case, bench.studio.inputs)
    assert isinstance(first, Img2Img)
    loops, final, curve, _ = case.request["script_args"]
    for loop in range(1, loops):
        begin = bench.studio.inputs.add_image(case.picture(loop).convert("RGB"))
        strengths = {"loops": loops, "first": first.denoising_strength or 0.0, "final": final, "curve": curve}
        step = dataclasses.replace(
            first,
            seed=first.seed + loop,
            denoising_strength=loopback.strength(loop, **strengths),
            init_images=(begin,),
            do_not_save_grid=True,
        )
        assert psnr(bench.images(step)[0], case.picture(loop + 1)) >= LEAST
