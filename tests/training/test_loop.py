"""The loop's laws: resumed = uninterrupted to the bit; accumulated = whole; order is a permutation; rates as said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from modules.core.errors import DamagedFile
from modules.training.loop import Mean, Pace, Trainer, generator_of, indices, mean_weights, rate_at
from modules.training.recipes import Stage

STAGE = Stage(steps=12, batch=8, rate=0.05, warmup=3, ema=0.9)


class Line:
    """Fit y = 2 x + 1 from noisy points, with a dropout that draws from the global random numbers."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.2), nn.Linear(4, 1))

    def draw(self, step: int, generator: torch.Generator) -> list[Tensor]:
        x = torch.randn(8, 1, generator=generator)
        return [x, 2 * x + 1 + 0.01 * torch.randn(8, 1, generator=generator)]

    def losses(self, batch: list[Tensor]) -> dict[str, Tensor]:
        x, y = batch
        return {"loss": ((self.network(x) - y) ** 2).mean()}

    def sheet(self, network: nn.Module) -> Image.Image:
        return Image.new("RGB", (2, 2))


def trainer(folder: Path, stage: Stage = STAGE, task: Line | None = None) -> Trainer:
    return Trainer(task or Line(), stage, seed=5, folder=folder, device=torch.device("cpu"))


def stopping_after(steps: int) -> Pace:
    left = iter([False] * steps)
    return Pace(log_every=1, sheet_every=0, stop=lambda: next(left, True))


def silent(_: str) -> None:
    pass


def test_stopped_and_resumed_is_the_same_to_the_bit_as_never_stopped(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    assert whole.run(Pace(sheet_every=0), silent)
    for _ in range(3):
        torch.manual_seed(99)  # whatever else the process drew meanwhile
        parted = trainer(tmp_path / "parted")
        parted.run(stopping_after(5), silent)
    assert parted.done
    for name, tensor in whole.task.network.state_dict().items():
        assert torch.equal(tensor, parted.task.network.state_dict()[name])
    for name, tensor in whole.mean.weights.items():
        assert torch.equal(tensor, parted.mean.weights[name])


def test_accumulated_parts_equal_the_whole_batch(tmp_path: Path) -> None:
    def trained(parts: int) -> nn.Module:
        task = Line()
        task.network[1].p = 0.0  # type: ignore[index]
        made = trainer(tmp_path / str(parts), dataclasses.replace(STAGE, parts=parts), task)
        made.run(Pace(sheet_every=0), silent)
        return made.task.network

    whole, parted = (trained(parts).state_dict() for parts in (1, 4))
    for name, tensor in whole.items():
        torch.testing.assert_close(tensor, parted[name], rtol=1e-4, atol=1e-5)


def test_it_learns(tmp_path: Path) -> None:
    made = trainer(tmp_path, dataclasses.replace(STAGE, steps=150))
    first = made.advance()["loss"]
    made.run(Pace(sheet_every=0), silent)
    assert made.advance()["loss"] < first / 5


def test_log_and_sheets_are_written(tmp_path: Path) -> None:
    trainer(tmp_path).run(Pace(log_every=4, sheet_every=6), silent)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12]
    assert all(line["loss"] > 0 for line in lines)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["sheet-000006.png", "sheet-000012.png"]


def test_each_time_round_every_example_comes_once_in_a_new_order() -> None:
    seen = torch.cat([indices(10, step, 4, seed=3) for step in range(5)])
    assert sorted(seen[:10].tolist()) == list(range(10)) == sorted(seen[10:].tolist())
    assert seen[:10].tolist() != seen[10:].tolist()
    assert indices(3, 0, 8, seed=3).shape == (8,)


def test_steps_and_seeds_have_their_own_random_numbers() -> None:
    drawn = {float(torch.rand((), generator=generator_of(seed, step))) for seed in range(20) for step in range(20)}
    assert len(drawn) > 395


def test_the_rate_warms_up_and_falls_to_its_floor() -> None:
    stage = Stage(steps=100, batch=1, rate=1.0, warmup=10, floor=0.1)
    assert rate_at(stage, 0) == pytest.approx(0.1)
    assert rate_at(stage, 9) == pytest.approx(1.0)
    rates = [rate_at(stage, step) for step in range(10, 101)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.1)


def test_the_mean_is_the_mean_and_comes_off_again() -> None:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0.0)
    mean = Mean(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(1.0)
    mean.follow(network, 1000)
    assert float(mean.weights["weight"]) == pytest.approx(0.5)
    with mean.worn_by(network):
        assert network.weight.item() == pytest.approx(0.5)
    assert network.weight.item() == 1.0


def test_states_are_read_back_and_damaged_ones_refused(tmp_path: Path) -> None:
    assert mean_weights(tmp_path) is None
    trainer(tmp_path).run(Pace(sheet_every=0), silent)
    assert set(mean_weights(tmp_path) or {}) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    torch.save({"step": 1, "weights": {}}, tmp_path / "state.pt")
    with pytest.raises(DamagedFile, match=r"state\.pt"):
        trainer(tmp_path)
