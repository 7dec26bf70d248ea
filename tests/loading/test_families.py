"""Laws of the UNet families: each variant is recognised by its header, loads whole, samples and decodes; the real
sizes are those that were published.
"""

from __future__ import annotations

import copy
import json
import math
import struct
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from modules.core.device import Placement, choose
from modules.core.process import VarianceExploding
from modules.core.store import Store
from modules.loading import families, header, loader
from modules.loading.family import Scene
from modules.loading.header import TensorInfo
from modules.loading.library import Library
from modules.loading.loader import Model
from modules.loading.prediction import Given
from modules.loading.residency import Residency
from modules.prompts.chunks import TextPolicy
from modules.samplers.euler import euler
from modules.samplers.schedules import karras
from tests.loading.invented import REAL, RECIPES, Parts, filled

CPU = choose(use_cpu=["all"])
SIZES = {
    "sd1": {"model.diffusion_model.": 859_520_964, "first_stage_model.": 83_653_863},
    "sd2": {"model.diffusion_model.": 865_910_724},
    "sdxl": {"model.diffusion_model.": 2_567_463_684, "conditioner.embedders.1.model.": 694_659_841},
    "sdxl-refiner": {"model.diffusion_model.": 2_259_526_660},
}
"""Numbers in the parts of the released models."""


def load(path: Path, placement: Placement = CPU) -> Model:
    library = Library([path.parent], Store(path.parent / "easel.sqlite"))
    return loader.load(library.find(path.name), placement, Residency("normal", placement.device))


def given(model: Model, text: str, *, negative: bool = False) -> Given:
    """What a network is told of a square picture of 128 pixels."""
    (said,) = model.text.encode_together([text], TextPolicy(), negative=negative)
    scene = Scene(width=128, height=128, negative=negative, crop_top=0, crop_left=0, aesthetic=6.0)
    ids = model.family.ids
    further = model.unet.config.in_channels - 4  # type: ignore[union-attr, operator]
    return Given(
        context=said.tokens.unsqueeze(0),
        pooled=None if said.pooled is None else said.pooled.unsqueeze(0),
        ids=None if ids is None else torch.tensor([ids(scene)]),
        concat=torch.zeros(1, further, 16, 16) if further else None,
    )


