"""`python -m modules.training`: train a model from nothing, or what goes with one. README.md has the recipes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from modules.core.errors import BadRequest, EaselError
from modules.training import checkpoints, data, recipes, stages
from modules.training.companions import commands
from modules.training.loop import Pace, stopper


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; 0 = complete, 1 = refused, 3 = stopped before the end (run it again to go on)."""
    told = _parser().parse_args(words)
    pace = Pace(log_every=told.log_every, sheet_every=getattr(told, "sheet_every", 0), stop=stopper(told.minutes))
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    try:
        done = told.companion(told, pace) if told.companion else _model(told, pace)
        return 0 if done else 3
    except EaselError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m modules.training", description=__doc__)
    parsers = parser.add_subparsers(dest="stage", required=True, metavar="COMMAND")
    _stage(parsers, "all", "every stage, each from where it stopped")
    for name, stage in stages.STAGES.items():
        _stage(parsers, name, str(stage.__doc__).splitlines()[0])
    commands.add(parsers)
    return parser


def _stage(parsers: Any, name: str, text: str) -> None:
    parser = parsers.add_parser(name, help=text)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--recipe", choices=list(recipes.RECIPES), help="needed when a run begins")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change the recipe when a run begins"
    )
    parser.add_argument("--pictures", type=Path, help="train on this folder of pictures with .txt captions")
    parser.add_argument(
        "--from",
        type=Path,
        dest="begin",
        metavar="CHECKPOINT",
        help="when a run begins: train on its UNet, keep the rest",
    )
    parser.add_argument("--minutes", type=float, help="stop after so long, at a step's end")
    parser.add_argument("--log-every", type=int, default=50, help="steps")
    parser.add_argument("--sheet-every", type=int, default=1000, help="steps")
    parser.add_argument("--cpu", action="store_true", help="compute on the CPU even where there is a GPU")
    parser.set_defaults(companion=None)


def _model(told: argparse.Namespace, pace: Pace) -> bool:
    wanted = None if told.recipe is None else recipes.changed(recipes.find(told.recipe), _changes(told.set))
    if wanted is None and told.set:
        raise BadRequest("--set changes a recipe: name it with --recipe.", field="set")
    recipe = recipes.kept(wanted, told.run)
    run = stages.Run(
        folder=told.run,
        recipe=recipe,
        source=data.source_of(told.run, told.pictures, recipe.pictures),
        device=checkpoints.device_of(cpu=told.cpu),
        pace=pace,
        say=lambda line: print(time.strftime("%H:%M:%S"), line, flush=True),
    )
    if told.begin is not None:
        stages.begin_with(run, told.begin)
    return stages.everything(run) if told.stage == "all" else stages.STAGES[told.stage](run)


def _changes(words: Sequence[str]) -> dict[str, str]:
    for word in words:
        if "=" not in word:
            raise BadRequest(f"--set {word}: write FIELD=VALUE.", field="set")
    return dict(word.split("=", 1) for word in words)


if __name__ == "__main__":
    sys.exit(main())
