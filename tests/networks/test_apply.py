"""Laws of networks on a model: nothing left behind, nothing done twice, nothing broken by a bad file."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from modules.core.errors import BadRequest
from modules.core.store import Store
from modules.generate.request import Txt2Img
from modules.loading.text import TextEncoder
from modules.networks.apply import Applied, How, Networks, mentioned
from modules.prompts.chunks import TextPolicy, Word, Words
from modules.prompts.network_tags import split
from tests.networks import made
from tests.studio import NETWORKS, Bench

SMALL: dict[str, Any] = {"steps": 1, "width": 64, "height": 64, "seed": 5}
reference = pytest.mark.skipif(not (NETWORKS / "Lora").is_dir(), reason="the reference's LoRA files are absent")


@pytest.fixture(scope="module", params=[torch.float32, torch.float16], ids=["float32", "float16"])
def model(request: pytest.FixtureRequest, bench: Bench) -> Any:
    """A copy of the tiny model's parts that networks act on, in a number format."""
    original = bench.studio.shelf.get(bench.library.find("tiny-sd1"))
    device = torch.device("cpu")
    tower = copy.deepcopy(original.text.towers["text"]).to(request.param)
    return SimpleNamespace(
        unet=copy.deepcopy(original.unet).to(request.param),
        text=TextEncoder(tower, device),
        placement=dataclasses.replace(original.placement, dtype=request.param),
        rules=(),
    )


@pytest.fixture
def networks(tmp_path: Path) -> Networks:
    return Networks(
        loras=[tmp_path / "Lora", NETWORKS / "Lora"],
        hypernetworks=[tmp_path / "hypernetworks", NETWORKS / "hypernetworks"],
        embeddings=[tmp_path / "embeddings"],
        store=Store(tmp_path / "test.sqlite"),
    )


@pytest.fixture(autouse=True)
def _clean(networks: Networks, model: Any) -> Iterator[None]:
    yield
    networks.apply(model, ())


def bits(model: Any) -> str:
    """A fingerprint of every bit of the weights, and which tensors there are."""
    digest = hashlib.sha256()
    for root in (model.unet, model.text.towers["text"]):
        for name, tensor in root.state_dict().items():
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def apply(networks: Networks, model: Any, prompt: str) -> Applied:
    return networks.apply(model, split(prompt)[1])


def test_nothing_is_left_behind(networks: Networks, model: Any, tmp_path: Path) -> None:
    made.lora(tmp_path / "Lora", "a")
    before = bits(model)
    apply(networks, model, "<lora:a:0.7>")
    assert bits(model) != before
    networks.apply(model, ())
    assert bits(model) == before


def test_going_to_another_set_and_back_is_the_same_set(networks: Networks, model: Any, tmp_path: Path) -> None:
    made.lora(tmp_path / "Lora", "a")
    made.lora(tmp_path / "Lora", "b", seed=1)
    apply(networks, model, "<lora:a:0.7><lora:b:0.1>")
    there = bits(model)
    apply(networks, model, "<lora:b:-2>")
    assert bits(model) != there
    apply(networks, model, "<lora:a:0.7><lora:b:0.1>")
    assert bits(model) == there


@reference
@pytest.mark.parametrize("kind", ["lora", "locon", "loha", "lokr", "dora", "full", "ia3", "oft"])
def test_every_kind_changes_weights_and_leaves_none_changed(networks: Networks, model: Any, kind: str) -> None:
    before = bits(model)
    assert apply(networks, model, f"<lora:tiny-{kind}:0.8>").notes == ()
    assert bits(model) != before
    networks.apply(model, ())
    assert bits(model) == before


