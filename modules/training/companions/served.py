"""Training that the running program asked for, in a process of its own: `python -m modules.training.companions.served`.

The order is a JSON file (`Order`); progress goes to standard output, one JSON object a line. On standard input "finish"
asks to stop with what there is; its end (the program stops, or died) to leave: state.pt is saved and the same order
goes on from there. Exit status: 0 the file is written, 3 left, 1 refused (the last line has "error" and "field").
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modules.core.errors import EaselError
from modules.loading.pickles import unpickled
from modules.networks import creating, embeddings
from modules.networks import hypernetwork as hypernetworks
from modules.networks.files import Files, NetworkFile
from modules.training import checkpoints
from modules.training.companions import inversion
from modules.training.companions.material import InMemory, pictures
from modules.training.data import Folder, Source, pixels
from modules.training.diffusion import DiffusionTask, Material
from modules.training.loop import Pace, Trainer
from modules.training.recipes import Stage
from modules.training.sampling import Parts

LEFT = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What to train. kind: embedding or hypernetwork; file: theirs, which exists; steps: that the file shall have in
    the end; gather: batches whose gradients are added up; clip: of the gradients' norm, None = not; size: pixels of a
    side; templates: captions with [name] and [filewords]; drop: share of a caption's tags left out; sampled: latents
    are drawn once from what the VAE says, else its means; copies: a folder for the file every so many steps.
    """

    kind: str
    file: str
    checkpoint: str
    checkpoint_hash: str | None
    checkpoint_name: str
    pictures: str
    run: str
    steps: int
    batch: int = 1
    gather: int = 1
    rate: float = 0.005
    clip: float | None = None
    size: int = 512
    templates: tuple[str, ...] = ("[filewords]",)
    shuffle: bool = False
    drop: float = 0.0
    sampled: bool = True
    every: int = 0
    copies: str = ""
    seed: int = 1
    cpu: bool = False


class Templated:
    """A folder's pictures with captions made from templates. word: what [name] becomes."""

    def __init__(self, inner: Source, order: Order, word: str) -> None:
        self._inner, self._order, self._word = inner, order, word

    def __len__(self) -> int:
        return len(self._inner)

    def picture(self, index: int, size: int) -> Any:
        return self._inner.picture(index, size)

    def caption(self, index: int, dice: random.Random) -> str:
        tags = [tag.strip() for tag in self._inner.caption(index, dice).split(",")]
        if self._order.drop:
            tags = [tag for tag in tags if dice.random() >= self._order.drop]
        if self._order.shuffle:
            dice.shuffle(tags)
        text = dice.choice(self._order.templates).replace("[filewords]", ", ".join(tags))
        return text.replace("[name]", self._word)


class Wishes:
    """What the other side of standard input asks for."""

    def __init__(self, lines: Any) -> None:
        self.finish = self.leave = False
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()

    def _listen(self, lines: Any) -> None:
        for line in lines:
            self.finish = self.finish or line.strip() == "finish"
        self.leave = not self.finish


class Embedding:
    """An embedding under training: its vectors."""

    def __init__(self, order: Order, parts: Parts) -> None:
        found = embeddings.read(_file(order))
        assert found is not None
        problem = found.misfit((parts.tower.get_input_embeddings().weight.shape[1],))  # type: ignore[operator]
        if problem:
            raise EaselError(f"{Path(order.file).name}: {problem}.")
        self._order, self._tower = order, parts.tower
        self.step = found.step or 0
        self.trained = inversion.Word(found.joined)
        self.word = " ".join([inversion.MARK] * found.count)

    def at_work(self) -> contextlib.AbstractContextManager[None]:
        return self.trained.at_work(self._tower)

    def write(self, path: Path, step: int) -> None:
        trainer = (self._order.checkpoint_hash, self._order.checkpoint_name)
        creating.write_embedding(path, path.stem, self.trained.vectors, step=step, checkpoint=trainer)


