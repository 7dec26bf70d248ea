"""Training of the text-conditional UNet on cached latents: the loss of `objective`, captions dropped for guidance."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from modules.training import models, objective
from modules.training.data import Painted, Source
from modules.training.judge import HIGHEST, Judge, misread
from modules.training.loop import Batch, indices
from modules.training.reading import SLOTS
from modules.training.recipes import Recipe
from modules.training.sight import unlikeness

Look = Callable[[nn.Module], "Image.Image | None"]


class Denoising(nn.Module):
    """What diffusion trains: the UNet, and the text tower where the recipe says so."""

    def __init__(self, unet: nn.Module, tower: nn.Module | None) -> None:
        super().__init__()
        self.unet = unet
        self.tower = tower


class Latents(Protocol):
    """Rows of latents by index."""

    def __len__(self) -> int: ...

    def take(self, wanted: Tensor) -> Tensor: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Material:
    """What diffusion learns from and how: latents (of the VAE) with captions, in batches.

    dropout: share of captions left empty; wordless: share of them without their words (`reading.SLOTS`); gamma: of
    min-SNR, None = none; least: SNR as which lower ones count there.
    """

    latents: Latents
    source: Source
    batch: int
    seed: int
    schedule: str = "scaled_linear"
    prediction: str = "eps"
    gamma: float | None = 5.0
    least: float = 0.0
    dropout: float = 0.1
    wordless: float = 0.0

    @classmethod
    def of(cls, recipe: Recipe, latents: Latents, source: Source) -> Material:
        return cls(
            latents=latents,
            source=source,
            batch=recipe.unet_stage.batch,
            seed=recipe.seed,
            schedule=recipe.schedule,
            prediction=recipe.prediction,
            gamma=recipe.gamma,
            least=recipe.least,
            dropout=recipe.dropout,
            wordless=recipe.wordless if isinstance(source, Painted) else 0.0,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judging:
    """What guesses of clean latents are read by (`judge`). shares: what each latent shows (`judge.truths`); alike,
    named: weights of how unlike a guess looks, and how badly its things and colours are read; again: share of a batch
    whose guesses are noised and guessed from once more, as a sampler does, and then read.
    """

    judge: Judge
    shares: Tensor
    alike: float
    named: float
    again: float

    def looks(self, noised: objective.Noised, guess: Tensor) -> Tensor:
        """How unlike the true latents guesses look, weighted, (): each as much as signal is left in what it was guessed
        from, and not at all from HIGHEST on.
        """
        seen = (noised.noise / noised.signal < HIGHEST).flatten()
        unlike = unlikeness(self.judge.trunk, guess * seen[:, None, None, None], noised.clean)
        return self.alike * (noised.signal.flatten() * seen * unlike).mean()

    def names(self, noised: objective.Noised, guess: Tensor, shares: Tensor) -> Tensor:
        """How badly things and colours of guesses are read, weighted likewise, ()."""
        return self.named * (noised.signal.flatten() * misread(self.judge(guess), shares).sum(1)).mean()


class DiffusionTask:
    """Predict the noise (or v, or the flow) of noised latents, given a caption.

    trained: what learns: a `Denoising`, or something small that changes how unet and tower work. through_text: whether
    gradients go through the tower. look: makes a sheet with `trained` as it is handed to it.
    """

    def __init__(
        self,
        unet: nn.Module,
        tower: nn.Module,
        material: Material,
        *,
        trained: nn.Module,
        through_text: bool = False,
        look: Look = lambda _: None,
        judging: Judging | None = None,
    ) -> None:
        self.network = trained
        self._judging = judging
        self._unet, self._tower, self._material = unet, tower, material
        self._through_text, self._look = through_text, look
        self._kept = objective.SCHEDULES[material.schedule]().kept

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Latents, noise (B, 4, h, w), times (B,), token ids (B, 77), whether their words are hidden (B,); with judging
        what each shows (B, names), nothing for a caption that was dropped, and noise (B, 4, h, w) and shares of the
        times (B,) for a second guess.
        """
        material, batch = self._material, self._material.batch
        chosen = indices(len(material.latents), step, batch, material.seed)
        clean = material.latents.take(chosen).float() * models.SCALE
        eps = torch.randn(clean.shape, generator=generator)
        times = torch.randint(0, len(self._kept), (batch,), generator=generator)
        if material.prediction == "flow":
            times = torch.rand(batch, generator=generator).clamp(1e-3, 1 - 1e-3)
        dropped = (torch.rand(batch, generator=generator) < material.dropout).tolist()
        dice = random.Random(int(torch.randint(2**62, (), generator=generator)))
        texts = [
            "" if drop else material.source.caption(index, dice)
            for index, drop in zip(chosen.tolist(), dropped, strict=True)
        ]
        hidden = torch.rand(batch, generator=generator) < material.wordless
        drawn = [clean, eps, times, models.token_ids(texts), hidden]
        if self._judging is not None:
            drawn += [self._judging.shares[chosen] * ~torch.tensor(dropped)[:, None]]
            drawn += [torch.randn(clean.shape, generator=generator), torch.rand(batch, generator=generator)]
        return drawn

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        clean, eps, times, ids, hidden, *judging = batch
        with torch.set_grad_enabled(self._through_text and torch.is_grad_enabled()):
            context = self._context(ids, hidden)
        noised, answer, guess = self._guessed(clean, eps, times, context)
        prediction, gamma, least = self._material.prediction, self._material.gamma, self._material.least
        weighted = objective.loss(answer, noised, prediction, gamma=gamma, least=least).mean()
        with torch.no_grad():
            plain = objective.loss(answer, noised, prediction).mean()
        if self._judging is None:
            return {"loss": weighted, "mse": plain}
        told = self._read(noised, guess, times, context, judging)
        return {"loss": torch.stack([weighted, *told.values()]).sum(), "mse": plain} | {
            name: each.detach() for name, each in told.items()
        }

    def _context(self, ids: Tensor, hidden: Tensor) -> Tensor:
        """What the tower says of captions; where they are hidden, words give way to those of an empty caption."""
        context = models.hidden(self._tower, ids)
        if not hidden.any():
            return context
        empty = models.hidden(self._tower, models.token_ids([""]).to(ids.device))
        words = torch.arange(ids.shape[1], device=ids.device) < SLOTS
        return torch.where((hidden[:, None] & words)[:, :, None], empty, context)

    def _read(
        self, noised: objective.Noised, guess: Tensor, times: Tensor, context: Tensor, judging: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """What the judge says of guesses, and of guesses made from the noisiest of them."""
        assert self._judging is not None
        shares, eps, cuts = judging
        told = {"alike": self._judging.looks(noised, guess), "named": self._judging.names(noised, guess, shares)}
        rows = times.argsort(descending=True)[: round(len(times) * self._judging.again)]
        if len(rows):
            later = (times[rows] * cuts[rows]).to(times.dtype)
            noised, _, guess = self._guessed(guess[rows].detach(), eps[rows], later, context[rows])
            told["again"] = self._judging.names(noised, guess, shares[rows])
        return told

    def _guessed(
        self, clean: Tensor, eps: Tensor, times: Tensor, context: Tensor
    ) -> tuple[objective.Noised, Tensor, Tensor]:
        """Noised latents, what the UNet answers, and the guess of the clean latents that follows."""
        noised, clock = self._noised(clean, eps, times)
        answer = self._unet(noised.x, clock, encoder_hidden_states=context, return_dict=False)[0]
        row = objective.target(self._material.prediction)
        return noised, answer, row.clean(noised.x, answer.float(), noised.signal, noised.noise)

    def sheet(self, network: nn.Module) -> Image.Image | None:
        return self._look(network)

    def _noised(self, clean: Tensor, eps: Tensor, times: Tensor) -> tuple[objective.Noised, Tensor]:
        if self._material.prediction == "flow":
            return objective.interpolated(clean, eps, times), times * objective.STEPS
        return objective.diffused(clean, eps, self._kept.to(clean.device)[times]), times
