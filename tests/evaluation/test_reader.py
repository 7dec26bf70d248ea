"""The reader: survives its file, learns what the painter shows, and says places in the painter's words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from modules.core.errors import DamagedFile, NotFound
from modules.evaluation.reader import ANSWERS, SIDE, Reader, Reading, load, save, seen
from modules.evaluation.teaching import FIRST, STAGE, Lessons, ReaderTask, scene_of, shaken, teach, truths
from modules.training.data import PICTURES, Shards, paint
from modules.training.loop import Pace, Trainer
from modules.training.painter.places import PLACES
from modules.training.painter.scene import held_out
from tests.evaluation.pictures import stacked


def test_what_is_written_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reader = Reader((8, 16)).eval()
    save(reader, tmp_path / "reader.safetensors", {})
    back = load(tmp_path / "reader.safetensors")
    given = torch.randint(0, 256, (3, 128, 128, 3), dtype=torch.uint8)
    with torch.no_grad():
        for name, scores in reader(given).items():
            torch.testing.assert_close(back(given)[name], scores, atol=0.02, rtol=0.02)


def test_what_is_no_reader_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"modules\.evaluation train"):
        load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing like it at all")
    with pytest.raises(DamagedFile, match="bad"):
        load(tmp_path / "bad.safetensors")


def test_pictures_of_any_size_are_seen_alike() -> None:
    scene = scene_of(FIRST)
    large, small = (seen(stacked([scene], size)) for size in (256, SIDE))
    assert (large - small).abs().mean() < 0.03


@pytest.mark.parametrize("place", PLACES)
def test_places_are_named(place: str) -> None:
    x, y = PLACES[place][1]
    reading = Reading(kind="cat", colour="red", count=1, ground="sea", time="day", style="flat", x=x, y=y, radius=0.2)
    assert reading.place == place


def test_lessons_have_held_out_pairs_too() -> None:
    things = [scene_of(FIRST + seed).things for seed in range(300)]
    assert all(len(each) == 1 for each in things)
    assert any(held_out(each[0].kind, each[0].colour) for each in things)


def test_truths_are_the_scene() -> None:
    scene = scene_of(FIRST + 5)
    labels, numbers = truths([scene])
    assert ANSWERS["kind"][labels[0, 0]] == scene.things[0].kind
    assert ANSWERS["colour"][labels[0, 1]] == scene.things[0].colour
    assert numbers[0].tolist() == pytest.approx([scene.things[0].x, scene.things[0].y, scene.things[0].radius])


def test_a_shaking_hand_moves_lines_a_little_and_paints_the_same() -> None:
    pictures = stacked([scene_of(FIRST + seed) for seed in range(8)], SIDE).float()
    moved = shaken(pictures, torch.Generator().manual_seed(0))
    assert moved.shape == pictures.shape
    assert 0.5 < (moved - pictures).abs().mean() < 8
    assert (moved.mean((1, 2)) - pictures.mean((1, 2))).abs().max() < 3


def test_it_learns_its_lessons(tmp_path: Path) -> None:
    """Colour is the easiest: some steps bring it to three times what guessing gives (8 of 96)."""
    lessons = Lessons(96)
    paint(lessons, tmp_path, size=SIDE, shard=96, say=lambda _: None)
    torch.manual_seed(0)
    reader = Reader((16, 32, 32))
    task = ReaderTask(reader, Shards(tmp_path, PICTURES), lessons, batch=32, seed=1)
    stage = dataclasses.replace(STAGE, steps=60, rate=3e-3, warmup=5, ema=0.9)
    trainer = Trainer(task, stage, seed=1, folder=tmp_path / "state", device=torch.device("cpu"))
    trainer.run(Pace(log_every=1000, sheet_every=0), lambda _: None)
    readings = reader.read(stacked([lessons.scene(index) for index in range(96)], 128))
    right = sum(read.colour == lessons.scene(index).things[0].colour for index, read in enumerate(readings))
    assert right > 24


def test_told_to_stop_it_keeps_its_steps_and_gives_no_half_taught_reader(tmp_path: Path) -> None:
    answers = iter([False] + [False] * 2 + [True])  # asked before the one file of lessons and before each step
    pace = Pace(log_every=1000, sheet_every=0, stop=lambda: next(answers))
    stage = dataclasses.replace(STAGE, steps=4, batch=4)
    told = {"pictures": 8, "stage": stage, "device": torch.device("cpu"), "widths": (8, 8)}
    assert teach(tmp_path, pace=pace, **told) is None
    assert torch.load(tmp_path / "reader" / "state.pt", weights_only=True)["step"] == 2
    assert isinstance(teach(tmp_path, pace=Pace(sheet_every=0), **told), Reader)
