"""The companions' part of the command line: one function a command, all with the same options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules.core.errors import BadRequest
from modules.training import checkpoints
from modules.training.companions import hypernetwork, inversion, lora, previews
from modules.training.companions import material as materials
from modules.training.data import LATENTS, PICTURES, Folder, Shards, Source
from modules.training.loop import Pace
from modules.training.recipes import Stage


def add(commands: Any) -> None:
    """Declare the commands; each sets `run`, (arguments, pace) -> whether it is complete."""
    for name, (run, text, steps, rate) in COMMANDS.items():
        parser = commands.add_parser(name, help=text)
        parser.add_argument("--run", type=Path, required=True, help="folder for state and log; preview: of the model")
        parser.add_argument("--out", type=Path, required=True, help="the file to write")
        parser.add_argument("--checkpoint", type=Path, help="the model to change (not for preview)")
        parser.add_argument("--pictures", type=Path, help="a folder of pictures with .txt captions")
        parser.add_argument("--style", default="duotone", choices=list(materials.STYLES), help="without --pictures")
        parser.add_argument("--count", type=int, default=256, help="painted pictures")
        parser.add_argument("--steps", type=int, default=steps)
        parser.add_argument("--batch", type=int, default=8)
        parser.add_argument("--rate", type=float, default=rate)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--size", type=int, default=4, help="rank of a LoRA, vectors of a word")
        parser.add_argument("--width", type=int, default=16, help="channels of a preview decoder; TAESD has 64")
        parser.add_argument("--subject", default="crown,turquoise", help="what a word stands for: thing,colour")
        parser.add_argument("--begin", default="thing", help="text that a word begins as")
        parser.add_argument("--minutes", type=float)
        parser.add_argument("--log-every", type=int, default=50)
        parser.add_argument("--cpu", action="store_true")
        parser.set_defaults(companion=run)


def _lora(told: argparse.Namespace, pace: Pace) -> bool:
    parts, stage = _parts(told), _stage(told)
    given = materials.material(parts, _source(told), batch=told.batch, seed=told.seed)
    made = lora.train(parts, given, stage, folder=told.run, rank=told.size, alpha=float(told.size), pace=pace)
    lora.write(told.out, made, title=told.out.stem)
    return True


def _embedding(told: argparse.Namespace, pace: Pace) -> bool:
    parts, stage = _parts(told), _stage(told)
    kind, _, colour = told.subject.partition(",")
    inner: Source = Folder(told.pictures) if told.pictures else materials.Subject(kind, colour, told.count)
    source = inversion.Marked(inner, told.size)
    given = materials.material(parts, source, batch=told.batch, seed=told.seed, dropout=0.0)
    word = inversion.begin(parts, told.begin, told.size)
    inversion.write(told.out, inversion.train(parts, given, stage, word=word, folder=told.run, pace=pace))
    return True


def _hypernetwork(told: argparse.Namespace, pace: Pace) -> bool:
    parts, stage = _parts(told), _stage(told)
    given = materials.material(parts, _source(told), batch=told.batch, seed=told.seed)
    made = hypernetwork.train(parts, given, stage, folder=told.run, name=told.out.stem, pace=pace)
    hypernetwork.write(told.out, made, steps=told.steps)
    return True


def _preview(told: argparse.Namespace, pace: Pace) -> bool:
    """Learns from the pictures and latents of a run."""
    pictures, latents = (Shards(told.run / "data", kind) for kind in (PICTURES, LATENTS))
    if not len(latents):
        raise BadRequest(f"{told.run}: no latents there; run the stages paint, vae and encode first.", field="run")
    device = checkpoints.device_of(cpu=told.cpu)
    task = previews.PreviewTask(previews.decoder(told.width), pictures, latents, batch=told.batch, seed=told.seed)
    made = previews.train(task, _stage(told), folder=told.run / "preview", seed=told.seed, device=device, pace=pace)
    previews.write(told.out, made)
    return True


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace, Pace], bool], str, int, float]] = {
    "lora": (_lora, "a LoRA in kohya's format", 600, 1e-3),
    "embedding": (_embedding, "a textual inversion", 400, 1e-2),
    "hypernetwork": (_hypernetwork, "a hypernetwork in A1111's format", 600, 5e-4),
    "preview": (_preview, "a TAESD-style preview decoder for a run's VAE", 2000, 1e-3),
}
"""Command -> what runs it, what it makes, its usual steps and rate."""


def _parts(told: argparse.Namespace) -> Any:
    if told.checkpoint is None:
        raise BadRequest("--checkpoint: name the model that is to be changed.", field="checkpoint")
    return checkpoints.parts_of(told.checkpoint, cpu=told.cpu)


def _source(told: argparse.Namespace) -> Source:
    return materials.source_of(told.pictures, style=told.style, count=told.count)


def _stage(told: argparse.Namespace) -> Stage:
    warmup = min(20, told.steps)
    return Stage(steps=told.steps, batch=told.batch, rate=told.rate, warmup=warmup, ema=0.98, decay=0.0)
