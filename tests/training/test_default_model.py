"""The model that ships, through the engine that everybody uses: its pictures show what was asked for, and img2img
leaves the given picture bit by bit.

What a picture shows is told by the reader (`modules.evaluation`), which never saw a generated one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from modules.evaluation import adherence
from modules.evaluation import reader as readers
from modules.evaluation.adherence import Question
from modules.generate.request import Img2Img
from modules.training import recipes, stages
from modules.training.data import Painted
from tests.studio import DEFAULT_MODEL, Bench
from tests.training.shipped import READER, SIDE, drawn, stacked

ASKED = adherence.questions(20, seed=3)


@pytest.fixture(scope="module")
def reader() -> readers.Reader:
    return readers.load(READER)


@pytest.fixture(scope="module")
def shown(bench: Bench) -> torch.Tensor:
    """A picture for each question, uint8 (n, H, W, 3)."""
    return torch.cat([drawn(bench, each.prompt) for each in ASKED])


def test_the_file_is_small_and_half_precision() -> None:
    assert DEFAULT_MODEL.stat().st_size <= 48_000_000
    with safe_open(DEFAULT_MODEL, framework="pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert "F16" in kinds


def test_training_can_go_on_from_it(tmp_path: Path) -> None:
    """`--from` with the recipe that it was made by: its sizes are the recipe's."""
    recipe = recipes.find("cpu")
    run = stages.Run(folder=tmp_path, recipe=recipe, source=Painted(1), device=torch.device("cpu"))
    stages.begin_with(run, DEFAULT_MODEL)
    given = torch.load(tmp_path / "unet" / stages.GIVEN, weights_only=True)
    with safe_open(DEFAULT_MODEL, framework="pt") as file:
        first = file.get_tensor("model.diffusion_model.input_blocks.0.0.weight").float()
    assert torch.equal(given["unet.conv_in.weight"], first)


def test_it_shows_what_is_asked_for(shown: torch.Tensor, reader: readers.Reader) -> None:
    """Far above chance (a colour: 1 of 12, a place: 1 of 5); docs/default-model.md has the numbers of 600 questions."""
    found = adherence.shares(ASKED, reader.read(shown))
    assert found["colour"] >= 0.7, found
    assert found["position"] >= 0.7, found
    assert found["object"] >= 0.5, found


def test_img2img_moves_gradually_from_the_sketch(bench: Bench) -> None:
    asked = [each for each in ASKED if each.scene.style == "flat"][:3]
    sketches = stacked([sketch(each) for each in asked]).float()
    away = []
    for strength in (0.3, 0.6, 0.9):
        made = stacked([redrawn(bench, each, strength) for each in asked]).float()
        away.append(float((made - sketches).abs().mean()))
    assert away[0] < away[1] < away[2]


def sketch(question: Question) -> Image.Image:
    return Image.fromarray(adherence.painted([question], SIDE)[0].numpy()).convert("L").convert("RGB")


def redrawn(bench: Bench, question: Question, strength: float) -> Image.Image:
    given = bench.studio.inputs.add_image(sketch(question))
    request = Img2Img(
        prompt=question.prompt, init_images=(given,), denoising_strength=strength, seed=3, steps=12, cfg_scale=4.0,
        width=SIDE, height=SIDE, override_settings={"sd_model_checkpoint": DEFAULT_MODEL.stem},
    )  # fmt: skip
    return bench.images(request)[0].convert("RGB")