class Hypernetwork:
    """A hypernetwork under training: all its layers."""

    def __init__(self, order: Order, parts: Parts) -> None:
        data = unpickled(Path(order.file))
        self._facts = {key: value for key, value in data.items() if not isinstance(key, int)}
        self._made = hypernetworks.read(_file(order))
        if any(isinstance(layer, nn.Dropout) for pair in self._made.layers.values() for net in pair for layer in net):
            raise EaselError(f"{Path(order.file).name}: a hypernetwork with dropout cannot be trained here.")
        self._order, self._parts = order, parts
        self.step = int(self._facts.get("step") or 0)
        self.trained = nn.ModuleList(network for pair in self._made.layers.values() for network in pair)
        self.trained.requires_grad_(True)
        self.word = Path(order.file).stem

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        undo = hypernetworks.install(self._parts.unet, [(self._made, 1.0)], self._parts.device)
        try:
            yield
        finally:
            undo()

    def write(self, path: Path, step: int) -> None:
        trained_with = {"sd_checkpoint": self._order.checkpoint_hash, "sd_checkpoint_name": self._order.checkpoint_name}
        facts = {**self._facts, **trained_with, "step": step, "name": path.stem}
        creating.write_hypernetwork(path, self._made.layers, facts)


KINDS: Mapping[str, type[Embedding] | type[Hypernetwork]] = {"embedding": Embedding, "hypernetwork": Hypernetwork}


def train(order: Order, wishes: Wishes) -> bool:
    """Carry the order out; whether the file is written. Raises EaselError."""
    parts = dataclasses.replace(checkpoints.parts_of(Path(order.checkpoint), cpu=order.cpu), size=order.size)
    subject = KINDS[order.kind](order, parts)
    if subject.step >= order.steps:
        return True
    source = Templated(Folder(Path(order.pictures)), order, subject.word)
    for each in (parts.unet, parts.tower):
        each.requires_grad_(False)
    stage = Stage(
        steps=order.steps - subject.step,
        batch=order.batch * order.gather,
        parts=order.gather,
        rate=order.rate,
        warmup=0,
        floor=1.0,
        ema=0.0,
        decay=0.0,
        clip=order.clip or 1e9,
    )
    through = order.kind == "embedding"
    task = DiffusionTask(
        parts.unet, parts.tower, _material(order, parts, source), trained=subject.trained, through_text=through
    )
    with subject.at_work():
        trainer = Trainer(task, stage, seed=order.seed, folder=Path(order.run), device=parts.device)
        trainer.run(
            _pace(order, trainer, subject, wishes), say=lambda line: tell(step=subject.step + trainer.step, text=line)
        )
    if wishes.leave and not trainer.done:
        return False
    subject.write(Path(order.file), subject.step + trainer.step)
    return True


def _pace(order: Order, trainer: Trainer, subject: Embedding | Hypernetwork, wishes: Wishes) -> Pace:
    """Before each step: tell how far it is, keep a copy where one is due, hear the wishes."""

    def stop() -> bool:
        step = subject.step + trainer.step
        tell(step=step, steps=order.steps)
        if order.every and trainer.step and step % order.every == 0:
            subject.write(Path(order.copies) / f"{Path(order.file).stem}-{step}.pt", step)
        return wishes.finish or wishes.leave

    return Pace(log_every=10, sheet_every=0, save_seconds=60.0, stop=stop)


@torch.no_grad()
def _material(order: Order, parts: Parts, source: Source) -> Material:
    """The pictures as latents of the model's own VAE, kept in memory."""
    dice = torch.Generator().manual_seed(order.seed)
    found = []
    for part in torch.split(pictures(source, order.size), 4):
        says = parts.vae.encode(pixels(part).to(parts.device)).latent_dist  # type: ignore[operator]
        mean, deviation = says.mean.float().cpu(), says.std.float().cpu()
        found.append(mean + deviation * torch.randn(mean.shape, generator=dice) if order.sampled else mean)
    return Material(
        latents=InMemory(torch.cat(found)),
        source=source,
        batch=order.batch * order.gather,
        seed=order.seed,
        schedule=parts.schedule,
        prediction=parts.prediction,
        gamma=None,
        dropout=0.0,
    )


def _file(order: Order) -> NetworkFile:
    path = Path(order.file)
    return next(each for each in Files([path.parent], (path.suffix,)).all() if each.path == path)


def tell(**facts: Any) -> None:
    """A line for the program."""
    print(json.dumps(facts), flush=True)


def order_of(data: Mapping[str, Any]) -> Order:
    return Order(**{**data, "templates": tuple(data.get("templates") or ("[filewords]",))})


def main(words: Sequence[str]) -> int:
    """Exit status."""
    order = order_of(json.loads(Path(words[0]).read_text(encoding="utf-8")))
    try:
        return 0 if train(order, Wishes(sys.stdin)) else LEFT
    except EaselError as error:
        tell(error=str(error), field=getattr(error, "field", ""))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
