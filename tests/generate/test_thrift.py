"""When memory runs out: the pictures are those that would have been, made in a thriftier way, and the user is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from modules.core.device import choose
from modules.core.errors import EaselError
from modules.generate import run
from modules.generate.request import Txt2Img
from modules.generate.thrift import Thrift
from modules.samplers.catalog import Sampler
from modules.samplers.euler import euler
from tests.generate.test_run import SMALL, far
from tests.studio import Bench, Silent


@pytest.fixture
def room(bench: Bench) -> Iterator[list[int]]:
    """A sampler "Hungry" (Euler) that has memory for as many pictures at once as room[0] says; room[1:] are the
    batches that it was asked for.
    """
    asked = [64]

    def hungry(denoise: Any, x: Tensor, sigmas: Tensor, **more: Any) -> Tensor:
        asked.append(len(x))
        if len(x) > asked[0]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        done: Tensor = euler(denoise, x, sigmas, **more)
        return done

    remove = bench.studio.catalog.add_sampler(Sampler(name="Hungry", function=hungry))
    yield asked
    remove()


HUNGRY = Txt2Img(**{**SMALL, "sampler_name": "Hungry", "batch_size": 3, "do_not_save_grid": True})


def test_a_batch_that_is_too_large_is_halved_and_gives_the_same_pictures(bench: Bench, room: list[int]) -> None:
    plenty = bench.images(HUNGRY)
    room[:] = [1]
    result = bench.make(HUNGRY)
    assert room[1:] == [3, 2, 1, 1, 1]
    assert "smaller batches" in result["comments"][0]
    thrifty = bench.images(HUNGRY)
    assert [far(*pair) <= 1 for pair in zip(plenty, thrifty, strict=True)] == [True] * 3
    assert len(result["info"]["infotexts"]) == 3


class Ladder:
    """A model that can work with less on its device, once."""

    def __init__(self) -> None:
        self.placement = choose(use_cpu=["all"])
        self.residency = self
        self.modes = ["medvram"]

    def lower(self) -> str | None:
        return self.modes.pop() if self.modes else None


def test_a_single_picture_that_is_too_large_is_tried_with_less_on_the_device(bench: Bench) -> None:
    thrift = Thrift(run.planned(bench.studio, Txt2Img(**SMALL), bench.options({})))
    model: Any = Ladder()
    error = torch.OutOfMemoryError("CUDA out of memory.")
    batches = thrift.batches()
    assert next(batches) == range(1)
    thrift.again(range(1), model, error)
    assert next(batches) == range(1)
    assert thrift.notes == ["Memory ran out: the model works as with --medvram from now on."]
    with pytest.raises(EaselError, match="--medvram"):
        thrift.again(range(1), model, error)


def test_where_nothing_helps_the_job_says_what_to_do(bench: Bench, room: list[int]) -> None:
    room[:] = [0]
    with pytest.raises(EaselError, match="--medvram"):
        bench.make(HUNGRY)
    room[:] = [64]
    assert len(bench.images(HUNGRY)) == 3  # and the next job works


def test_other_errors_are_not_taken_for_it(bench: Bench) -> None:
    def broken(denoise: Any, x: Tensor, sigmas: Tensor, **more: Any) -> Tensor:
        raise RuntimeError("sizes of tensors must match")

    remove = bench.studio.catalog.add_sampler(Sampler(name="Broken", function=broken))
    try:
        with pytest.raises(RuntimeError, match="must match"):
            bench.make(dataclasses.replace(HUNGRY, sampler_name="Broken"), Silent())
    finally:
        remove()
