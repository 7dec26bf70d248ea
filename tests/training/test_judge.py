"""The judge of latents: what a guess looks like and what it shows counts, where signal is left, and the UNet learns."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from modules.core.errors import BadRequest
from modules.training import judge, objective, recipes, stages
from modules.training.data import Folder, Painted
from modules.training.diffusion import Judging
from modules.training.painter.scene import held_out

KINDS = len(judge.KINDS)


def judging(*, alike: float = 1.0, named: float = 1.0, again: float = 0.0) -> Judging:
    torch.manual_seed(0)
    made = judge.Judge().eval().requires_grad_(False)
    return Judging(judge=made, shares=torch.zeros(1), alike=alike, named=named, again=again)


def noised(count: int, sigma: float) -> objective.Noised:
    clean, eps = torch.randn(2, count, 4, 16, 16)
    return objective.diffused(clean, eps, torch.full((count,), 1 / (1 + sigma**2)))


def test_scenes_share_out_what_they_show() -> None:
    source = Painted(64)
    scenes = [source.scene(index) for index in range(64)]
    shares = judge.truths(scenes)
    assert torch.allclose(shares[:, :KINDS].sum(1), torch.ones(64))
    assert torch.allclose(shares[:, KINDS:].sum(1), torch.ones(64))
    for drawn, row in zip(scenes, shares, strict=True):
        shown = {name for name, share in zip(judge.KINDS + judge.COLOUR_NAMES, row, strict=True) if share > 0}
        assert shown == {name for thing in drawn.things for name in (thing.kind, thing.colour)}


def test_what_would_make_a_held_out_pair_does_not_compete() -> None:
    """Nothing pushes a judge of red things away from a thing that is never red."""
    kind = 3
    never = [held_out(judge.KINDS[kind], colour) for colour in judge.COLOUR_NAMES]
    seen, unseen = never.index(False), never.index(True)
    for colour, pushed in ((seen, True), (unseen, False)):
        other = next(at for at, name in enumerate(judge.KINDS) if not held_out(name, judge.COLOUR_NAMES[colour]))
        shares = torch.zeros(1, KINDS + len(never))
        shares[0, other] = shares[0, KINDS + colour] = 1
        scores = torch.zeros(1, KINDS, requires_grad=True)
        judge.misread((scores, torch.zeros(1, len(never))), shares).sum().backward()
        assert scores.grad is not None
        assert bool(scores.grad[0, kind] > 0) == pushed


def test_a_guess_that_is_right_looks_right() -> None:
    given = noised(2, 1.0)
    right, wrong = (judging().looks(given, guess) for guess in (given.clean, given.clean.flip(0)))
    assert right == pytest.approx(0, abs=1e-6)
    assert wrong > 0.05


def test_dropped_captions_are_asked_for_nothing() -> None:
    given = noised(2, 1.0)
    assert judging().names(given, given.clean, torch.zeros(2, KINDS + len(judge.COLOUR_NAMES))) == 0


def test_what_is_a_blur_of_all_that_could_be_need_not_look_like_one_of_it() -> None:
    for sigma, counts in ((judge.HIGHEST * 0.9, True), (judge.HIGHEST * 1.1, False)):
        given = noised(2, sigma)
        guess = given.clean.flip(0).requires_grad_()
        judging().looks(given, guess).backward()
        assert guess.grad is not None
        assert bool(guess.grad.abs().max() > 0) == counts


def test_the_unet_learns_from_it(run: stages.Run, tmp_path: Path) -> None:
    for name in ("vae", "text", "data"):
        (tmp_path / name).symlink_to(run.folder / name)
    short = {"judge_stage.steps": "2", "judge_stage.batch": "2"}
    judged = dataclasses.replace(
        run,
        folder=tmp_path,
        recipe=recipes.changed(run.recipe, {"alike": "0.1", "named": "0.1", "again": "0.5", **short}),
    )
    assert stages.judge(judged)
    assert stages.unet(judged)
    told = json.loads((tmp_path / "unet" / "log.jsonl").read_text().splitlines()[-1])
    assert min(told["alike"], told["named"], told["again"]) > 0
    assert told["loss"] > told["alike"] + told["named"] + told["again"]


def test_pictures_that_tell_no_facts_cannot_be_judged(run: stages.Run, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "mine.png")
    recipe = dataclasses.replace(run.recipe, alike=0.1)
    with pytest.raises(BadRequest, match="only painted scenes"):
        stages.judge(dataclasses.replace(run, recipe=recipe, source=Folder(tmp_path)))
