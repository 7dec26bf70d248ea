"""The same algorithm, run by others: k-diffusion's own recorded answers, to 1e-9."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from modules.core.process import TrainedLevels
from modules.samplers.catalog import builtin, resolve
from modules.samplers.dpm import fast_levels
from tests.samplers.recording import (
    CALLS,
    CASES,
    FILE,
    HIGH,
    LEVELS,
    LOW,
    SCHEDULES,
    VISITED,
    WORLD,
    Waves,
    begin,
    title,
)
from tests.samplers.worlds import nothing

RECORDED: Mapping[str, list[float]] = json.loads(FILE.read_text(encoding="utf-8"))
ENDS = VISITED[[0, -2]]


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=[title(*case) for case in CASES])
def test_the_answer_is_k_diffusions(name: str, parameters: Mapping[str, float]) -> None:
    row, _ = builtin().find_sampler(name)
    fast = fast_levels(CALLS, TrainedLevels(ENDS.flip(0))).double()
    way = {"DPM fast": fast, "DPM adaptive": ENDS}.get(name, VISITED)
    more: dict[str, Any] = {"steps": CALLS} if row.wants else {}
    arguments = {"process": WORLD.process, "noise": Waves(), "on_step": nothing, **parameters, **more}
    ours = row.run(WORLD, begin(), way, **arguments)
    theirs = torch.tensor(RECORDED[title(name, parameters)], dtype=torch.float64).reshape(ours.shape)
    tolerance = 1e-6 if name == "DPM fast" else 1e-9  # its levels are made in single precision
    assert torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_levels_are_k_diffusions(name: str) -> None:
    levels = builtin().find_scheduler(name).function
    ours = resolve(levels or name)(LEVELS, sigma_min=LOW, sigma_max=HIGH, **SCHEDULES[name])
    assert ours.tolist() == pytest.approx(RECORDED[title(name, SCHEDULES[name])], rel=1e-5)
