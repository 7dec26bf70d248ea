"""IP-Adapter and reference change attention for one job, and put it back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.controlnet import ip_adapter, reference
from modules.core.errors import NotFound
from modules.generate.request import Txt2Img
from tests.extensions.controlnet import nets
from tests.studio import Bench

JOB = Txt2Img(prompt="a cat", negative_prompt="blue", seed=1, subseed=1, width=64, height=64, steps=2)
SEEN, TEXT = 48, 64


def asked(*units: dict[str, Any]) -> Any:
    return dataclasses.replace(JOB, extension_args={"controlnet": list(units)})


def pixels(bench: Bench, request: Any) -> Any:
    return np.asarray(bench.images(request, control_net_no_detectmap=True)[0].convert("RGB")).astype(int)


def unet_of(bench: Bench) -> Any:
    events: list[Any] = []
    remove = bench.moments.sampling.add(events.append, owner="test")
    bench.make(dataclasses.replace(JOB, steps=1))
    remove()
    return events[0].model.unet


def adapter_weights(unet: Any, *, plus: bool) -> dict[str, torch.Tensor]:
    chance = torch.Generator().manual_seed(4)

    def random(*shape: int, scale: float = 0.3) -> torch.Tensor:
        return torch.randn(shape, generator=chance) * scale

    if plus:
        made = {"latents": random(1, 3, 32), "proj_in.weight": random(32, SEEN), "proj_in.bias": random(32)}
        made |= {"proj_out.weight": random(TEXT, 32), "proj_out.bias": random(TEXT)}
        made |= {"norm_out.weight": random(TEXT, scale=1), "norm_out.bias": random(TEXT)}
        made |= {f"layers.0.0.norm{n}.{part}": random(32) for n in (1, 2) for part in ("weight", "bias")}
        made |= {"layers.0.0.to_q.weight": random(64, 32), "layers.0.0.to_kv.weight": random(128, 32)}
        made |= {"layers.0.0.to_out.weight": random(32, 64), "layers.0.1.0.weight": random(32)}
        made |= {"layers.0.1.0.bias": random(32), "layers.0.1.1.weight": random(64, 32)}
        made |= {"layers.0.1.3.weight": random(32, 64)}
    else:
        made = {"proj.weight": random(2 * TEXT, SEEN), "proj.bias": random(2 * TEXT)}
        made |= {"norm.weight": random(TEXT, scale=1), "norm.bias": random(TEXT)}
    found = {f"image_proj.{name}": each for name, each in made.items()}
    for number, layer in ip_adapter.crosses(unet).items():
        for part in ("to_k_ip", "to_v_ip"):
            found[f"ip_adapter.{number}.{part}.weight"] = random(layer.to_k.out_features, TEXT)
    return found


@pytest.fixture(scope="module")
def adapters(controlled: Bench) -> Path:
    """Files of both kinds; the folder of image encoders is empty yet."""
    folder = controlled.folder / "models" / "ControlNet"
    unet = unet_of(controlled)
    for plus in (False, True):
        nets.save(adapter_weights(unet, plus=plus), folder / f"ip-adapter{'-plus' if plus else ''}.safetensors")
    return controlled.folder / "models" / "clip_vision"


def encoder(folder: Path) -> None:
    """A tiny image encoder: width 48, answers 48 wide."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    settings = {"hidden_size": SEEN, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1}
    sizes = {"patch_size": 8, "image_size": 32, "projection_dim": SEEN, "hidden_act": "gelu"}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = CLIPVisionModelWithProjection(CLIPVisionConfig(**settings, **sizes))
    nets.save(made.state_dict(), folder / "tiny.safetensors")


