"""A model that is shown depth: img2img shows it that of the picture, text alone a flat one, with a word about it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from modules.core.errors import EaselError
from modules.core.store import Store
from modules.generate.request import Img2Img, Txt2Img
from modules.imaging.inputs import Inputs
from modules.loading.depth import DepthModel
from modules.loading.library import Library
from tests.loading.invented import RECIPES, VAE, filled, vae
from tests.loading.test_depth import dpt
from tests.studio import Bench

SMALL = {"prompt": "a cat", "seed": 3, "subseed": 3, "steps": 2, "width": 64, "height": 64}
NAME = {"sd_model_checkpoint": "depth"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("depth")
    made = Bench(folder)
    (folder / "checkpoints").mkdir()
    parts = {**RECIPES["sd1 depth"](), VAE: vae((32, 32, 32, 64))}  # of the real factor, 8
    save_file(filled(parts), folder / "checkpoints" / "depth.safetensors")
    made.library = Library([folder / "checkpoints"], Store(folder / "library.sqlite"))
    made.studio = dataclasses.replace(made.studio, library=made.library)
    return made


def shown(bench: Bench, request: Txt2Img | Img2Img) -> tuple[Tensor, list[str]]:
    """What the model was shown beside the noise, and the remarks."""
    seen: list[Tensor] = []

    def sampling(event: object) -> None:
        seen.append(event.program.concat)  # type: ignore[attr-defined]

    take = bench.moments.sampling.add(sampling, owner="test")
    try:
        result = bench.make(request, **NAME)
    finally:
        take()
    return seen[0], result["comments"]


def picture(bench: Bench) -> str:
    return Inputs(bench.folder / "inputs").add_image(Image.linear_gradient("L").convert("RGB").resize((64, 64)))


def test_text_alone_is_shown_a_flat_depth_and_told_so(bench: Bench) -> None:
    depth, comments = shown(bench, Txt2Img(**SMALL))
    assert depth.shape == (1, 1, 8, 8)
    assert not depth.any()
    assert "depth" in comments[0]


def test_a_picture_without_a_model_that_tells_depth_is_refused_with_the_way_out(bench: Bench) -> None:
    with pytest.raises(EaselError, match="midas"):
        shown(bench, Img2Img(**SMALL, init_images=(picture(bench),)))


def test_a_pictures_depth_is_shown(bench: Bench, tmp_path: Path) -> None:
    plain = bench.studio
    bench.studio = dataclasses.replace(plain, depth=DepthModel([dpt(tmp_path / "midas")]))
    try:
        depth, comments = shown(bench, Img2Img(**SMALL, init_images=(picture(bench),)))
    finally:
        bench.studio = plain
    assert comments == []
    assert depth.shape == (1, 1, 8, 8)
    assert float(depth.max() - depth.min()) == pytest.approx(2, abs=1e-4)
    assert torch.isfinite(depth).all()
