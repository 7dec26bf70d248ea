"""Jobs that share a batch get the pictures and texts that they get alone: at most one of 255 levels apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy
import pytest
from PIL import Image

from modules.core.types import JsonObject
from modules.generate import run, together
from modules.generate.request import Txt2Img
from modules.generate.save import Album
from modules.generate.together import Part
from tests.studio import Bench, Silent

SAMPLERS = ("Euler a", "DPM++ 2M SDE", "DPM++ SDE", "Heun", "UniPC", "DDIM", "Restart", "LMS")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("together"))


def asked(index: int, sampler: str = "Euler", **more: object) -> Txt2Img:
    prompts = ("a red cat", "a (blue:1.2) dog, [day|night]", "mountains", "")
    fields = {"prompt": prompts[index], "negative_prompt": "blurry" * (index % 2), "seed": 100 + 7 * index} | more
    return Txt2Img(sampler_name=sampler, steps=6, width=64, height=64, **fields)


def part(bench: Bench, request: Txt2Img, name: str, **options: object) -> Part:
    album = Album(
        data=bench.folder / "data",
        spool=bench.folder / "spool" / name,
        moments=bench.moments,
        record=lambda plan, kept: None,
    )
    settings = bench.options({**request.override_settings, **options})
    return Part(request=request, options=settings, control=Silent(), album=album)


def made(bench: Bench, requests: list[Txt2Img], **options: object) -> list[JsonObject] | None:
    finishes = together.make(bench.studio, [part(bench, each, f"t{n}", **options) for n, each in enumerate(requests)])
    return None if finishes is None else [finish() for finish in finishes]


def apart(one: JsonObject, other: JsonObject) -> int:
    """Most levels between the pictures of two results."""
    pairs = zip(one["pictures"], other["pictures"], strict=True)
    arrays = [[numpy.asarray(Image.open(each["path"])).astype(int) for each in pair] for pair in pairs]
    return max(int(abs(first - second).max()) for first, second in arrays)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_job_in_company_has_its_own_picture(bench: Bench, sampler: str) -> None:
    requests = [asked(index, sampler) for index in range(4)]
    results = made(bench, requests)
    assert results is not None
    for request, result in zip(requests, results, strict=True):
        alone = bench.make(request)
        assert apart(alone, result) <= 1
        assert [each["infotext"] for each in alone["pictures"]] == [each["infotext"] for each in result["pictures"]]
        assert alone["info"]["seed"] == result["info"]["seed"]
    assert apart(results[0], results[1]) > 30, "different requests gave one picture"


def test_jobs_of_several_pictures_and_variations(bench: Bench) -> None:
    requests = [asked(index, batch_size=2, subseed=5 + index, subseed_strength=0.3) for index in range(2)]
    results = made(bench, requests)
    assert results is not None
    assert all(apart(bench.make(request), result) <= 1 for request, result in zip(requests, results, strict=True))


class Ended(BaseException):
    """The process is told to stop."""


class Mortal(Silent):
    """Ends the work before step `at`; 0 never does."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def step(self, done: int) -> None:
        if done == self.at:
            raise Ended
        super().step(done)


def test_jobs_of_one_batch_go_on_together_after_a_kill(bench: Bench, tmp_path: Path) -> None:
    requests, calls = [asked(index, "DPM++ 2M SDE", subseed=5) for index in range(3)], list[int]()
    unet = bench.studio.model(run.planned(bench.studio, requests[0], bench.options({}))).unet
    studio = dataclasses.replace(bench.studio, unfinished=tmp_path / "first")

    def live(some: list[Txt2Img], *, dies_at: int = 0) -> list[JsonObject]:
        calls.append(0)
        parts = [
            part(bench, each, f"life{len(calls)}-{n}", unfinished_save_seconds=1e-9) for n, each in enumerate(some)
        ]
        finishes = together.make(studio, [dataclasses.replace(each, control=Mortal(dies_at)) for each in parts])
        assert finishes is not None
        return [finish() for finish in finishes]

    def called(*ignored: object) -> None:
        calls[-1] += 1

    handle = unet.register_forward_pre_hook(called)
    try:
        whole = live(requests)
        with pytest.raises(Ended):
            live(requests, dies_at=4)
        results = live(requests)
        assert not any(tmp_path.rglob("*.answers"))
        with pytest.raises(Ended):
            live(requests, dies_at=4)
        live(requests[:2])
    finally:
        handle.remove()
    assert all(apart(one, other) == 0 for one, other in zip(whole, results, strict=True))
    assert calls[0] == calls[1] + calls[2] == calls[4], "other company begins again"
    assert calls[1] == calls[3] > 0


def keys(bench: Bench, *requests: Txt2Img, **options: object) -> list[str | None]:
    return [together.alike(run.planned(bench.studio, each, bench.options(options)), dict(options)) for each in requests]


def test_only_words_and_seeds_may_differ(bench: Bench) -> None:
    base = asked(0)
    one, same = keys(bench, base, asked(1))
    assert one is not None
    assert one == same
    others = [
        asked(0, "Heun"),
        asked(0, cfg_scale=3.0),
        asked(0, batch_size=2),
        asked(0, prompt="a cat <lora:x:1>"),
        asked(0, override_settings={"CLIP_stop_at_last_layers": 2}),
        asked(0, tiling=True),
    ]
    found = keys(bench, *others)
    assert len({one, *found}) == 1 + len(others)
    assert None not in found
    assert keys(bench, base, CLIP_stop_at_last_layers=2) != [one]


@pytest.mark.parametrize(
    "request_",
    [asked(0, "DPM adaptive"), asked(0, n_iter=2), asked(0, enable_hr=True, denoising_strength=0.5)],
    ids=["adaptive", "several batches", "hires"],
)
def test_what_depends_on_its_neighbours_is_made_alone(bench: Bench, request_: Txt2Img) -> None:
    assert keys(bench, request_) == [None]


def test_prompts_of_different_lengths_do_not_fit(bench: Bench) -> None:
    assert made(bench, [asked(0), asked(1, prompt="word " * 100)]) is None
    assert made(bench, [asked(0), asked(1, prompt="a cat AND a dog :0.5")]) is None


def test_nothing_is_shared_while_an_extension_listens(bench: Bench) -> None:
    remove = bench.moments.guided.add(lambda event: None, owner="test")
    try:
        assert made(bench, [asked(0), asked(1)]) is None
    finally:
        remove()


def test_one_who_interrupts_does_not_end_the_others(bench: Bench, tmp_path: Path) -> None:
    parts = [part(bench, asked(index), f"i{index}") for index in range(2)]
    stopped = Part(
        request=parts[0].request, options=parts[0].options, control=Silent(interrupt_at=2), album=parts[0].album
    )
    finishes = together.make(bench.studio, [stopped, parts[1]])
    assert finishes is not None
    assert apart(finishes[1](), bench.make(asked(1))) <= 1
