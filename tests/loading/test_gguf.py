"""Laws of GGUF files: each type unpacks to what the gguf package unpacks (`data/gguf_blocks.npz` is its answer to
random blocks); names and shapes come from the header alone; what is broken is refused with its name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.core.errors import DamagedFile
from modules.loading import gguf, opening
from modules.loading.gguf_blocks import KINDS, Blocks, Kind
from tests.generate.transformers import TransformerBench
from tests.loading import gguf_files
from tests.loading.gguf_files import F16, F32, Q8_0, write
from tests.loading.mmdit import families

GOLDEN = np.load(Path(__file__).parent / "data" / "gguf_blocks.npz")


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if f"{kind.name}_raw" in GOLDEN], ids=lambda kind: kind.name
)
def test_each_type_is_what_the_gguf_package_says(kind: Kind) -> None:
    raw, wanted = (torch.from_numpy(GOLDEN[f"{kind.name}_{part}"]) for part in ("raw", "val"))
    if kind.dtype is None:
        found = Blocks(kind).numbers({"bytes": raw.clone()}, tuple(wanted.shape), torch.float32)
    else:
        found = raw.clone().view(kind.dtype).reshape(wanted.shape)
    assert torch.allclose(found.float(), wanted, rtol=1e-3, atol=1e-6)


def test_every_type_is_covered() -> None:
    assert {kind.name for kind in KINDS.values()} == {name[:-4] for name in GOLDEN if name.endswith("_raw")} | {
        "F32",
        "F16",
    }


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_shapes_and_numbers_come_back(tmp_path: Path) -> None:
    whole, half, small = numbers(3, 5), numbers(7, seed=1), numbers(4, 64, seed=2)
    path = write(tmp_path / "x.gguf", {"a.weight": (F32, whole), "a.bias": (F16, half), "b.weight": (Q8_0, small)})
    facts = opening.header(path)
    assert {name: info.shape for name, info in facts.tensors.items()} == {
        "a.weight": (3, 5),
        "a.bias": (7,),
        "b.weight": (4, 64),
    }
    assert facts.metadata["general.architecture"] == "flux"
    found = opening.tensors(path)
    assert torch.equal(found["a.weight"], torch.from_numpy(whole))
    assert torch.allclose(found["a.bias"].float(), torch.from_numpy(half), atol=2e-3)
    assert torch.allclose(found["b.weight"].float(), torch.from_numpy(small), atol=float(np.abs(small).max()) / 100)


def test_a_t5_encoder_gets_its_own_names_back(tmp_path: Path) -> None:
    names = ("enc.blk.0.attn_q.weight", "enc.blk.0.ffn_gate.weight", "token_embd.weight", "enc.output_norm.weight")
    path = write(tmp_path / "t5.gguf", {name: (F32, numbers(2, 2)) for name in names})
    assert list(opening.header(path).tensors) == [
        "encoder.block.0.layer.0.SelfAttention.q.weight",
        "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
        "shared.weight",
        "encoder.final_layer_norm.weight",
    ]


QWEN = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.o_proj": "attn_output",
    **{f"self_attn.{part}_proj": f"attn_{part}" for part in "qkv"},
    **{f"self_attn.{part}_norm": f"attn_{part}_norm" for part in "qk"},
    **{f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")},
}
"""Names of transformers' and of llama.cpp's."""


@pytest.mark.parametrize(("name", "architecture"), [("z-image apart", "qwen3"), ("qwen-image apart", "qwen2vl")])
def test_a_qwen_reads_prompts_from_such_a_file(name: str, architecture: str, tmp_path: Path) -> None:
    files = families.FAMILIES[name]()
    place = next(each for each in files.weights if each.startswith("text_encoder/"))
    weights = {own: each for own, each in files.weights[place].items() if "visual" not in own and "lm_head" not in own}

    def renamed(own: str) -> str:
        layer, _, ending = own.replace("model.layers.", "blk.").rpartition(".")
        head, block, inner = layer.partition(".")
        number, _, part = inner.partition(".")
        return f"{QWEN[layer]}.{ending}" if head != "blk" else f"blk{block}{number}.{QWEN[part]}.{ending}"

    def written(path: Path) -> None:
        tensors = {renamed(own): (F32, each.float().numpy()) for own, each in weights.items()}
        write(path, tensors, {"general.architecture": architecture})

    rest = {own: each for own, each in files.weights.items() if own != place}
    others = {**files.others, "text_encoder/encoder.gguf": written}
    bench = TransformerBench(tmp_path, families.Files(family=files.family, weights=rest, others=others))
    state = next(iter(bench.model.text.towers.values())).state_dict()
    assert len(weights) > 20
    assert all(torch.equal(state[own], each.float()) for own, each in weights.items())


def type_at(data: bytes) -> int:
    """Where the number of the only tensor's type stands: behind its name and two sides."""
    return data.index(b"a.weight") + len(b"a.weight") + 4 + 16


def whole_file(tmp_path: Path) -> bytes:
    return write(tmp_path / "whole.gguf", {"a.weight": (F32, numbers(8, 8))}).read_bytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: b"", "0 bytes are too few"),
        (lambda data: b"GGML" + data[4:], "not a .gguf file"),
        (lambda data: data[:4] + struct.pack("<I", 9) + data[8:], "version 9"),
        (lambda data: data[:40], "ends inside its header"),
        (lambda data: data[:8] + struct.pack("<Q", 2**60) + data[16:], "speaks of"),
        (lambda data: data[:-100], "ends inside the tensor a.weight"),
        (lambda data: data[: type_at(data)] + b"M" + data[type_at(data) + 1 :], "GGUF type 77 are not read"),
    ],
)
def test_what_is_broken_is_refused_by_name(change: Callable[[bytes], bytes], says: str, tmp_path: Path) -> None:
    (tmp_path / "odd.gguf").write_bytes(change(whole_file(tmp_path)))
    with pytest.raises(DamagedFile, match=rf"odd\.gguf: .*{says}"):
        gguf.tensors(tmp_path / "odd.gguf")


def test_one_scale_serves_32_numbers() -> None:
    """The helper's own law: without it the test above would compare nothing."""
    raw = gguf_files.stored(Q8_0, np.linspace(-1, 1, 32, dtype=np.float32))
    assert len(raw) == 34
