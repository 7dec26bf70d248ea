"""The training loop that every stage shares: draw ahead, accumulate, clip, step, running mean, log, save, show.

Every random number of a step follows from (seed, step), so there is no random state to keep: a run that was stopped
at any step goes on with the same numbers as one that was not, bit for bit on the same machine and thread count.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from PIL import Image
from torch import Tensor, nn

from modules.core.errors import DamagedFile
from modules.training.recipes import Stage

Batch: TypeAlias = Sequence[Tensor]
"""Tensors whose first dimension counts pictures."""


class Task(Protocol):
    """What is learnt. network: all that is trained."""

    @property
    def network(self) -> nn.Module: ...

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """The whole batch of a step with all its random numbers, on the CPU."""
        ...

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Means over (a part of) a batch; "loss" is what is minimised."""
        ...

    def sheet(self, network: nn.Module) -> Image.Image | None:
        """Samples to look at, with the averaged weights in `network` (same shape as `self.network`)."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace:
    """When to log and show (steps; sheets 0 = never), when to save (seconds), when to stop."""

    log_every: int = 50
    sheet_every: int = 1000
    save_seconds: float = 300.0
    stop: Callable[[], bool] = lambda: False


def stopper(minutes: float | None = None) -> Callable[[], bool]:
    """Whether time is over or the process was told to end (SIGTERM, Ctrl+C), from now on: for `Pace.stop`, so that the
    step is finished and saved.
    """
    end = None if minutes is None else time.monotonic() + 60 * minutes
    asked = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(True))
    return lambda: bool(asked) or (end is not None and time.monotonic() > end)


def generator_of(seed: int, step: int) -> torch.Generator:
    """The random numbers of a step (splitmix64, so that neighbouring steps share nothing)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step + 1) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return torch.Generator().manual_seed((mixed ^ (mixed >> 31)) >> 1)


def rate_at(stage: Stage, step: int) -> float:
    """Learning rate: linear warm-up, then half a cosine down to `floor` of it."""
    if step < stage.warmup:
        return stage.rate * (step + 1) / stage.warmup
    share = min(1.0, (step - stage.warmup) / max(1, stage.steps - stage.warmup))
    return stage.rate * (stage.floor + (1 - stage.floor) * (1 + math.cos(math.pi * share)) / 2)


