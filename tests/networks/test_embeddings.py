"""Laws of textual inversion: every form of file gives the same vectors; words stand where their vectors stand."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file

from modules.loading.text import TextEncoder
from modules.networks.embeddings import Embedding, Embeddings
from modules.prompts import tokens
from modules.prompts.chunks import TextPolicy
from tests.studio import Bench

VECTORS = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
TRAINED = {"string_to_token": {"*": 265}, "string_to_param": {"*": VECTORS}, "name": "inner", "step": 7}
JSON = json.dumps({"string_to_param": {"*": {"TORCHTENSOR": VECTORS.tolist()}}, "name": "inner"}).encode()


def a1111(path: Path) -> None:
    torch.save(TRAINED, path)


def parameters(path: Path) -> None:
    holder = torch.nn.ParameterDict({"*": torch.nn.Parameter(VECTORS)})
    torch.save({**TRAINED, "string_to_param": holder}, path)


def diffusers(path: Path) -> None:
    torch.save({"<concept>": VECTORS}, path)


def single(path: Path) -> None:
    save_file({"emb_params": VECTORS}, path)


def text_chunk(path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("sd-ti-embedding", base64.b64encode(JSON).decode())
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)


def pixels(path: Path) -> None:
    """As A1111 hides them: low and high halves of the compressed bytes beside the picture, scrambled."""
    data = np.frombuffer(zlib.compress(JSON, 9), dtype=np.uint8)
    height = 64
    width = -(-len(data) // (height * 3))
    padded = np.resize(data, height * width * 3)
    states = [0]
    for _ in range(padded.size):
        states.append((1664525 * states[-1] + 1013904223) % 2**32)
    mask = np.array([state % 255 & 0x0F for state in states[1:]], dtype=np.uint8)
    low, high = ((half ^ mask | 0x50).reshape(height, width, 3) for half in (padded & 0x0F, padded >> 4))
    black = np.zeros((height, 1, 3), dtype=np.uint8)
    middle = np.full((height, 32, 3), 201, dtype=np.uint8)
    whole = np.concatenate([low, black, middle, black, high], axis=1)
    Image.fromarray(np.pad(whole, ((3, 3), (3, 3), (0, 0)))).save(path)


FORMS: dict[str, Any] = {
    "word.pt": a1111,
    "word2.pt": parameters,
    "word.bin": diffusers,
    "word.safetensors": single,
    "inner.png": text_chunk,
    "inner2.png": pixels,
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_vectors(tmp_path: Path, name: str) -> None:
    FORMS[name](tmp_path / name)
    (found,) = Embeddings([tmp_path]).scan()
    assert torch.equal(found.vectors["clip_l"], VECTORS)
    assert found.name == ("inner" if name.endswith(".png") else Path(name).stem)
    assert found.misfit((64,)) is None
    assert "64" in (found.misfit((768,)) or "")


def test_pairs_of_towers_fit_no_single_tower(tmp_path: Path) -> None:
    save_file({"clip_l": VECTORS, "clip_g": VECTORS[:, :32].contiguous()}, tmp_path / "pair.safetensors")
    (found,) = Embeddings([tmp_path]).scan()
    assert found.misfit((64,)) is not None
    assert found.count == 3


def test_what_is_no_textual_inversion_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "noise.pt").write_bytes(b"noise")
    (tmp_path / "noise.png").write_bytes(b"noise")
    Image.new("RGB", (64, 64), (9, 9, 9)).save(tmp_path / "picture.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    torch.save([VECTORS], tmp_path / "list.pt")
    torch.save({"a": VECTORS, "b": VECTORS}, tmp_path / "two.pt")
    torch.save({"a": VECTORS * float("nan")}, tmp_path / "nan.pt")
    torch.save({"a": pytest.fail}, tmp_path / "code.pt")
    assert Embeddings([tmp_path]).scan() == []


def test_files_are_read_once_and_new_ones_are_seen(tmp_path: Path) -> None:
    embeddings = Embeddings([tmp_path])
    a1111(tmp_path / "one.pt")
    (first,) = embeddings.scan()
    single(tmp_path / "two.safetensors")
    again = embeddings.scan()
    assert again[0] is first
    assert [each.name for each in again] == ["one", "two"]
    (tmp_path / "one.pt").unlink()
    assert [each.name for each in embeddings.scan()] == ["two"]


@pytest.fixture
def encoder(bench: Bench) -> TextEncoder:
    model = bench.studio.shelf.get(bench.library.find("tiny-sd1"))
    return TextEncoder(model.text.towers["text"], torch.device("cpu"))


def test_a_word_with_a_tokens_own_vector_is_that_token(encoder: TextEncoder) -> None:
    table = encoder.tower.get_parameter("embeddings.token_embedding.weight").detach()
    plain = encoder.encode("a red (cat:1.3), dog", TextPolicy())
    encoder.learn({"zorblax": torch.stack([table[id] for id in tokens.encode("red cat")])})
    assert not torch.equal(encoder.encode("a zorblax dog", TextPolicy()), encoder.encode("a dog", TextPolicy()))
    expected = encoder.encode("red cat dog", TextPolicy())
    torch.testing.assert_close(encoder.encode("ZORBLAX dog", TextPolicy()), expected)
    encoder.learn({"zorblax": table[tokens.encode("cat")]})
    torch.testing.assert_close(encoder.encode("a red (zorblax:1.3), dog", TextPolicy()), plain)


def test_nothing_stays_on_the_encoder(encoder: TextEncoder) -> None:
    plain = encoder.encode("a zorblax", TextPolicy())
    encoder.learn({"zorblax": VECTORS})
    other = encoder.encode("a zorblax", TextPolicy())
    encoder.learn({})
    assert not torch.equal(plain, other)
    assert torch.equal(encoder.encode("a zorblax", TextPolicy()), plain)


def test_the_same_words_again_keep_what_is_encoded(encoder: TextEncoder) -> None:
    encoder.learn({"zorblax": VECTORS})
    kept = encoder.encode("a zorblax", TextPolicy())
    encoder.learn({"zorblax": VECTORS})
    assert encoder.encode("a zorblax", TextPolicy()).data_ptr() == kept.data_ptr()


def test_too_many_vectors_fit_no_model(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(76, 64)}, tmp_path / "long.pt")
    (found,) = Embeddings([tmp_path]).scan()
    assert isinstance(found, Embedding)
    assert "76" in (found.misfit((64,)) or "")
