"""A job that was killed while it sampled makes the picture of one that was not, to the bit, with fewer calls of the
network, whatever the sampler and wherever the kill.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from modules.generate import run
from modules.generate.moments import ModelCalled
from modules.generate.request import Generation, Txt2Img
from modules.generate.save import Album
from tests.studio import Bench, Silent

SMALL: dict[str, Any] = {"prompt": "a [cat:dog:0.5]", "steps": 6, "width": 64, "height": 64, "seed": 5, "subseed": 5}
FILE = "0-1.answers"


class Ended(BaseException):
    """The server is told to stop: a running job leaves."""


class Mortal(Silent):
    """A control that ends the work before step `at` is told."""

    def __init__(self, at: int = 10_000) -> None:
        super().__init__()
        self.at = at

    def step(self, done: int) -> None:
        if len(self.steps) + 1 == self.at:
            raise Ended
        super().step(done)


class Life:
    """Processes that work on the same job one after the other. calls: of the network, by the last one."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.folder, self.calls = bench, folder, 0
        self.unfinished = folder / "unfinished"
        work = run.planned(bench.studio, Txt2Img(**SMALL), bench.options({}))
        self.unet = bench.studio.model(work).unet

    def live(self, request: Generation, *, dies_at: int = 10_000, every: float = 1e-9, **options: Any) -> NDArray[Any]:
        self.calls = 0

        def called(*ignored: object) -> None:
            self.calls += 1

        handle = self.unet.register_forward_pre_hook(called)
        studio = dataclasses.replace(self.bench.studio, unfinished=self.unfinished)
        album = Album(
            data=self.folder / "data",
            spool=self.folder / "spool",
            moments=self.bench.moments,
            record=lambda plan, kept: None,
        )
        settings = self.bench.options({"unfinished_save_seconds": every, **options})
        try:
            made = run.make(studio, request, settings, Mortal(dies_at), album)["pictures"]
            return np.stack(
                [np.asarray(Image.open(each["path"]).convert("RGB")) for each in made if each["kind"] == "sample"]
            )
        finally:
            handle.remove()


@pytest.fixture
def life(bench: Bench, tmp_path: Path) -> Life:
    return Life(bench, tmp_path)


SAMPLERS = {
    "Euler a": 4,
    "LMS": 4,
    "DPM++ 2M SDE": 4,
    "Heun": 3,
    "DPM fast": 2,
    "UniPC": 4,
    "DDIM CFG++": 4,
    "Restart": 4,
}
"""One of each kind, with the step in which it is killed."""


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_on(life: Life, sampler: str) -> None:
    request = Txt2Img(**SMALL, sampler_name=sampler)
    whole, calls = life.live(request), life.calls
    with pytest.raises(Ended):
        life.live(request, dies_at=SAMPLERS[sampler])
    spent = life.calls
    assert spent > 0
    assert np.array_equal(life.live(request), whole)
    assert life.calls == calls - spent
    assert not life.unfinished.exists() or not any(life.unfinished.iterdir())


@pytest.mark.parametrize("at", [3, 8, 11])
def test_both_passes_of_hires_fix_and_a_batch(life: Life, at: int) -> None:
    request = Txt2Img(**SMALL, batch_size=2, enable_hr=True, hr_upscaler="Latent", denoising_strength=0.7)
    whole, calls = life.live(request), life.calls
    with pytest.raises(Ended):
        life.live(request, dies_at=at)
    spent = life.calls
    assert np.array_equal(life.live(request), whole)
    assert life.calls == calls - spent


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.77, 0.999])
def test_what_a_kill_left_of_a_file_is_used_as_far_as_it_is_whole(life: Life, part: float) -> None:
    request = Txt2Img(**SMALL, sampler_name="DPM++ 2M SDE")
    whole, calls = life.live(request), life.calls
    with pytest.raises(Ended):
        life.live(request, dies_at=5)
    file = life.unfinished / FILE
    data = file.read_bytes()
    file.write_bytes(data[: int(part * len(data))])
    with pytest.raises(Ended):  # and killed once more behind it
        life.live(request, dies_at=6)
    assert np.array_equal(life.live(request), whole)
    assert life.calls == calls - 6


@pytest.mark.parametrize(
    "other", [{"seed": 6}, {"prompt": "a [cow:dog:0.5]"}, {"cfg_scale": 3.0}, {"sampler_name": "Euler a"}]
)
def test_other_work_uses_nothing_of_it(life: Life, other: dict[str, Any]) -> None:
    changed = Txt2Img(**{**SMALL, **other})
    whole, calls = life.live(changed), life.calls
    with pytest.raises(Ended):
        life.live(Txt2Img(**SMALL), dies_at=4)
    assert np.array_equal(life.live(changed), whole)
    assert life.calls == calls


def test_where_the_work_takes_another_way_its_answers_end(life: Life) -> None:
    """As by an extension that came between: the key is equal, from the fourth call on the questions are not."""

    def change(event: ModelCalled) -> None:
        if event.call >= 3:
            event.x = event.x + 0.1

    request = Txt2Img(**SMALL)
    with pytest.raises(Ended):
        life.live(request, dies_at=6)
    remove = life.bench.moments.model_called.add(change, owner="new")
    try:
        again = life.live(request)
        assert life.calls == 6 - 3
        assert np.array_equal(again, life.live(request, every=0))
    finally:
        remove()


def test_what_is_done_soon_or_never_to_be_kept_writes_nothing(life: Life) -> None:
    for every in (60, 0):
        with pytest.raises(Ended):
            life.live(Txt2Img(**SMALL), dies_at=2, every=every)
        assert (life.unfinished / FILE).exists() == (every > 0), "only an orderly end writes before its time"
        life.live(Txt2Img(**SMALL), every=every)
        assert not life.unfinished.exists()


def test_tiles_that_are_drawn_at_each_call_begin_again(life: Life) -> None:
    with pytest.raises(Ended):
        life.live(Txt2Img(**SMALL), dies_at=5, hypertile_enable_unet=True)
    assert not life.unfinished.exists()


def test_a_disk_that_refuses_costs_nothing_but_the_record(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    whole = life.live(Txt2Img(**SMALL), every=0)
    life.unfinished.write_text("a file where a folder is wanted")
    assert np.array_equal(life.live(Txt2Img(**SMALL)), whole)
    assert sum("unfinished sampling is not saved" in line for line in caplog.messages) == 1
