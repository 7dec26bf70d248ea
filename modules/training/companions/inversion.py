"""Textual inversion (Gal et al. 2022, https://arxiv.org/abs/2208.01618): vectors for a new word; the model stays.

Captions hold "*" where the word belongs. The file is the .safetensors form that A1111 reads.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modules.prompts import tokens
from modules.training import exporting
from modules.training.data import Source
from modules.training.diffusion import DiffusionTask, Material
from modules.training.loop import Pace, Trainer
from modules.training.recipes import Stage
from modules.training.sampling import Parts

MARK = "*"
"""Stands for the word in captions."""


class Word(nn.Module):
    """The vectors of a word (n, width)."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(vectors.clone())

    @contextlib.contextmanager
    def at_work(self, tower: Any) -> Iterator[None]:
        """While it lasts, each run of as many marks as there are vectors reads as the vectors."""
        (mark,) = tokens.encode(MARK)

        def put(_: nn.Module, inputs: tuple[Tensor, ...], embedded: Tensor) -> Tensor:
            marked = inputs[0] == mark
            order = (marked.int().cumsum(dim=1) - 1) % len(self.vectors)
            return torch.where(marked.unsqueeze(-1), self.vectors[order.clamp(min=0)].to(embedded), embedded)

        handle = tower.get_input_embeddings().register_forward_hook(put)
        try:
            yield
        finally:
            handle.remove()


class Marked:
    """A source whose captions have a mark for each vector."""

    def __init__(self, inner: Source, vectors: int) -> None:
        self._inner, self._vectors = inner, vectors

    def __len__(self) -> int:
        return len(self._inner)

    def picture(self, index: int, size: int) -> NDArray[np.uint8]:
        return self._inner.picture(index, size)

    def caption(self, index: int, dice: random.Random) -> str:
        return self._inner.caption(index, dice).replace(MARK, " ".join([MARK] * self._vectors))


def begin(parts: Parts, text: str, vectors: int) -> Word:
    """A word that begins as the tokens of another text, repeated as needed."""
    embedding: Any = parts.tower.get_input_embeddings()  # type: ignore[operator]
    ids = tokens.encode(text) or [tokens.END]
    return Word(embedding.weight.detach()[torch.tensor([ids[index % len(ids)] for index in range(vectors)])])


def train(
    parts: Parts, material: Material, stage: Stage, *, word: Word, folder: Path, pace: Pace | None = None
) -> Word:
    """The word learns what the pictures have in common. material's source: a `Marked` one."""
    for each in (parts.unet, parts.tower):
        each.requires_grad_(False)
    task = DiffusionTask(parts.unet, parts.tower, material, trained=word, through_text=True)
    with word.at_work(parts.tower):
        trainer = Trainer(task, stage, seed=material.seed, folder=folder, device=parts.device)
        trainer.run(pace or Pace())
    trainer.mean.settle(word)
    return word


def write(path: Path, word: Word) -> None:
    """The file; its name is the word."""
    exporting.write(path, {"emb_params": word.vectors.detach().float().cpu().contiguous()}, {})
