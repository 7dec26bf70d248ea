"""Loading: sizes come from shapes, whatever they are; every tensor of the file is used; nothing asks a hub."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.core.device import choose
from modules.core.errors import DamagedFile
from modules.core.store import Store
from modules.loading import loader
from modules.loading.library import Library
from modules.loading.loader import Model
from modules.loading.prediction import Given
from modules.loading.residency import Residency
from modules.prompts.chunks import TextPolicy
from tests.studio import MODELS

TINY = MODELS / "Stable-diffusion" / "tiny-sd1.safetensors"
PLACEMENT = choose(use_cpu=["all"])


def load(path: Path, tmp_path: Path) -> Model:
    library = Library([path.parent], Store(tmp_path / "easel.sqlite"))
    return loader.load(library.find(path.name), PLACEMENT, Residency("normal", PLACEMENT.device))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(TINY, tmp_path_factory.mktemp("tiny"))


def test_every_part_is_whole_in_the_asked_format(model: Model) -> None:
    for part in (model.unet, model.text.towers["text"], model.vae.network):
        tensors = [*part.parameters(), *part.buffers()]
        assert all(not tensor.is_meta for tensor in tensors)
        assert {parameter.dtype for parameter in part.parameters()} == {torch.float32}
        assert not part.training


def test_as_many_numbers_as_in_the_file(model: Model) -> None:
    """Nothing was dropped and nothing made up: counts agree with the file, part by part."""
    weights = load_file(TINY)
    expected = {
        "model.diffusion_model.": model.unet,
        "first_stage_model.": model.vae.network,
        "cond_stage_model.transformer.": model.text.towers["text"],
    }
    for prefix, part in expected.items():
        stored = sum(
            tensor.numel() for name, tensor in weights.items() if name.startswith(prefix) and "position_ids" not in name
        )
        assert sum(parameter.numel() for parameter in part.parameters()) == stored


def test_the_trained_levels_are_those_stored_in_the_file(model: Model) -> None:
    kept = load_file(TINY)["alphas_cumprod"]
    assert torch.allclose(model.levels.sigmas, ((1 - kept) / kept) ** 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("model.diffusion_model.middle_block.0.in_layers.2.weight", "not a complete"),
        ("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight", "not a complete"),
        ("first_stage_model.decoder.conv_in.weight", "not a complete"),
    ],
)
def test_a_file_that_lacks_a_tensor_is_refused_by_name(missing: str, says: str, tmp_path: Path) -> None:
    weights = {name: tensor for name, tensor in load_file(TINY).items() if name != missing}
    save_file(weights, tmp_path / "partial.safetensors")
    with pytest.raises(DamagedFile, match=rf"partial\.safetensors.*{says}"):
        load(tmp_path / "partial.safetensors", tmp_path)


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    weights = load_file(TINY)
    name = "model.diffusion_model.time_embed.0.weight"
    weights[name] = weights[name][:, :-1].contiguous()
    save_file(weights, tmp_path / "odd.safetensors")
    with pytest.raises(DamagedFile, match="not a complete"):
        load(tmp_path / "odd.safetensors", tmp_path)


def test_old_names_of_the_text_encoder(tmp_path: Path) -> None:
    """Some SD1 files call it `transformer.embeddings…` instead of `transformer.text_model.embeddings…`."""
    weights = {name.replace(".text_model.", "."): tensor for name, tensor in load_file(TINY).items()}
    save_file(weights, tmp_path / "old.safetensors")
    old = load(tmp_path / "old.safetensors", tmp_path)
    new = load(TINY, tmp_path)
    assert torch.equal(old.text.encode("a cat", TextPolicy()), new.text.encode("a cat", TextPolicy()))


def test_a_model_of_other_width_and_depth(tmp_path: Path) -> None:
    """The real SD1 recipe at another size: made by diffusers, stored under the original names, loaded from shapes."""
    from tests.loading.invented import sd1

    save_file(sd1(channels=(32, 64), width=32, layers=2), tmp_path / "other.safetensors")
    other = load(tmp_path / "other.safetensors", tmp_path)
    assert tuple(other.unet.config.block_out_channels) == (32, 64)  # type: ignore[union-attr]
    context = other.text.encode("a cat", TextPolicy())
    assert context.shape == (1, 77, 32)
    with torch.inference_mode():
        eps = other.network(torch.zeros(1, 4, 8, 8), torch.tensor([10.0]), Given(context=context))
        assert eps.shape == (1, 4, 8, 8)
        assert other.vae.decode(eps[0]).shape == (3, 16, 16)
