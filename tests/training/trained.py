"""A tiny model that went through every stage of training, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modules.training import data, recipes, stages
from modules.training.loop import Pace


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> stages.Run:
    """All stages of the recipe "test", seconds long: every part is there, none is any good."""
    folder = tmp_path_factory.mktemp("run")
    recipe = recipes.kept(recipes.find("test"), folder)
    made = stages.Run(
        folder=folder,
        recipe=recipe,
        source=data.source_of(folder, None, recipe.pictures),
        device=torch.device("cpu"),
        pace=Pace(sheet_every=2),
        say=lambda _: None,
    )
    assert stages.everything(made)
    return made


@pytest.fixture(scope="session")
def checkpoint(run: stages.Run) -> Path:
    """Its file."""
    return run.folder / "model.safetensors"
