"""A cell that is finished is never made again, whatever kills the job; what is random is the same the second time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from modules.generate.scripts.context import Change, Context
from tests.generate.scripts.fakes import SMALL, Killed, World

CELLS = 6


def work(context: Context) -> list[str]:
    """A script of six cells with random seeds -> their texts."""
    request = dataclasses.replace(SMALL, seed=-1)
    context.expect(CELLS, batches=1)
    return [context.make(dataclasses.replace(request, steps=index + 1)).infotexts[0] for index in range(CELLS)]


@pytest.mark.parametrize("died", range(CELLS))
def test_a_job_that_was_killed_makes_only_what_is_missing(world: World, tmp_path: Path, died: int) -> None:
    world.painter.kill_at = died
    with pytest.raises(Killed):
        work(world.context())
    before = len(world.painter.asked)
    world.painter.kill_at = None
    texts = work(world.context())
    assert (before, len(world.painter.asked)) == (died, CELLS)
    assert texts == work(world.context(job="another")), "the seeds are those of a job that was not killed"


def test_another_job_begins_anew(world: World) -> None:
    work(world.context())
    work(world.context(job="another"))
    assert len(world.painter.asked) == 2 * CELLS


def test_a_cell_whose_question_or_settings_changed_is_made_again(world: World) -> None:
    world.context().make(SMALL)
    world.context().make(dataclasses.replace(SMALL, steps=3))
    world.context(CLIP_stop_at_last_layers=2).make(dataclasses.replace(SMALL, steps=3))
    facts = Change(facts={"Loop": 1})
    world.context(CLIP_stop_at_last_layers=2).make(dataclasses.replace(SMALL, steps=3), facts)
    assert len(world.painter.asked) == 4


def test_a_cell_whose_picture_is_gone_is_made_again(world: World) -> None:
    made = world.context().make(SMALL)
    Path(made.pictures[0]["path"]).unlink()
    again = world.context().make(SMALL)
    assert len(world.painter.asked) == 2
    assert again.image().size == (64, 64)


def test_an_interrupted_cell_is_not_remembered(world: World) -> None:
    def interrupt(count: int) -> None:
        world.control.interrupted = True

    world.painter.before = interrupt
    context = world.context()
    context.make(SMALL)
    assert context.interrupted
    assert world.cells.count("job") == 0


def test_the_picture_before_a_lossy_file_is_what_comes_back(world: World, tmp_path: Path) -> None:
    made = world.context().make(SMALL)
    exact = made.image()
    lossy = tmp_path / "lossy.jpg"
    exact.resize((8, 8)).save(lossy)
    entry = {**made.pictures[0], "path": str(lossy), "lossless": made.pictures[0]["path"]}
    told = dataclasses.replace(made, result={**made.result, "pictures": [entry]})
    assert told.image().tobytes() == exact.tobytes()


def test_progress_goes_once_from_start_to_end(world: World) -> None:
    """Cells of different lengths count alike, and what was there already is through at once."""
    world.painter.kill_at = 3
    with pytest.raises(Killed):
        work(world.context())
    world.painter.kill_at = None
    world.control.batches.clear()
    work(world.context())
    assert world.control.total == CELLS * 4, "six batches of the four steps of the first cell that is left"
    assert world.control.batches == [3, 4, 5]
    assert max(world.control.steps) == 4
