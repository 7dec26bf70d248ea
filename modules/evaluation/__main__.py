"""`python -m modules.evaluation`: train the reader, measure a checkpoint or a folder of pictures, print a table."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from modules.core.errors import BadRequest, EaselError
from modules.evaluation import adherence, extractors, measures, teaching
from modules.evaluation import reader as readers
from modules.training import autoencoder, checkpoints, models, sampling
from modules.training.data import ENDINGS
from modules.training.loop import Pace, stopper
from modules.training.sheets import grid

READER = Path("models/evaluation/reader.safetensors")
"""Where the reader is unless --reader says otherwise."""
STRENGTHS = (0.3, 0.6, 0.9)
"""Of img2img."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; 0 = done, 1 = refused, 3 = stopped before the end (run it again to go on)."""
    told = _parser().parse_args(words)
    try:
        done = told.run(told)
    except EaselError as error:
        print(error, file=sys.stderr)
        return 1
    return 3 if done is False else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m modules.evaluation", description=__doc__)
    parser.add_argument("--reader", type=Path, default=READER)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train the reader on the painter")
    train.add_argument("--folder", type=Path, default=READER.parent, help="where its lessons and state are kept")
    train.add_argument("--pictures", type=int, default=24576)
    train.add_argument("--steps", type=int, default=teaching.STAGE.steps)
    train.add_argument("--seed", type=int, default=7, help="of its weights and the order of its lessons")
    train.add_argument(
        "--widths", type=int, nargs="+", default=readers.WIDTHS, help="channels, a halving of sides each"
    )
    train.set_defaults(run=_train)
    follow = commands.add_parser("adherence", help="does a checkpoint show what unseen prompts ask for?")
    follow.add_argument("checkpoint", type=Path)
    follow.add_argument("--count", type=int, default=200)
    follow.add_argument("--steps", type=int, default=20)
    follow.add_argument("--scale", type=float, default=3.0)
    follow.add_argument("--seed", type=int, default=0)
    follow.add_argument("--sheet", type=Path, help="write a contact sheet of the first pictures")
    follow.add_argument("--json", type=Path, help="write the numbers")
    follow.set_defaults(run=_adherence)
    redraw = commands.add_parser("sketch", help="does img2img move gradually from a sketch to what is asked for?")
    redraw.add_argument("checkpoint", type=Path)
    redraw.add_argument("--count", type=int, default=24)
    redraw.add_argument("--scale", type=float, default=3.0)
    redraw.add_argument("--sheet", type=Path, help="write rows of sketch, weak, middle, strong")
    redraw.set_defaults(run=_sketch)
    away = commands.add_parser("distance", help="Fréchet distance of two folders of pictures")
    away.add_argument("first", type=Path)
    away.add_argument("second", type=Path)
    away.add_argument("--extractor", default="reader", help=extractors.__doc__)
    away.set_defaults(run=_distance)
    agree = commands.add_parser("agreement", help="CLIP score of pictures with the .txt beside them")
    agree.add_argument("folder", type=Path)
    agree.add_argument("--clip", type=Path, required=True, help="folder of a CLIP model in transformers' layout")
    agree.set_defaults(run=_agreement)
    return parser


def _train(told: argparse.Namespace) -> bool:
    stage = dataclasses.replace(teaching.STAGE, steps=told.steps)
    pace = Pace(log_every=100, stop=stopper())
    reader = teaching.teach(
        told.folder,
        pictures=told.pictures,
        stage=stage,
        device=torch.device("cpu"),
        pace=pace,
        seed=told.seed,
        widths=told.widths,
    )
    if reader is None:
        return False
    readers.save(reader, told.reader, {"pictures": str(told.pictures), "steps": str(told.steps)})
    asked = adherence.questions(500, seed=1)
    own = adherence.shares(asked, reader.read(adherence.painted(asked, 128)))
    print(table({"painted": own}))
    return True


