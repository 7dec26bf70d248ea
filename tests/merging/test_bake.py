"""A LoRA in the file is the LoRA on the model, whatever the family calls its layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modules.core.device import choose
from modules.core.errors import BadRequest
from modules.core.store import Store
from modules.loading import families, opening
from modules.loading.library import Library
from modules.loading.loader import Model
from modules.loading.shelf import Shelf
from modules.merging import bake, run
from modules.merging.request import NOTHING, Merge
from modules.networks.apply import Networks
from modules.networks.files import Files
from modules.prompts.network_tags import split
from tests.loading.invented import RECIPES, filled
from tests.merging.test_merge import Quiet

UNET = "lora_unet_"
TOWERS = {
    "sd1": {"lora_te_": 64},
    "sd2": {"lora_te_": 64},
    "sdxl": {"lora_te1_": 64, "lora_te2_": 64},
    "sdxl-refiner": {"lora_te1_": 64},
}
"""Family -> beginning of a text encoder's layers in kohya's files, and its width."""


CHANGED = {"sd1": 4, "sd2": 3, "sdxl": 6, "sdxl-refiner": 3}
"""Tensors of the file that it changes: OpenCLIP's three projections are one."""


def lora(family: str, denoiser: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rank 2 for q, v and out of the first text layer and for the middle block's attention."""
    generator = torch.Generator().manual_seed(3)
    layers = {
        f"{prefix}text_model_encoder_layers_0_self_attn_{part}_proj": (width, width)
        for prefix, width in TOWERS[family].items()
        for part in ("q", "v", "out")
    }
    path = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    layers[UNET + path.replace(".", "_")] = tuple(denoiser[f"{path}.weight"].shape)  # type: ignore[assignment]
    made = {}
    for name, (out, into) in layers.items():
        made[f"{name}.lora_up.weight"] = torch.randn(out, 2, generator=generator)
        made[f"{name}.lora_down.weight"] = torch.randn(2, into, generator=generator)
        made[f"{name}.alpha"] = torch.tensor(1.0)
    return made


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Model]:
    return lambda name: Shelf(choose(use_cpu=["all"])).get(Library([tmp_path], Store(tmp_path / "e.sqlite")).find(name))


@pytest.mark.parametrize("family", TOWERS)
def test_baked_in_is_put_on(family: str, tmp_path: Path, load: Callable[[str], Model]) -> None:
    save_file(filled(RECIPES[family]()), tmp_path / "base.safetensors")
    worn = load("base")
    (tmp_path / "Lora").mkdir()
    save_file(lora(family, worn.unet.state_dict()), tmp_path / "Lora" / "style.safetensors")
    networks = Networks(loras=[tmp_path / "Lora"], hypernetworks=[], embeddings=[], store=Store(tmp_path / "n.sqlite"))
    applied = networks.apply(worn, split("<lora:style:0.7>")[1])
    assert applied.notes == ()
    request = Merge(primary_model_name="base", interp_method=NOTHING, custom_name="baked", loras=(("style", 0.7),))
    library = Library([tmp_path], Store(tmp_path / "e.sqlite"))
    run.merge(request, library, networks.loras, tmp_path, Quiet())
    before, after = load_file(tmp_path / "base.safetensors"), load_file(tmp_path / "baked.safetensors")
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(changed) == CHANGED[family]
    baked = load("baked")
    parts = [(baked.unet, worn.unet), *zip(baked.text.towers.values(), worn.text.towers.values(), strict=True)]
    for one, other in parts:
        mine, theirs = one.state_dict(), other.state_dict()
        assert all(torch.allclose(mine[name], theirs[name], atol=1e-5) for name in mine)


def test_a_family_that_it_cannot_do_is_told(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    header = opening.header(tmp_path / "x.safetensors")
    other = next(family for family in families.TABLE if family.build != bake.BUILDER)
    assert bake.additions(header, other, []) == {}
    with pytest.raises(BadRequest, match="not possible yet"):
        bake.additions(header, other, [(Files([tmp_path], (".safetensors",)).all()[0], 1.0)])