def test_weights_are_base_plus_strength_times_delta(networks: Networks, model: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    parts = load_file(made.lora(tmp_path / "Lora", "a"))
    layer = model.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
    tower = model.text.towers["text"].encoder.layers[0].self_attn.q_proj
    before, text_before = layer.weight.float().clone(), tower.weight.float().clone()
    apply(networks, model, "<lora:a:0.25:0.5>")
    for weight, base, name, strength in (
        (layer.weight, before, made.TO_Q, 0.5),
        (tower.weight, text_before, made.Q_PROJ, 0.25),
    ):
        delta = parts[f"{name}.lora_up.weight"] @ parts[f"{name}.lora_down.weight"] / 2  # alpha 1, rank 2
        torch.testing.assert_close(weight, (base + strength * delta).to(weight.dtype))


def test_a_lora_named_twice_counts_twice_with_its_last_strengths(
    networks: Networks, model: Any, tmp_path: Path
) -> None:
    made.lora(tmp_path / "Lora", "a")
    assert "more than once" in apply(networks, model, "<lora:a:0.5><lora:a:0.25:0.75>").notes[0]
    twice = bits(model)
    assert apply(networks, model, "<lora:a:0.25:0.75><lora:a:0.25:0.75>").notes == ()
    assert bits(model) == twice
    apply(networks, model, "<lora:a:0.5><lora:a:0.3>")
    assert bits(model) != twice


def test_at_strength_0_a_half_file_rounds_weights_and_a_lora_does_nothing(
    networks: Networks, model: Any, tmp_path: Path
) -> None:
    """As A1111, which adds nothing to weights rounded to the file's precision."""
    made.written(tmp_path / "Lora", "half", {f"{made.TO_Q}.diff": torch.ones(32, 32, dtype=torch.bfloat16)})
    made.lora(tmp_path / "Lora", "a")
    layer = model.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
    before, base = bits(model), layer.weight.detach().clone()
    apply(networks, model, "<lora:half:0>")
    assert torch.equal(layer.weight, base.bfloat16().to(base.dtype))
    apply(networks, model, "<lora:a:0>")
    assert bits(model) == before


def test_what_fills_up_prompts_knows_of_no_network(networks: Networks, model: Any, tmp_path: Path) -> None:
    made.lora(tmp_path / "Lora", "a")
    policy = TextPolicy()
    assert networks.blank(model, policy) is None
    alone = model.text.encode("", policy)
    apply(networks, model, "<lora:a:0.7>")
    changed, there = model.text.encode("", policy), bits(model)
    assert not torch.equal(changed, alone)
    for _ in range(2):
        found = networks.blank(model, policy)
        assert found is not None
        assert torch.equal(found, alone)
        assert bits(model) == there
        assert torch.equal(model.text.encode("", policy), changed)
    networks.apply(model, ())
    assert networks.blank(model, policy) is None


def test_an_unchanged_wish_is_no_work(networks: Networks, model: Any, tmp_path: Path) -> None:
    path = made.lora(tmp_path / "Lora", "a")
    first = apply(networks, model, "<lora:a:0.7>")
    tensors = [tensor.data_ptr() for tensor in model.unet.parameters()]
    times = path.stat()
    path.write_bytes(bytes(path.stat().st_size))  # it would not load again
    import os

    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert apply(networks, model, "<lora:a:0.7>") is first
    assert [tensor.data_ptr() for tensor in model.unet.parameters()] == tensors


def test_conditioning_is_encoded_anew_only_if_the_text_encoder_changed(
    networks: Networks, model: Any, tmp_path: Path
) -> None:
    made.lora(tmp_path / "Lora", "a")
    networks.apply(model, ())
    plain = model.text.encode("a cat", TextPolicy())
    apply(networks, model, "<lora:a:0:0.5>")
    assert model.text.encode("a cat", TextPolicy()).data_ptr() == plain.data_ptr()
    apply(networks, model, "<lora:a:0.5>")
    assert not torch.equal(model.text.encode("a cat", TextPolicy()), plain)
    networks.apply(model, ())
    assert torch.equal(model.text.encode("a cat", TextPolicy()), plain)


def broken(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "noise.safetensors").write_bytes(b"\x07" * 500)
    (folder / "noise-pickle.pt").write_bytes(b"\x07" * 500)
    whole = made.lora(folder, "whole").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[:-100])
    made.written(folder, "nan", {f"{made.TO_Q}.diff": torch.full((32, 32), float("nan"))})
    made.written(folder, "parts", {f"{made.TO_Q}.lora_up.weight": torch.ones(32, 2)})
    made.written(folder, "shape", {f"{made.TO_Q}.diff": torch.ones(5, 5)})
    made.written(folder, "nobody", {"emb_params": torch.ones(1, 64)})
    torch.save({"x": pytest.fail}, folder / "code.pt")


