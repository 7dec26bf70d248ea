"""Models of quantized files: packed they take the file's size in memory, and make the latents of the unpacked ones,
with a LoRA too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modules.generate.request import Txt2Img
from modules.loading import packed
from tests.generate.transformers import TransformerBench
from tests.loading import bitsandbytes_files, gguf_files
from tests.loading.gguf_files import F32, Q8_0
from tests.loading.mmdit import families
from tests.loading.mmdit.families import Files
from tests.studio import MODELS

MODEL, ENCODER = "Stable-diffusion/tiny.safetensors", "text_encoder/t5xxl.safetensors"
ASKED = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5, "cfg_scale": 1.5}


def gguf(weights: Mapping[str, Tensor], path: Path) -> None:
    """Matrices whose rows are whole blocks in 8 bits, the rest whole."""
    small = {name for name, each in weights.items() if each.dim() == 2 and each.shape[1] % 32 == 0}
    numbers = {name: (Q8_0 if name in small else F32, each.float().numpy()) for name, each in weights.items()}
    gguf_files.write(path, numbers)


def nf4(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same with the matrices of its blocks in 4 bits."""
    result = dict(weights)
    for name in [name for name in weights if "block" in name and weights[name].dim() == 2]:
        small, _ = bitsandbytes_files.packed(name, result.pop(name).float(), nested=True)
        result |= small
    return result


def sd1() -> Files:
    """The tiny model of the reference as one .gguf file."""
    weights = load_file(MODELS / "Stable-diffusion" / "tiny-sd1.safetensors")
    plain = {name: each for name, each in weights.items() if each.is_floating_point()}
    return Files(family="sd1", weights={}, others={"Stable-diffusion/tiny.gguf": functools.partial(gguf, plain)})


def flux() -> Files:
    """A transformer in 8 bits as .gguf, its T5 encoder in 4 bits of bitsandbytes."""
    files = families.FAMILIES["flux dev apart"]()
    weights = dict(files.weights)
    transformer = functools.partial(gguf, weights.pop(MODEL))
    encoder = next(place for place in weights if "t5" in place)
    weights[encoder] = nf4(weights[encoder])
    return Files(family="flux", weights=weights, others={**files.others, "Stable-diffusion/tiny.gguf": transformer})


def lora(layer: str, rows: int, columns: int, path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    down, up = torch.randn(2, columns, generator=generator), torch.randn(rows, 2, generator=generator)
    save_file({f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}, path)


LORAS: Mapping[str, tuple[str, str, int]] = {
    "sd1": (
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_v",
        "mid_block.attentions.0.transformer_blocks.0.attn1.to_v",
        1,
    ),
    "flux": ("lora_unet_double_blocks_0_img_attn_qkv", "transformer_blocks.0.attn.to_q", 3),
}
"""Where the LoRA goes: its name, the layer here (the first of so many that are one matrix in the file)."""


@pytest.mark.parametrize("make", [sd1, flux])
def test_packed_is_unpacked_in_less_memory(make: Callable[[], Files], tmp_path: Path) -> None:
    files = make()
    bench = TransformerBench(tmp_path, files)
    assert bench.library.checkpoints()[0].family == files.family
    asked, model = Txt2Img(**ASKED), bench.model
    networks = (model.unet, *model.text.towers.values())
    sizes, first = [packed.size(network) for network in networks], bench.see(asked)
    file = next((tmp_path / "models").rglob("tiny.gguf"))
    assert packed.size(model.unet) <= 1.05 * file.stat().st_size
    small = [each for network in networks for each in network.parameters() if isinstance(each, packed.Packed)]
    assert len(small) > 10
    name, path, count = LORAS[files.family]
    layer = model.unet.get_submodule(path)
    rows, columns = layer.weight.shape  # type: ignore[misc]
    lora(name, count * rows, columns, tmp_path / "Lora" / "small.safetensors")
    wearing = Txt2Img(**{**ASKED, "prompt": "a cat <lora:small:1>"})
    changed = bench.see(wearing)
    assert (changed.latents - first.latents).abs().max() > 1e-3
    assert [packed.size(network) for network in networks] == sizes
    assert torch.equal(bench.see(asked).latents, first.latents)
    assert [packed.size(network) for network in networks] == sizes

    whole = bench.see(asked, quantized_weights="Unpacked")
    torch.testing.assert_close(whole.latents, first.latents, rtol=1e-4, atol=1e-4)
    again = bench.see(wearing, quantized_weights="Unpacked")
    torch.testing.assert_close(again.latents, changed.latents, rtol=1e-4, atol=1e-4)
    loaded = bench.studio.shelf.get(bench.library.find(bench.name), packed=False)
    assert not any(isinstance(each, packed.Packed) for each in loaded.unet.parameters())
    assert packed.size(loaded.unet) > (1.3 if files.family == "sd1" else 2) * sizes[0]  # convolutions are whole
