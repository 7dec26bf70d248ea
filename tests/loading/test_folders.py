"""A folder in diffusers' layout is the checkpoint that it was made of, tensor by tensor; a broken one is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.core.device import choose
from modules.core.errors import DamagedFile
from modules.core.store import Store
from modules.loading import folders, ldm_names, opening
from modules.loading.library import Checkpoint, Library
from modules.loading.loader import Model
from modules.loading.packed import Packed
from modules.loading.shelf import Shelf
from modules.prompts.chunks import TextPolicy
from tests.loading import bitsandbytes_files
from tests.loading.diffusers_folders import write
from tests.reference.cases import SHARED
from tests.studio import MODELS

TINY = MODELS / "Stable-diffusion" / "tiny-sd1.safetensors"
OTHERS = ["tiny-sd2-v", "tiny-sdxl", "tiny-sdxl-refiner", "tiny-sd1-inpainting"]


def load(path: Path, tmp_path: Path) -> tuple[Checkpoint, Model]:
    library = Library([path.parent], Store(tmp_path / "easel.sqlite"))
    entry = library.find(path.name)
    return entry, Shelf(choose(use_cpu=["all"])).get(entry)


def same(ours: Model, theirs: Model) -> bool:
    """Whether every tensor of UNet and VAE is equal, and what the text encoders say."""
    parts = ((ours.unet, theirs.unet), (ours.vae.network, theirs.vae.network))
    for one, other in parts:
        mine, yours = one.state_dict(), other.state_dict()
        if mine.keys() != yours.keys() or not all(torch.equal(mine[name], yours[name]) for name in mine):
            return False
    said = [model.text.encode_together(("a cat",), TextPolicy())[0] for model in (ours, theirs)]
    return all(
        one is other or torch.allclose(one, other, atol=1e-5)  # a transposed matrix multiplies in another order
        for one, other in ((said[0].tokens, said[1].tokens), (said[0].pooled, said[1].pooled))
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(TINY, tmp_path_factory.mktemp("tiny"))[1]


def test_the_same_model(tiny: Model, tmp_path: Path) -> None:
    entry, model = load(write(tiny, tmp_path / "models" / "sd v1.5"), tmp_path)
    assert (entry.name, entry.model_name, entry.short_name, entry.family) == ("sd v1.5", "sd v1.5", "sd v1.5", "sd1")
    assert same(model, tiny)


@pytest.mark.parametrize(("shards", "ending"), [(3, ".safetensors"), (1, ".fp16.safetensors"), (1, ".bin")])
def test_files_as_they_come(tiny: Model, tmp_path: Path, shards: int, ending: str) -> None:
    assert same(load(write(tiny, tmp_path / "models" / "m", shards=shards, ending=ending), tmp_path)[1], tiny)


def test_a_quantized_part_stays_packed(tiny: Model, tmp_path: Path) -> None:
    """The UNet's attention in 4 bits as bitsandbytes writes it."""
    folder = write(tiny, tmp_path / "models" / "m")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights, meant = load_file(file), {}
    for name in [name for name in weights if ".attn1.to_" in name and name.endswith("weight")]:
        small, meant[name] = bitsandbytes_files.packed(name, weights.pop(name))
        weights |= small
    save_file(weights, file)
    _, model = load(folder, tmp_path)
    state = model.unet.state_dict()
    assert len(meant) > 8
    assert all(isinstance(state[name], Packed) for name in meant)
    assert all(torch.allclose(state[name] + 0, each) for name, each in meant.items())


def test_the_header_has_the_names_of_the_single_file(tiny: Model, tmp_path: Path) -> None:
    single = opening.header(TINY).tensors
    found = opening.header(write(tiny, tmp_path / "m")).tensors
    buffers = {name for name in single if name not in found}
    assert found.keys() <= single.keys()
    assert all(name.startswith("model.") is False or "diffusion_model" not in name for name in buffers)
    assert {name: info.shape for name, info in found.items()} == {name: single[name].shape for name in found}


@pytest.mark.reference
@pytest.mark.parametrize("name", OTHERS)
def test_other_families(name: str, tmp_path: Path) -> None:
    path = SHARED / "models" / "Stable-diffusion" / f"{name}.safetensors"
    if not path.exists():
        pytest.skip("the whole reference is absent")
    _, single = load(path, tmp_path)
    kind = "v_prediction" if single.prediction == "v" else "epsilon"
    entry, model = load(write(single, tmp_path / "models" / name, prediction_type=kind), tmp_path)
    assert (entry.family, model.prediction, model.variant) == (single.family.id, single.prediction, single.variant)
    assert same(model, single)


def test_what_a_folder_says_of_its_noise(tiny: Model, tmp_path: Path) -> None:
    path = write(tiny, tmp_path / "models" / "m", prediction_type="v_prediction", rescale_betas_zero_snr=True)
    _, model = load(path, tmp_path)
    assert model.prediction == "v"
    assert float(model.levels.sigmas[-1]) > 1000


def test_the_hash_is_that_of_the_contents(tiny: Model, tmp_path: Path) -> None:
    write(tiny, tmp_path / "models" / "m")
    library = Library([tmp_path / "models"], Store(tmp_path / "easel.sqlite"))
    before = library.hashed(library.find("m")).sha256
    assert before
    (tmp_path / "models" / "m" / "note.txt").write_text("changed")
    library.refresh()
    assert library.find("m").sha256 is None
    assert library.hashed(library.find("m")).sha256 != before


def test_a_broken_folder_is_refused_by_name_and_reason(tiny: Model, tmp_path: Path) -> None:
    whole = write(tiny, tmp_path / "models" / "m", shards=2)
    (whole / "unet" / "diffusion_pytorch_model-00002-of-00002.safetensors").rename(whole / "elsewhere")
    with pytest.raises(DamagedFile, match=r"m: unet/diffusion_pytorch_model-00002.* is missing"):
        folders.header(whole)
    (whole / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"abc")
    (whole / "elsewhere").rename(whole / "unet" / "diffusion_pytorch_model-00002-of-00002.safetensors")
    with pytest.raises(DamagedFile, match="too few"):
        folders.header(whole)
    (whole / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(DamagedFile, match="vae/ has no weights"):
        folders.header(whole)
    (whole / "model_index.json").write_text("{")
    with pytest.raises(DamagedFile, match=r"model_index\.json cannot be read"):
        folders.header(whole)
    (problem,) = Library([tmp_path / "models"], Store(tmp_path / "easel.sqlite")).problems()
    assert (problem.name, "model_index.json" in (problem.problem or "")) == ("m", True)


def test_a_transformer_folder_says_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "m" / "transformer").mkdir(parents=True)
    (tmp_path / "m" / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(DamagedFile, match="single-file"):
        folders.header(tmp_path / "m")


def test_names_are_those_that_diffusers_converts_from(tiny: Model) -> None:
    """Back and forth: renaming what diffusers made of the single file gives the single file's names."""
    prefix = "model.diffusion_model."
    single = {name.removeprefix(prefix) for name in opening.header(TINY).tensors if name.startswith(prefix)}
    assert set(ldm_names.unet(tiny.unet.state_dict()).values()) == single