def sampled(model: Model, text: str, steps: int) -> torch.Tensor:
    """Latents (1, 4, 16, 16) after so many steps."""
    predict, told = model.predict(model.levels), given(model, text)
    sigmas = karras(steps, sigma_min=model.levels.lowest, sigma_max=model.levels.highest)
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)) * sigmas[0]
    return euler(
        lambda x, sigma: predict(x, sigma, told),
        x,
        sigmas,
        process=VarianceExploding(),
        noise=lambda: torch.zeros_like(x),
        on_step=lambda *_: None,
    )


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A family and variant, and a small checkpoint of it."""
    path = tmp_path / "invented.safetensors"
    save_file({name: tensor.half() for name, tensor in filled(RECIPES[request.param]()).items()}, path)
    return request.param, path


def test_every_family_is_recognised_loaded_sampled_and_decoded(recipe: tuple[str, Path]) -> None:
    (name, variant), path = (*recipe[0].split(" "), "")[:2], recipe[1]
    facts = header.read(path)
    family = families.detect(facts)
    assert family.id == name
    assert families.obstacle(family, facts) is None
    shown = variant if variant in (families.INPAINTING, families.EDITING, families.DEPTH) else ""
    assert families.variant(family, facts) == shown
    model = load(path)
    stored = sum(math.prod(info.shape) for key, info in facts.tensors.items() if key.startswith(families.UNET))
    assert sum(each.numel() for each in model.unet.parameters()) == stored
    with torch.inference_mode():
        latents = sampled(model, "a cat", 2)
        pixels = model.vae.decode(latents[0])
    assert torch.isfinite(latents).all()
    assert pixels.shape == (3, 32, 32)


@pytest.mark.parametrize(("mark", "title"), [("edm_mean", "Playground"), ("edm_vpred.sigma_max", "CosXL")])
def test_kin_of_sdxl_with_other_noise_levels_are_told_apart(mark: str, title: str) -> None:
    parts = {**RECIPES["sdxl"](), "": iter([(mark, ())])}
    tensors = {prefix + name: TensorInfo("F16", shape) for prefix, shapes in parts.items() for name, shape in shapes}
    facts = header.Header(Path("kin.safetensors"), tensors, {})
    family = families.detect(facts)
    assert family.title.startswith(title)
    assert "EDM" in (families.obstacle(family, facts) or "")


def test_marks_in_the_header_make_a_velocity_model_that_ends_in_noise(tmp_path: Path) -> None:
    save_file(filled(RECIPES["sdxl velocity"]()), tmp_path / "v.safetensors")
    save_file(filled(RECIPES["sdxl"]()), tmp_path / "eps.safetensors")
    velocity, plain = load(tmp_path / "v.safetensors"), load(tmp_path / "eps.safetensors")
    assert (velocity.prediction, plain.prediction) == ("v", "eps")
    assert velocity.levels.highest > 4000
    assert plain.levels.highest < 15


def test_an_sd2_network_is_asked_what_it_predicts(tmp_path: Path) -> None:
    """At the noisiest time the mean of its answer tells; a network whose answer lies far below what it gets is "v"."""
    weights = filled(RECIPES["sd2"]())
    save_file(weights, tmp_path / "plain.safetensors")
    weights["model.diffusion_model.out.2.bias"] -= 2
    save_file(weights, tmp_path / "low.safetensors")
    assert load(tmp_path / "plain.safetensors").prediction == "eps"
    assert load(tmp_path / "low.safetensors").prediction == "v"
    (tmp_path / "low.yaml").write_text("model:\n  params:\n    timesteps: 1000\n")
    assert load(tmp_path / "low.safetensors").prediction == "eps"


def test_sizes_and_prompts_reach_an_sdxl_network(tmp_path: Path) -> None:
    """Other sizes, another pooled vector, another context: each changes the answer by itself."""
    save_file(filled(RECIPES["sdxl"]()), tmp_path / "xl.safetensors")
    model = load(tmp_path / "xl.safetensors")
    x, time = torch.ones(1, 4, 16, 16), torch.tensor([500.0])
    told = given(model, "a cat")
    assert told.pooled is not None
    assert told.ids is not None
    others = [
        Given(context=told.context, pooled=told.pooled, ids=told.ids * 2),
        Given(context=told.context, pooled=told.pooled * 2, ids=told.ids),
        Given(context=told.context * 2, pooled=told.pooled, ids=told.ids),
    ]
    with torch.inference_mode():
        answer = model.network(x, time, told)
        assert all(not torch.allclose(answer, model.network(x, time, other)) for other in others)


def test_one_step_without_guidance_is_one_forward(tmp_path: Path) -> None:
    """Distilled weights (Turbo, Lightning, LCM, Hyper) are used like any others, in 1 to 4 steps."""
    save_file(filled(RECIPES["sdxl"]()), tmp_path / "turbo.safetensors")
    model = load(tmp_path / "turbo.safetensors")
    batches: list[int] = []
    model.unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    with torch.inference_mode():
        for steps in (1, 2, 4):
            batches.clear()
            assert torch.isfinite(sampled(model, "a cat", steps)).all()
            assert batches == [1] * steps


@pytest.mark.parametrize("name", SIZES)
def test_the_invented_real_sizes_are_the_published_ones(name: str) -> None:
    counted = {prefix: sum(math.prod(shape) for _, shape in shapes) for prefix, shapes in REAL[name]().items()}
    assert {prefix: counted[prefix] for prefix in SIZES[name]} == SIZES[name]


def empty_file(path: Path, parts: Parts) -> None:
    """A checkpoint of float16 zeros that takes no room on disk: a header, and a hole."""
    table, end = {}, 0
    for prefix, shapes in parts.items():
        for name, shape in shapes:
            begin, end = end, end + 2 * math.prod(shape)
            table[prefix + name] = {"dtype": "F16", "shape": shape, "data_offsets": (begin, end)}
    text = json.dumps(table).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_real_sizes_are_recognised_and_loaded(name: str, tmp_path: Path) -> None:
    if psutil.virtual_memory().available < 10 * 2**30:
        pytest.skip("less than 10 GB of memory are free")
    path = tmp_path / "real.safetensors"
    empty_file(path, REAL[name]())
    half = Placement(device=torch.device("cpu"), dtype=torch.float16, vae_dtype=torch.float16)
    model = load(path, half)
    assert model.family.id == name
    assert sum(each.numel() for each in model.unet.parameters()) == SIZES[name]["model.diffusion_model."]


def test_an_even_picture_is_encoded_as_exactly_as_any_other(tmp_path: Path) -> None:
    """Inpainting models are shown grey: float32 and float64 must agree on it."""
    save_file(filled(RECIPES["sd1"]()), tmp_path / "plain.safetensors")
    network = load(tmp_path / "plain.safetensors").vae.network
    exact = copy.deepcopy(network).double()
    with torch.inference_mode():
        for picture in (torch.zeros(1, 3, 64, 64), torch.rand(1, 3, 64, 64)):
            ours = network.encode(picture).latent_dist.mean  # type: ignore[operator]
            theirs = exact.encode(picture.double()).latent_dist.mean  # type: ignore[operator]
            assert torch.allclose(ours.double(), theirs, atol=0.01 * float(theirs.abs().max()))