@pytest.mark.parametrize(
    "name", ["empty", "noise", "noise-pickle", "cut", "nan", "parts", "shape", "nobody", "code", "nosuch"]
)
def test_a_bad_file_is_told_and_the_others_are_applied(
    networks: Networks, model: Any, tmp_path: Path, name: str
) -> None:
    broken(tmp_path / "Lora")
    before = bits(model)
    apply(networks, model, "<lora:whole:0.5>")
    whole = bits(model)
    applied = apply(networks, model, f"<lora:{name}:1><lora:whole:0.5>")
    assert bits(model) == whole
    (note,) = applied.notes
    assert name in note
    assert [loaded for loaded, _ in applied.loras] == ["whole"]
    networks.apply(model, ())
    assert bits(model) == before


def test_a_failure_halfway_leaves_the_model_at_its_base(networks: Networks, model: Any, tmp_path: Path) -> None:
    """A wish that cannot be fulfilled for want of memory, say, is undone, and the next one starts from the base."""
    from modules.networks.deltas import Difference
    from modules.networks.merge import Merge, Target
    from modules.networks.names import UNET, Layer, Layers

    layers = Layers({UNET: model.unet})
    good, bad = (layers.find(UNET, key) for key in ("conv_in", "conv_out"))
    assert isinstance(good, Layer)
    assert isinstance(bad, Layer)
    before, merge = bits(model), Merge(torch.device("cpu"))
    terms = {
        Target(good, "weight"): [(1.0, Difference(difference=torch.ones_like(good.weight)))],
        Target(bad, "weight"): [(1.0, Difference(difference=torch.ones(3)))],
    }
    with pytest.raises(RuntimeError):
        merge.set(terms)
    assert bits(model) == before
    assert not merge.changed


def test_a_layer_without_bias_gets_one_and_loses_it(networks: Networks, model: Any, tmp_path: Path) -> None:
    made.written(tmp_path / "Lora", "bias", {f"{made.TO_Q}.diff_b": torch.ones(32)})
    layer = model.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
    assert apply(networks, model, "<lora:bias:0.5>").notes == ()
    assert layer.bias is not None
    assert torch.equal(layer.bias.float(), torch.full((32,), 0.5))
    networks.apply(model, ())
    assert layer.bias is None


def test_a_bias_beside_a_lora_is_left_out_as_in_a1111_unless_the_option_wants_it(
    networks: Networks, model: Any, tmp_path: Path
) -> None:
    """A1111 reads it beside a full difference only."""
    bias = {f"{made.TO_Q}.diff_b": torch.ones(32)}
    made.lora(tmp_path / "Lora", "a", **bias)
    made.written(tmp_path / "Lora", "full", {f"{made.TO_Q}.diff": torch.ones(32, 32), **bias})
    layer = model.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
    found: list[Tensor | None] = []
    for prompt, how in (("<lora:a:1>", How()), ("<lora:a:1>", How(biases=True)), ("<lora:full:1>", How())):
        networks.apply(model, split(prompt)[1], how)
        found.append(layer.bias)
    assert found[0] is None
    assert all(bias is not None and torch.equal(bias.float(), torch.ones(32)) for bias in found[1:])


@pytest.mark.parametrize(
    ("metadata", "family"),
    [
        ({"ss_base_model_version": "sdxl_base_v1-0"}, "Stable Diffusion XL"),
        ({"ss_v2": "True"}, "Stable Diffusion 2"),
        ({"modelspec.architecture": "stable-diffusion-3-medium/lora"}, "Stable Diffusion 3"),
        ({}, "Stable Diffusion XL"),
    ],
)
def test_a_lora_of_another_family_is_told(
    networks: Networks, model: Any, tmp_path: Path, metadata: dict[str, str], family: str
) -> None:
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors: dict[str, Tensor] = {
        f"{name}.lora_up.weight": torch.ones(640, 4),
        f"{name}.lora_down.weight": torch.ones(4, 2048),
    }
    made.written(tmp_path / "Lora", "foreign", tensors, metadata)
    before = bits(model)
    (note,) = apply(networks, model, "<lora:foreign:1>").notes
    assert family in note
    assert bits(model) == before


