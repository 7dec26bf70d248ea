"""A network under the original's names is that file with changed numbers, though one matrix may be several here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.core.store import Store
from modules.networks import deltas
from modules.networks.apply import Networks
from modules.networks.names import UNET, Place, place
from modules.prompts.network_tags import split
from tests.generate.transformers import TransformerBench
from tests.loading.mmdit import families

FAMILIES = ("sd3.5 whole", "flux dev apart", "chroma apart", "flux2 klein apart", "lumina apart", "z-image apart")
STYLES = {
    "kohya": ("lora_unet_", "_", "lora_down", "lora_up"),
    "original": ("diffusion_model.", ".", "lora_A", "lora_B"),
}
RANK, MODEL = 2, "Stable-diffusion/tiny.safetensors"


def bench(folder: Path, name: str, weights: dict[str, Tensor] | None = None) -> TransformerBench:
    files = families.FAMILIES[name]()
    if weights is not None:
        files = families.Files(family=files.family, weights={**files.weights, MODEL: weights}, others=files.others)
    folder.mkdir()
    return TransformerBench(folder, files)


def denoisers(weights: dict[str, Tensor]) -> dict[str, str]:
    """Matrices of the denoiser: name in the file -> name below its beginning."""
    prefix = "model.diffusion_model."
    below = {name: name.removeprefix(prefix) for name in weights if name.startswith(prefix)} or {n: n for n in weights}
    wanted = (".qkv.", ".linear1.", ".proj.", "_mlp.", "mlp.", "lin.", "feed_forward.", ".out.", "final_layer.")
    return {
        name: short
        for name, short in below.items()
        if weights[name].dim() == 2 and name.endswith(".weight") and any(mark in short for mark in wanted)
    }


def state(studio: TransformerBench) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in studio.model.unet.state_dict().items()}


def networks(folder: Path) -> Networks:
    return Networks(loras=[folder], hypernetworks=[], embeddings=[], store=Store(folder / "networks.sqlite"))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_on_the_originals_names_is_the_changed_file(name: str, tmp_path: Path) -> None:
    weights = dict(families.FAMILIES[name]().weights[MODEL])
    generator = torch.Generator().manual_seed(0)
    prefix, dot, down, up = STYLES["kohya" if FAMILIES.index(name) % 2 else "original"]
    lora: dict[str, Tensor] = {}
    for long, short in denoisers(weights).items():
        rows, columns = weights[long].shape
        first, second = torch.randn(RANK, columns, generator=generator), torch.randn(rows, RANK, generator=generator)
        layer = prefix + short.removesuffix(".weight").replace(".", dot)
        lora |= {f"{layer}.{down}.weight": first, f"{layer}.{up}.weight": second}
        weights[long] = weights[long] + 0.1 * second @ first
    assert len(lora) >= 20
    plain, changed = bench(tmp_path / "plain", name), bench(tmp_path / "changed", name, weights)
    save_file(lora, tmp_path / "style.safetensors")
    found, before = networks(tmp_path), state(plain)
    applied = found.apply(plain.model, split("<lora:style:0.1>")[1])
    assert applied.notes == ()
    for path, tensor in state(changed).items():
        torch.testing.assert_close(plain.model.unet.state_dict()[path], tensor, atol=1e-4, rtol=1e-4)
    found.apply(plain.model, ())
    assert all(torch.equal(tensor, before[path]) for path, tensor in state(plain).items())


def test_kinds_that_need_the_whole_weight_are_refused(tmp_path: Path) -> None:
    studio = bench(tmp_path / "bench", "flux dev apart")
    layer = "lora_unet_double_blocks_0_img_attn_qkv"
    config: Any = studio.model.unet.config
    width = config.num_attention_heads * config.attention_head_dim
    save_file({f"{layer}.oft_diag": torch.eye(3).repeat(width, 1, 1)}, tmp_path / "turned.safetensors")
    notes = networks(tmp_path).apply(studio.model, split("<lora:turned:1>")[1]).notes
    assert "OFT" in notes[0]


@pytest.mark.parametrize("make", ["lora", "loha", "full"])
def test_parts_side_by_side_are_the_whole(make: str) -> None:
    def cut(tensor: Tensor) -> Any:
        return torch.split(tensor, [4, 2, 6])

    some: dict[str, deltas.Delta] = {
        "lora": deltas.LoRA(up=torch.randn(12, 2), down=torch.randn(2, 5), scale=0.5),
        "loha": deltas.LoHa(
            w1_a=torch.randn(12, 2), w1_b=torch.randn(2, 5), w2_a=torch.randn(12, 2), w2_b=torch.randn(2, 5)
        ),
        "full": deltas.Difference(difference=torch.randn(12, 5)),
    }
    whole = some[make].delta(torch.zeros(12, 5))
    parts = deltas.parted(some[make], cut, (4, 2, 6))
    found = [part.delta(torch.zeros(rows, 5)) for part, rows in zip(parts, (4, 2, 6), strict=True)]
    torch.testing.assert_close(torch.cat(found), whole)
    with pytest.raises(ValueError, match="rows"):
        deltas.parted(some["lora"], cut, (4, 4, 6))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("double_blocks.0.img_attn.qkv.lora_A.weight", Place(UNET, "double_blocks_0_img_attn_qkv", "down")),
        ("double_blocks.3.processor.qkv_lora2.up.weight", Place(UNET, "double_blocks_3_txt_attn_qkv", "up")),
        ("lycoris_transformer_blocks_0_attn_to_q.lokr_w1", Place(UNET, "transformer_blocks_0_attn_to_q", "lokr_w1")),
        ("lora_te3_encoder_block_0_layer_0_SelfAttention_q.alpha",
         Place("text3", "encoder_block_0_layer_0_SelfAttention_q", "alpha")),
    ],
)  # fmt: skip
def test_dialects_of_transformers(name: str, expected: Place) -> None:
    assert place(name) == expected


def test_t5_beside_flux_is_reached_as_the_third_encoder(tmp_path: Path) -> None:
    studio = bench(tmp_path / "bench", "flux dev apart")
    layer = "lora_te3_encoder_block_0_layer_0_SelfAttention_o"
    inner = studio.model.text.towers["text2"].get_parameter("model.encoder.block.0.layer.0.SelfAttention.o.weight")
    parts = {"lora_down": torch.ones(1, inner.shape[1]), "lora_up": torch.ones(inner.shape[0], 1)}
    save_file({f"{layer}.{part}.weight": tensor for part, tensor in parts.items()}, tmp_path / "words.safetensors")
    before = inner.clone()
    assert networks(tmp_path).apply(studio.model, split("<lora:words:1>")[1]).notes == ()
    torch.testing.assert_close(inner.data, before + 1)


def test_a_misfit_is_told(tmp_path: Path) -> None:
    studio = bench(tmp_path / "bench", "flux dev apart")
    layer = "lora_unet_double_blocks_0_img_attn_qkv"
    save_file(
        {f"{layer}.lora_down.weight": torch.ones(2, 8), f"{layer}.lora_up.weight": torch.ones(8, 2)},
        tmp_path / "small.safetensors",
    )
    notes = networks(tmp_path).apply(studio.model, split("<lora:small:1>")[1]).notes
    assert "8 rows" in notes[0]