def indices(count: int, step: int, batch: int, seed: int) -> Tensor:
    """Which of `count` examples a step sees, (batch,): a fresh order each time round."""
    start = step * batch
    found = []
    for epoch in range(start // count, (start + batch - 1) // count + 1):
        order = torch.randperm(count, generator=generator_of(seed ^ 0x5EED, epoch))
        found.append(order[max(0, start - epoch * count) : start + batch - epoch * count])
    return torch.cat(found)


class Mean:
    """An exponential running mean of a network's weights; young ones forget faster."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self.weights = {name: each.detach().clone().float() for name, each in network.named_parameters()}

    def follow(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step."""
        decay = min(self._decay, (1 + step) / (10 + step))
        current = [each.detach().float() for _, each in network.named_parameters()]
        torch._foreach_lerp_(list(self.weights.values()), current, 1 - decay)

    @contextlib.contextmanager
    def worn_by(self, network: nn.Module) -> Iterator[None]:
        """While it lasts, the network has the mean weights."""
        own = {name: each.detach().clone() for name, each in network.named_parameters()}
        self._put(network, self.weights)
        try:
            yield
        finally:
            self._put(network, own)

    def settle(self, network: nn.Module) -> None:
        """Leave the mean weights in the network."""
        self._put(network, self.weights)

    def _put(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, each in network.named_parameters():
                each.copy_(weights[name])


class Trainer:
    """A task under way; `folder` gets state.pt, log.jsonl and sheets."""

    def __init__(self, task: Task, stage: Stage, *, seed: int, folder: Path, device: torch.device) -> None:
        self.task, self.stage, self.seed, self.folder, self.device = task, stage, seed, folder, device
        self.step = 0
        self.seconds = 0.0
        self._pool = ThreadPoolExecutor(1)
        self._waiting: Future[tuple[int, Batch]] | None = None
        task.network.to(device)
        if stage.bf16:
            steady(task.network)
        self.mean = Mean(task.network, stage.ema)
        trained = [each for each in task.network.parameters() if each.requires_grad]
        self._optimizer = torch.optim.AdamW(
            trained, lr=stage.rate, betas=(0.9, 0.99), weight_decay=stage.decay, fused=True
        )
        folder.mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            self._load()

    @property
    def done(self) -> bool:
        return self.step >= self.stage.steps

    def run(self, pace: Pace, say: Callable[[str], object] = print) -> bool:
        """Train to the end or until asked to stop, saving on the way; whether the end was reached."""
        self.task.network.train()
        began = saved = logged = time.perf_counter()
        sums: dict[str, float] = {}
        taken = 0
        while not self.done and not pace.stop():
            for name, value in self.advance().items():
                sums[name] = sums.get(name, 0.0) + value
            taken += 1
            now = time.perf_counter()
            if self.step % pace.log_every == 0 or self.done:
                means = {name: total / taken for name, total in sums.items()}
                say(self._log(means, self.seconds + now - began, taken / (now - logged)))
                sums, taken, logged = {}, 0, now
            if pace.sheet_every and (self.step % pace.sheet_every == 0 or self.done):
                self._show()
            if now - saved > pace.save_seconds:
                self.seconds, began, saved = self.seconds + now - began, now, now
                self.save()
        self.seconds += time.perf_counter() - began
        self.save()
        return self.done

    def advance(self) -> dict[str, float]:
        """One step -> its losses."""
        seed, batch = self._drawn()
        torch.manual_seed(seed)  # for whatever a network draws by itself
        for group in self._optimizer.param_groups:
            group["lr"] = rate_at(self.stage, self.step)
        self._optimizer.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        for share, part in _parts(batch, self.stage.parts):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.stage.bf16):
                losses = self.task.losses([each.to(self.device) for each in part])
            (losses["loss"] * share).backward()  # type: ignore[no-untyped-call]
            for name, value in losses.items():
                totals[name] = totals.get(name, 0.0) + float(value.detach()) * share
        nn.utils.clip_grad_norm_(self.task.network.parameters(), self.stage.clip)
        self._optimizer.step()
        self.step += 1
        self.mean.follow(self.task.network, self.step)
        return totals

    def _drawn(self) -> tuple[int, Batch]:
        """This step's batch; the next one's is drawn meanwhile, since each follows from its step alone."""
        now = self._waiting or self._pool.submit(self._draw, self.step)
        self._waiting = self._pool.submit(self._draw, self.step + 1)
        return now.result()

    def _draw(self, step: int) -> tuple[int, Batch]:
        generator = generator_of(self.seed, step)
        return int(torch.randint(2**62, (), generator=generator)), self.task.draw(step, generator)

    def save(self) -> None:
        """Write the state, whole or not at all."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "weights": self.task.network.state_dict(),
            "mean": self.mean.weights,
            "optimizer": self._optimizer.state_dict(),
        }
        unfinished = self._state.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(self._state)

    @property
    def _state(self) -> Path:
        return self.folder / "state.pt"

    def _load(self) -> None:
        try:
            state: dict[str, Any] = torch.load(self._state, map_location=self.device, weights_only=True)
            self.task.network.load_state_dict(state["weights"])
            self._optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise DamagedFile(f"{self._state}: not the state of this training ({error}).") from error
        self.mean.weights = state["mean"]
        self.step, self.seconds = state["step"], state["seconds"]

    def _log(self, means: Mapping[str, float], seconds: float, pace: float) -> str:
        line = {"step": self.step, **{name: round(value, 6) for name, value in means.items()}}
        line |= {"rate": rate_at(self.stage, self.step - 1), "seconds": round(seconds, 1)}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        remaining = (self.stage.steps - self.step) / max(pace, 1e-9)
        told = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        share = self.step / self.stage.steps
        return f"{self.folder.name} {self.step}/{self.stage.steps} ({share:.0%})  {told}  {_left(remaining)} left"

    def _show(self) -> None:
        with self.mean.worn_by(self.task.network), torch.no_grad():
            self.task.network.eval()
            sheet = self.task.sheet(self.task.network)
            self.task.network.train()
        if sheet is not None:
            sheet.save(self.folder / f"sheet-{self.step:06d}.png")


def steady(network: nn.Module) -> None:
    """Compute group norms in float32 under autocast (on the CPU bfloat16 is slower there, and less exact anywhere)."""
    for each in network.modules():
        if isinstance(each, nn.GroupNorm):
            each.register_forward_pre_hook(lambda _, given: (given[0].float(),))


def mean_weights(folder: Path) -> dict[str, Tensor] | None:
    """The averaged weights of a stage that was saved, or None."""
    path = folder / "state.pt"
    if not path.exists():
        return None
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["mean"]
    return weights


def _parts(batch: Batch, count: int) -> Iterator[tuple[float, Batch]]:
    """The batch in so many parts, each with its share of the pictures."""
    whole = len(batch[0])
    for part in zip(*(each.chunk(count) for each in batch), strict=True):
        yield len(part[0]) / whole, part


def _left(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