def _adherence(told: argparse.Namespace) -> None:
    reader = readers.load(told.reader)
    parts = checkpoints.parts_of(told.checkpoint)
    asked = adherence.questions(told.count, seed=told.seed)
    wanted = sampling.Asked(texts=[each.prompt for each in asked], steps=told.steps, scale=told.scale, seed=told.seed)
    made, real = sampling.sample(parts, wanted), adherence.painted(asked, parts.size)
    shown = {"generated": made, "through VAE": _through(parts, real), "painted": real}
    columns = {name: adherence.shares(asked, reader.read(each)) for name, each in shown.items()}
    print(table(columns))
    features = [extractors.in_batches(reader.features, each) for each in (made, real)]
    away = measures.frechet(*features)
    print(f"Fréchet distance of the reader's features, generated to painted: {away:.2f}")
    if told.sheet:
        grid(made[:64], columns=8).save(told.sheet)
    if told.json:
        told.json.write_text(json.dumps(columns | {"frechet": away}, indent=1) + "\n", encoding="utf-8")


def _through(parts: sampling.Parts, pictures: Tensor) -> Tensor:
    """What is left of pictures after the model's VAE encoded and decoded them: its UNet can reach no more."""
    latents = autoencoder.encode(parts.vae, pictures, parts.device) * models.SCALE
    return torch.cat([sampling.decode(parts.vae, each.to(parts.device)).cpu() for each in torch.split(latents, 32)])


def _sketch(told: argparse.Namespace) -> None:
    """Line drawings redrawn at rising strength: the distance from them, and the share that got the asked-for style."""
    reader, parts = readers.load(told.reader), checkpoints.parts_of(told.checkpoint)
    asked = [each for each in adherence.questions(told.count * 3, seed=2) if each.scene.style != "outline"]
    asked = asked[: told.count]
    drawn = [dataclasses.replace(each, scene=dataclasses.replace(each.scene, style="outline")) for each in asked]
    sketches = adherence.painted(drawn, parts.size)
    start = autoencoder.encode(parts.vae, sketches, parts.device) * models.SCALE
    rows, columns = [sketches], {}
    for strength in STRENGTHS:
        texts = [each.prompt for each in asked]
        wanted = sampling.Asked(texts=texts, scale=told.scale, start=start, strength=strength)
        made = sampling.sample(parts, wanted)
        rows.append(made)
        away = (made.float() - sketches.float()).abs().mean() / 255
        columns[f"{strength:.1f}"] = {"away from the sketch": float(away), **adherence.shares(asked, reader.read(made))}
    print(table(columns))
    if told.sheet:
        grid(torch.stack(rows, dim=1).flatten(0, 1), columns=len(rows)).save(told.sheet)


def _distance(told: argparse.Namespace) -> None:
    extract = extractors.find(told.extractor, reader=told.reader)
    first, second = (extractors.in_batches(extract, _pictures(each)) for each in (told.first, told.second))
    print(f"{measures.frechet(first, second):.4f}")


def _agreement(told: argparse.Namespace) -> None:
    clip = extractors.Clip(told.clip)
    files = [path for path in _files(told.folder) if path.with_suffix(".txt").exists()]
    if not files:
        raise BadRequest(f"{told.folder}: no picture has a .txt beside it.")
    texts = [path.with_suffix(".txt").read_text(encoding="utf-8").strip() for path in files]
    with torch.no_grad():
        print(f"{measures.agreement(clip.pictures(_opened(files)), clip.texts(texts)):.3f}")


def _pictures(folder: Path) -> Tensor:
    files = _files(folder)
    if not files:
        raise BadRequest(f"{folder}: no pictures there ({', '.join(ENDINGS)}).")
    return _opened(files)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)


def _opened(files: Sequence[Path]) -> Tensor:
    """uint8 (n, H, W, 3), all at the size of the first."""
    found, size = [], None
    for path in files:
        with Image.open(path) as opened:
            size = size or opened.size
            found.append(np.array(ImageOps.fit(opened.convert("RGB"), size, Image.Resampling.LANCZOS)))
    return torch.from_numpy(np.stack(found))


def table(columns: dict[str, dict[str, float]]) -> str:
    """Shares (0..1) by name as percent, a column for each kind of picture."""
    names = list(next(iter(columns.values())))
    wide = max(map(len, names))
    lines = [" " * wide + "".join(f"  {title:>10}" for title in columns)]
    lines += [f"{name:<{wide}}" + "".join(f"  {column[name]:>9.1%} " for column in columns.values()) for name in names]
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(main())
