"""How alike pictures look: 0 between equal ones, and soft edges count more than a change that is as large in pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from modules.core.errors import DamagedFile, NotFound
from modules.training import sight
from modules.training.data import Painted, pixels

READER = Path(__file__).parents[2] / "models" / "evaluation" / "reader.safetensors"


def test_soft_edges_are_seen() -> None:
    eyes = sight.load(READER)
    painted = pixels(torch.from_numpy(np.stack([Painted(4).picture(index, 64) for index in range(4)])))
    soft = functional.avg_pool2d(painted, 5, stride=1, padding=2, count_include_pad=False)
    paler = painted + (soft - painted).square().mean().sqrt()
    same, softened, paled = (float(sight.unlikeness(eyes, each, painted).mean()) for each in (painted, soft, paler))
    assert same == pytest.approx(0, abs=1e-6)
    assert 2 * paled < softened < 2


def test_the_answer_learns_and_the_eyes_do_not() -> None:
    eyes = sight.load(READER)
    answer, target = torch.rand(1, 3, 32, 32, requires_grad=True), torch.rand(1, 3, 32, 32)
    sight.unlikeness(eyes, answer, target).mean().backward()
    assert answer.grad is not None
    assert answer.grad.abs().max() > 0
    assert all(each.grad is None for each in eyes.parameters())


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        sight.load(tmp_path / "none.safetensors")
    (tmp_path / "other.safetensors").write_bytes(b"no weights")
    with pytest.raises(DamagedFile, match=r"other\.safetensors"):
        sight.load(tmp_path / "other.safetensors")
