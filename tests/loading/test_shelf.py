"""The shelf: what stays in memory is what was asked to stay, however often models are switched."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from modules.core import device
from modules.core.store import Store
from modules.loading.library import Library
from modules.loading.shelf import Shelf
from modules.prompts.chunks import TextPolicy
from tests.loading.invented import RECIPES, filled, sd1

MEGABYTE = 2**20


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Two checkpoints of about 10 MB, in float16: loading makes float32 copies, which must go again."""
    for index, name in enumerate(("first", "second")):
        state = sd1(channels=(32, 64), width=32 + 32 * index, layers=1)
        save_file({key: tensor.half() for key, tensor in state.items()}, tmp_path / f"{name}.safetensors")
    return Library([tmp_path], Store(tmp_path / "easel.sqlite"))


def held() -> int:
    """Bytes of memory that are this process's own."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


@pytest.mark.slow
def test_fifty_switches_hold_no_more_than_four(library: Library) -> None:
    shelf = Shelf(device.choose(use_cpu=["all"]))
    names, after = ("first", "second"), {}
    for count in range(1, 51):
        model = shelf.get(library.find(names[count % 2]))
        with torch.inference_mode():
            model.text.encode("a cat", TextPolicy())
        del model
        if count in (4, 50):
            after[count] = held()
    grown = (after[50] - after[4]) / MEGABYTE
    size = sum(library.find(name).size for name in names) / MEGABYTE
    assert grown < size / 4, f"{grown:.1f} MB more after 50 switches than after 4"


def test_a_switch_forgets_the_other_unless_it_may_stay(library: Library) -> None:
    shelf = Shelf(device.choose(use_cpu=["all"]))
    first = shelf.get(library.find("first"))
    assert shelf.get(library.find("first")) is first
    shelf.get(library.find("second"), keep=1)
    assert shelf.get(library.find("first"), keep=1) is first
    shelf.get(library.find("second"), keep=0)
    assert shelf.get(library.find("first"), keep=0) is not first


def test_the_sdxl_line_may_be_kept_another_way(tmp_path: Path) -> None:
    save_file({name: tensor.half() for name, tensor in filled(RECIPES["sdxl"]()).items()}, tmp_path / "xl.safetensors")
    save_file(sd1(channels=(32, 64), width=32, layers=1), tmp_path / "sd1.safetensors")
    library = Library([tmp_path], Store(tmp_path / "easel.sqlite"))
    gpu = device.Placement(device=torch.device("meta"), dtype=torch.float16, vae_dtype=torch.float16)
    shelf = Shelf(gpu, for_xl="medvram")
    modes = {name: shelf.get(library.find(name)).residency.mode for name in ("xl", "sd1")}
    assert modes == {"xl": "medvram", "sd1": "normal"}


def test_a_model_asked_for_again_lets_the_others_go(library: Library) -> None:
    """What a refiner brought in stays no longer than it may."""
    shelf = Shelf(device.choose(use_cpu=["all"]))
    first = shelf.get(library.find("first"))
    second = shelf.get(library.find("second"), keep=1)
    assert shelf.get(library.find("first"), keep=1) is first
    assert shelf.get(library.find("second"), keep=1) is second
    assert shelf.get(library.find("first")) is first
    assert shelf.get(library.find("second"), keep=1) is not second
