"""Networks on an SDXL model: both text encoders are reached, under every dialect, at the text strength."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.core.store import Store
from modules.loading.loader import Model
from modules.networks.apply import Networks
from modules.networks.embeddings import Embeddings
from modules.networks.names import UNET, Layers
from modules.prompts.chunks import TextPolicy
from modules.prompts.network_tags import split
from tests.loading.invented import RECIPES, filled
from tests.loading.test_families import load

Q_PROJ = "encoder_layers_0_self_attn_q_proj"
SECOND = {
    "kohya": f"lora_te2_text_model_{Q_PROJ}",
    "A1111": "1_model_transformer_resblocks_0_attn_q_proj",
    "diffusers": "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj",
    "original": "conditioner.embedders.1.model.transformer.resblocks.0.attn.q_proj",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path: Path = tmp_path_factory.mktemp("xl") / "xl.safetensors"
    save_file(filled(RECIPES["sdxl"]()), path)
    return load(path)


@pytest.fixture
def networks(tmp_path: Path, model: Model) -> Iterator[Networks]:
    found = Networks(
        loras=[tmp_path / "Lora"],
        hypernetworks=[tmp_path / "hypernetworks"],
        embeddings=[tmp_path / "embeddings"],
        store=Store(tmp_path / "test.sqlite"),
    )
    yield found
    found.apply(model, ())


def lora(folder: Path, layer: str, width: int = 64) -> None:
    generator = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        f"{layer}.lora_down.weight": torch.randn(4, width, generator=generator),
        f"{layer}.lora_up.weight": torch.randn(width, 4, generator=generator),
    }
    save_file(weights, folder / "a.safetensors")


def bits(weight: Tensor) -> str:
    return hashlib.sha256(weight.contiguous().numpy().tobytes()).hexdigest()


def weights(model: Model) -> Mapping[str, Tensor]:
    path = "encoder.layers.0.self_attn.q_proj.weight"
    return {name: tower.get_parameter(path) for name, tower in model.text.towers.items()}


@pytest.mark.parametrize("dialect", SECOND)
def test_the_second_tower_changes_alone_and_is_restored(
    dialect: str, networks: Networks, model: Model, tmp_path: Path
) -> None:
    lora(tmp_path / "Lora", SECOND[dialect])
    before = {name: bits(weight) for name, weight in weights(model).items()}
    plain = model.text.encode("a cat", TextPolicy())
    assert networks.apply(model, split("<lora:a:1>")[1]).notes == ()
    now = {name: bits(weight) for name, weight in weights(model).items()}
    assert now["text"] == before["text"]
    assert now["text2"] != before["text2"]
    assert not torch.equal(model.text.encode("a cat", TextPolicy()), plain)
    networks.apply(model, ())
    assert {name: bits(weight) for name, weight in weights(model).items()} == before
    assert torch.equal(model.text.encode("a cat", TextPolicy()), plain)


def test_the_text_strength_holds_for_both_towers(networks: Networks, model: Model, tmp_path: Path) -> None:
    lora(tmp_path / "Lora", SECOND["kohya"])
    before = weights(model)["text2"].clone()
    networks.apply(model, split("<lora:a:0:1>")[1])
    assert torch.equal(weights(model)["text2"], before)
    networks.apply(model, split("<lora:a:1:0>")[1])
    assert not torch.equal(weights(model)["text2"], before)


def test_every_layer_of_both_towers_and_of_the_unet_has_a_name(model: Model) -> None:
    layers = Layers({UNET: model.unet, **model.text.towers})
    for component, root in {UNET: model.unet, **model.text.towers}.items():
        for path, module in root.named_modules():
            if getattr(module, "weight", None) is not None:
                assert layers.find(component, path.replace(".", "_")) is not None
    assert layers.find(UNET, "input_blocks_3_1_transformer_blocks_0_attn1_to_q") is not None
    assert layers.find(UNET, "label_emb_0_2") is not None


def test_a_pair_of_vectors_fits_and_a_single_one_does_not(networks: Networks, model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "embeddings"
    folder.mkdir()
    save_file({"clip_l": torch.ones(2, 64), "clip_g": torch.ones(2, 64)}, folder / "pair.safetensors")
    save_file({"emb_params": torch.ones(2, 64)}, folder / "single.safetensors")
    save_file({"clip_l": torch.ones(1, 64), "clip_g": torch.ones(2, 64)}, folder / "uneven.safetensors")
    by_name = {each.name: each for each in Embeddings([folder]).scan()}
    assert by_name["pair"].joined.shape == (2, 128)
    applied = networks.apply(model, ())
    assert set(applied.words) == {"pair"}
    assert "64 wide, this model's are 64 + 64" in applied.misfits["single"]
    assert "more vectors" in applied.misfits["uneven"]
    assert applied.towers == 2


def test_words_inside_a_lora_may_be_pairs(networks: Networks, model: Model, tmp_path: Path) -> None:
    lora(tmp_path / "Lora", SECOND["kohya"])
    bundle = {f"bundle_emb.word.{tower}": torch.ones(1, 64) for tower in ("clip_l", "clip_g")}
    save_file({**bundle, "bundle_emb.other.clip_l": torch.ones(1, 64)}, tmp_path / "Lora" / "b.safetensors")
    applied = networks.apply(model, split("<lora:b:1>")[1])
    assert set(applied.words) == {"word"}
