"""A recipe survives the trip to its file and back; a run keeps the recipe it began with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from modules.core.errors import BadRequest, NotFound
from modules.training import exporting, models, recipes
from modules.training.recipes import RECIPES, changed, find, kept, of_table


@pytest.mark.parametrize("name", RECIPES)
def test_json_and_back(name: str) -> None:
    recipe = find(name)
    assert of_table(json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_what_is_shipped_fits_into_48_megabytes_and_the_format(name: str) -> None:
    models.seeded(0)
    recipe = find(name)
    parts = models.vae(recipe.vae), models.text(recipe.text), models.unet(recipe.unet, recipe.text.width)
    assert 2 * sum(map(models.count, parts)) < 47_700_000
    assert recipe.prediction == "eps"
    assert recipe.schedule == "scaled_linear"
    assert all(size % 32 == 0 and size % models.HEADS == 0 for size in recipe.unet.channels)
    assert len(recipe.vae.channels) == 4
    assert "attention_resolutions: [2, 4]" in exporting.sizes(recipe)


def test_fields_are_changed_by_path() -> None:
    recipe = changed(
        find("test"), {"unet_stage.steps": "7", "gamma": "null", "prediction": "v", "vae.channels": "[32, 64]"}
    )
    assert recipe.unet_stage.steps == 7
    assert recipe.gamma is None
    assert recipe.prediction == "v"
    assert recipe.vae.channels == (32, 64)


def test_channels_that_the_format_cannot_say_are_refused() -> None:
    with pytest.raises(BadRequest, match="multiples of the first"):
        exporting.sizes(changed(find("cpu"), {"unet.channels": "[64, 128, 160]"}))


@pytest.mark.parametrize("path", ["nothing", "unet_stage.nothing", "size.nothing"])
def test_an_unknown_field_is_refused_by_name(path: str) -> None:
    with pytest.raises(BadRequest, match=path):
        changed(find("test"), {path: "1"})


def test_a_run_keeps_its_recipe(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="--recipe"):
        kept(None, tmp_path)
    assert kept(find("test"), tmp_path) == find("test")
    assert kept(None, tmp_path) == find("test")
    with pytest.raises(BadRequest, match="another recipe"):
        kept(find("cpu"), tmp_path)


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match="gpu"):
        recipes.find("gpuu")