def test_words_inside_a_lora_come_and_go_with_it(networks: Networks, model: Any, tmp_path: Path) -> None:
    made.lora(tmp_path / "Lora", "a", **{"bundle_emb.zorblax.string_to_param.*": torch.ones(3, 64)})
    plain = model.text.encode("zorblax", TextPolicy())
    applied = apply(networks, model, "<lora:a:0>")
    assert applied.bundled == {"zorblax"}
    assert not torch.equal(model.text.encode("zorblax", TextPolicy()), plain)
    networks.apply(model, ())
    assert torch.equal(model.text.encode("zorblax", TextPolicy()), plain)


def test_words_are_named_once_in_their_order() -> None:
    words = Words([Word("cat", (2368,), 1), Word("dog", (1929,), 1)])
    assert mentioned(["a dog", "cat dog"], words, TextPolicy()) == ["dog", "cat"]


@reference
def test_settings_add_networks_to_every_prompt(bench: Bench) -> None:
    chosen = {"sd_lora": "tiny-lora", "sd_hypernetwork": "tinyhyper", "extra_networks_default_multiplier": 0.8}
    added = bench.make(Txt2Img(prompt="a cat", **SMALL), **chosen)
    assert added["info"]["prompt"] == "a cat<hypernet:tinyhyper:0.8><lora:tiny-lora:0.8>"
    given = bench.make(Txt2Img(prompt="a cat <lora:tiny-lora:0>", **SMALL), sd_lora="tiny-lora")
    assert given["info"]["prompt"] == "a cat <lora:tiny-lora:0>"


@reference
def test_infotexts_name_what_was_used_unless_settings_say_no(bench: Bench) -> None:
    request = Txt2Img(prompt="tinyti <lora:tiny-lora:0.5>", negative_prompt="tinyti2", **SMALL)
    (full,) = bench.make(request)["info"]["infotexts"]
    assert 'Lora hashes: "tiny-lora: c47549552ebd"' in full
    assert 'TI hashes: "tinyti: 4c811a763a76, tinyti2: aefa19c7da77"' in full
    off = {"lora_add_hashes_to_infotext": False, "textual_inversion_add_hashes_to_infotext": False}
    (bare,) = bench.make(request, **off)["info"]["infotexts"]
    assert "hashes" not in bare


@reference
def test_a_textual_inversion_of_another_width_is_told_where_it_is_used(bench: Bench) -> None:
    (note,) = bench.make(Txt2Img(prompt="a tinytixl cat", **SMALL))["comments"]
    assert "tinytixl" in note
    assert "64 + 64" in note
    assert bench.make(Txt2Img(prompt="a cat", **SMALL))["comments"] == []


def test_absurd_strengths_are_told_and_the_next_job_is_well(bench: Bench) -> None:
    made.lora(bench.folder / "Lora", "strong")
    plain = bench.make(Txt2Img(prompt="a cat", **SMALL))
    with pytest.raises(BadRequest, match=r"not finite.*<lora:strong:1e38> is too strong"):
        bench.make(Txt2Img(prompt="a cat <lora:strong:1e38>", **SMALL))
    again = bench.make(Txt2Img(prompt="a cat", **SMALL))
    paths = [Path(result["pictures"][0]["path"]) for result in (plain, again)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_as_many_files_as_wanted_stay_in_memory(networks: Networks, model: Any, tmp_path: Path) -> None:
    from modules.networks.apply import How

    paths = [made.lora(tmp_path / "Lora", name, seed=seed) for seed, name in enumerate("abc")]
    for how, expected in ((How(in_memory=1), ["b", "c"]), (How(in_memory=9), ["b", "c", "a"]), (How(), ["c"])):
        for name in ("a", "b", "c") if how.in_memory == 1 else ("a",) if how.in_memory else ("c",):
            networks.apply(model, split(f"<lora:{name}:1>")[1], how)
        assert [file.name for file in networks._state(model).networks] == expected
    assert all(path.is_file() for path in paths)


def test_what_is_left_out_is_logged_where_that_is_wanted(
    networks: Networks, model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from modules.networks.apply import How

    networks.apply(model, split("<lora:nowhere:1>")[1])
    assert "nowhere" not in caplog.text
    networks.apply(model, split("<lora:neither:1>")[1], How(told=True))
    assert "neither" in caplog.text