def test_an_ip_adapter_is_put_on_and_taken_off(controlled: Bench, adapters: Path, picture: str) -> None:
    unit = {"module": "ip-adapter-auto", "model": "ip-adapter", "image": picture}
    with pytest.raises(NotFound, match="clip_vision"):
        controlled.make(asked(unit))
    encoder(adapters)
    before = pixels(controlled, JOB)
    processors = [layer.processor for layer in ip_adapter.crosses(unet_of(controlled)).values()]
    seen = {name: pixels(controlled, asked({**unit, "model": name})) for name in ("ip-adapter", "ip-adapter-plus")}
    assert all(np.abs(each - before).max() > 2 for each in seen.values())
    assert not np.array_equal(*seen.values())
    assert np.array_equal(pixels(controlled, asked({**unit, "weight": 0})), before)
    assert np.array_equal(pixels(controlled, asked({**unit, "guidance_start": 0.9})), before)
    assert [layer.processor for layer in ip_adapter.crosses(unet_of(controlled)).values()] == processors
    assert np.array_equal(pixels(controlled, JOB), before)


@torch.inference_mode()
def test_a_layer_adds_attention_to_the_words_of_the_picture(controlled: Bench, adapters: Path) -> None:
    unet = unet_of(controlled)
    adapter = ip_adapter.Adapter(adapter_weights(unet, plus=False), dtype=torch.float32)
    number, layer = next(iter(ip_adapter.crosses(unet).items()))
    states, context = torch.randn(1, 9, layer.to_q.in_features), torch.randn(1, 5, TEXT)
    words = adapter.words(torch.randn(1, SEEN))
    assert words.shape == (1, 2, TEXT)
    plain = layer(states, context)
    shown = ip_adapter.Shown(adapter, 0.5, words)
    with ip_adapter.installed(unet, [shown]):
        found = layer(states, context)
    keys, values = adapter.layer(number)
    query, key, value = layer.to_q(states), words @ keys.T, words @ values.T
    query, key, value = (each.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for each in (query, key, value))
    weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
    more = (weights @ value).transpose(1, 2).flatten(-2) @ layer.to_out[0].weight.T
    assert torch.allclose(found, plain + 0.5 * more, atol=1e-5)
    assert torch.equal(layer(states, context), plain)


@pytest.mark.parametrize("module", ["reference_only", "reference_adain", "reference_adain+attn"])
def test_a_reference_changes_one_job(controlled: Bench, picture: str, module: str) -> None:
    before = pixels(controlled, JOB)
    unit = {"module": module, "image": picture}
    seen = pixels(controlled, asked(unit))
    assert np.abs(seen - before).max() > 2
    assert np.array_equal(pixels(controlled, asked(unit)), seen)
    assert np.array_equal(pixels(controlled, asked({**unit, "weight": 0})), before)
    assert np.array_equal(pixels(controlled, JOB), before)


@torch.inference_mode()
def test_what_was_written_is_looked_at_and_negative_rows_do_without(controlled: Bench) -> None:
    unet = unet_of(controlled)
    layer = reference.attentions(unet)[0]
    memory = reference.Memory(attends=True, normalises=False, weight=1.0, fidelity=1.0)
    other, states = torch.randn(2, 7, layer.to_q.in_features), torch.randn(2, 7, layer.to_q.in_features)
    plain = layer(states)
    with reference.installed(unet, memory):
        memory.writing = True
        layer(other)
        memory.writing, memory.active, memory.wanted = False, True, torch.tensor([True, False])
        found = layer(states)
        wide = layer.processor._before(layer, states, torch.cat([states, other], dim=1))
    assert torch.allclose(found[0], wide[0], atol=1e-6)
    assert torch.allclose(found[1], plain[1], atol=1e-6)
    assert torch.equal(layer(states), plain)


def test_a_picture_is_prepared_as_clip_is_shown_pictures() -> None:
    from extensions.controlnet import vision

    shown = vision._pixels(Image.new("RGB", (40, 20), (255, 0, 0)), 8)
    assert shown.shape == (1, 3, 8, 8)
    expected = [
        (level - mean) / spread for level, mean, spread in zip((1, 0, 0), vision.MEAN, vision.SPREAD, strict=True)
    ]
    assert torch.allclose(shown[0, :, 4, 4], torch.tensor(expected), atol=1e-5)
