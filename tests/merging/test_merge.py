"""Merging: the result is the formula, tensor by tensor; it loads, says where it comes from, and is there or not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modules.core.errors import BadRequest, DamagedFile, Interrupted, NotFound
from modules.core.store import Store
from modules.core.types import JsonObject
from modules.loading import opening
from modules.loading.library import Library
from modules.loading.packed import Packed
from modules.merging import run
from modules.merging.request import DIFFERENCE, NOTHING, SUM, Merge
from modules.networks.files import Files
from tests.loading import gguf_files
from tests.loading.gguf_files import F16, Q8_0
from tests.studio import MODELS

UNET = "model.diffusion_model."
FIRST = f"{UNET}input_blocks.0.0.weight"
IDS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
TINY = load_file(MODELS / "Stable-diffusion" / "tiny-sd1.safetensors")


class Quiet:
    """A Control; stop_at: interrupted after this many tensors."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.steps: list[int] = []
        self.total, self._stop_at = 0, stop_at

    @property
    def interrupted(self) -> bool:
        return self._stop_at is not None and len(self.steps) >= self._stop_at

    def begin(self, *, batches: int, steps: int) -> None:
        self.total = batches * steps

    def step(self, done: int) -> None:
        self.steps.append(done)

    def text(self, text: str) -> None:
        pass


def other(seed: int, *, half: bool = False, channels: int = 4) -> dict[str, Tensor]:
    """Another model of the tiny one's sizes."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {
        name: each + torch.randn(each.shape, generator=generator) * 0.1 if each.is_floating_point() else each + seed
        for name, each in TINY.items()
    }
    if channels > 4:
        shape = (drawn[FIRST].shape[0], channels - 4, 3, 3)
        drawn[FIRST] = torch.cat([drawn[FIRST], torch.randn(shape, generator=generator)], dim=1)
    return {name: each.half() if half and each.is_floating_point() else each for name, each in drawn.items()}


MODELS_MADE: dict[str, Callable[[], dict[str, Tensor]]] = {
    "a": lambda: other(1),
    "b": lambda: other(2),
    "c": lambda: other(3),
    "h": lambda: other(4, half=True),
    "inpaint": lambda: other(5, channels=9),
    "edit": lambda: other(6, channels=8),
}


class Bench:
    """Models a, b, c, … in a folder of their own, and merges of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "models"
        self.folder.mkdir()
        (folder / "VAE").mkdir()
        for name, make in MODELS_MADE.items():
            save_file(make(), self.folder / f"{name}.safetensors", metadata={"format": "pt", "from": name})
        self.library = Library([self.folder], Store(folder / "easel.sqlite"), vae_folders=[folder / "VAE"])
        self.loras = Files([folder / "Lora"], (".safetensors",))

    def merge(self, a: str = "a", b: str = "", c: str = "", control: Quiet | None = None, **more: Any) -> JsonObject:
        names = {"primary_model_name": a, "secondary_model_name": b, "tertiary_model_name": c}
        request = Merge(**{"custom_name": "result", **names, **more})
        assert str(Merge.of_json(json.loads(json.dumps(request.to_json())))) == str(request)  # NaN is not itself
        return run.merge(request, self.library, self.loras, self.folder, control or Quiet())

    def result(self, *models: str, **more: Any) -> dict[str, Tensor]:
        path = Path(self.merge(*models, **more)["path"])
        weights = opening.tensors(path)
        path.unlink()
        self.library.refresh()
        return weights

    def read(self, name: str) -> dict[str, Tensor]:
        return load_file(self.folder / f"{name}.safetensors")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("merge"))


@pytest.fixture(autouse=True)
def _clean(bench: Bench) -> Iterator[None]:
    """What a test leaves behind must not stand in the way of the next."""
    yield
    for path in bench.folder.glob("*"):
        if path.stem not in MODELS_MADE:
            path.unlink()
    bench.library.refresh()


def close(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        ours[name].dtype == theirs[name].dtype and torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours
    )


def takes_part(name: str) -> bool:
    """A1111: what has "model" in its name, but for position ids."""
    return "model" in name and name != IDS


def test_quantized_models_are_unpacked_into_the_result(bench: Bench) -> None:
    """One matrix at a time: what is made is a plain file in float16."""
    a, b = bench.read("a"), bench.read("b")
    some = {name: each for name, each in a.items() if each.is_floating_point() and each.dim() > 0}
    kinds = {name: Q8_0 if each.dim() == 2 and each.shape[1] % 32 == 0 else F16 for name, each in some.items()}
    path = bench.folder / "small.gguf"
    gguf_files.write(path, {name: (kinds[name], each.numpy()) for name, each in some.items()})
    bench.library.refresh()
    small, total = opening.tensors(path), opening.stored(path)
    assert sum(isinstance(each, Packed) for each in total.values()) > 20
    alone = bench.result("small.gguf", interp_method=NOTHING)
    assert close(alone, small)
    assert {each.dtype for each in alone.values()} == {torch.float16}
    half = bench.result("b", "small.gguf", interp_method=SUM, multiplier=0.5)
    name = next(name for name, kind in kinds.items() if kind == Q8_0 and takes_part(name))
    torch.testing.assert_close(half[name], (b[name] + small[name].float()) / 2, rtol=1e-3, atol=1e-3)


def test_weighted_sum(bench: Bench) -> None:
    a, b = bench.read("a"), bench.read("b")
    expected = {name: 0.7 * a[name] + 0.3 * b[name] if takes_part(name) else a[name] for name in a}
    assert close(bench.result("a", "b", interp_method=SUM, multiplier=0.3), expected)


@pytest.mark.parametrize("multiplier", [0.5, 1.0, 1.5])
def test_add_difference(bench: Bench, multiplier: float) -> None:
    a, b, c = (bench.read(name) for name in "abc")
    expected = {name: a[name] + multiplier * (b[name] - c[name]) if takes_part(name) else a[name] for name in a}
    assert close(bench.result("a", "b", "c", interp_method=DIFFERENCE, multiplier=multiplier), expected)


def test_nothing_merged_changes_no_bit(bench: Bench) -> None:
    a = bench.read("a")
    for weights in (
        bench.result("a", interp_method=NOTHING),
        bench.result("a", "b", interp_method=SUM, multiplier=0.0),
        bench.result("a", interp_method=NOTHING, checkpoint_format="ckpt"),
    ):
        assert weights.keys() == a.keys()
        assert all(torch.equal(weights[name], a[name]) for name in a)


def test_types_are_torchs_promotion_and_half_on_demand(bench: Bench) -> None:
    mixed = bench.result("h", "a", multiplier=0.5)
    assert {each.dtype for name, each in mixed.items() if takes_part(name)} == {torch.float32}
    pure = bench.result("h", interp_method=NOTHING)
    assert pure[FIRST].dtype == torch.float16
    half = bench.result("a", "b", save_as_half=True)
    assert {each.dtype for name, each in half.items() if takes_part(name)} == {torch.float16}
    assert half["alphas_cumprod"].dtype == torch.float32
    assert half[IDS].dtype == bench.read("a")[IDS].dtype


@pytest.mark.parametrize(
    ("first", "channels", "suffix"), [("inpaint", 9, "inpainting"), ("edit", 8, "instruct-pix2pix")]
)
def test_a_with_more_input_channels_keeps_them(bench: Bench, first: str, channels: int, suffix: str) -> None:
    answer = bench.merge(first, "b", multiplier=0.25)
    path = Path(answer["path"])
    assert path.name == f"result.{suffix}.safetensors"
    a, b, merged = bench.read(first)[FIRST], bench.read("b")[FIRST], load_file(path)[FIRST]
    recipe = json.loads(opening.header(path).metadata["sd_merge_recipe"])
    assert merged.shape[1] == channels
    assert torch.allclose(merged[:, :4], 0.75 * a[:, :4] + 0.25 * b, atol=1e-6)
    assert torch.equal(merged[:, 4:], a[:, 4:])
    assert (recipe["is_inpainting"], recipe["is_instruct_pix2pix"]) == (channels == 9, channels == 8)


def test_it_is_listed_and_loads(bench: Bench) -> None:
    from modules.core.device import choose
    from modules.loading.shelf import Shelf

    answer = bench.merge("a", "b", custom_name="", checkpoint_format="safetensors")
    assert answer["checkpoint"].startswith("0.7(a) + 0.3(b).safetensors [")
    model = Shelf(choose(use_cpu=["all"])).get(bench.library.find(answer["checkpoint"]))
    assert model.family.id == "sd1"


def test_the_recipe_is_a1111s(bench: Bench) -> None:
    bench.merge("a", "b", custom_name="child")
    second = Path(bench.merge("child", "c", custom_name="grandchild", metadata_json='{"note": {"x": 1}}')["path"])
    metadata = opening.header(second).metadata
    hashes = {name: bench.library.hashed(bench.library.find(name)).sha256 for name in ("a", "b", "c", "child")}
    recipe = json.loads(metadata["sd_merge_recipe"])
    assert recipe == {
        "type": "webui",
        "primary_model_hash": hashes["child"],
        "secondary_model_hash": hashes["c"],
        "tertiary_model_hash": None,
        "interp_method": "Weighted sum",
        "multiplier": 0.3,
        "save_as_half": False,
        "custom_name": "grandchild",
        "config_source": 0,
        "bake_in_vae": "None",
        "discard_weights": "",
        "is_inpainting": False,
        "is_instruct_pix2pix": False,
    }
    models = json.loads(metadata["sd_merge_models"])
    assert set(models) == set(hashes.values())
    assert models[hashes["a"]]["name"] == "a.safetensors"
    assert len(models[hashes["a"]]["legacy_hash"]) == 8
    assert models[hashes["child"]]["sd_merge_recipe"]["custom_name"] == "child"
    assert (metadata["from"], json.loads(metadata["note"])) == ("c", {"x": 1})


@pytest.mark.parametrize(
    ("wish", "keys"),
    [
        ({"save_metadata": False}, set()),
        ({"add_merge_recipe": False}, {"format", "from"}),
        ({"copy_metadata_fields": False}, {"format", "sd_merge_recipe", "sd_merge_models"}),
    ],
)
def test_metadata_as_wished(bench: Bench, wish: dict[str, bool], keys: set[str]) -> None:
    path = Path(bench.merge("a", "b", **wish)["path"])
    assert set(opening.header(path).metadata) == keys


def test_a_vae_is_baked_in(bench: Bench) -> None:
    prefix = "first_stage_model."
    vae = {name.removeprefix(prefix): each * 0.5 for name, each in TINY.items() if name.startswith(prefix)}
    save_file(vae, bench.folder.parent / "VAE" / "other.safetensors")
    save_file({**vae, "decoder.conv_in.weight": torch.zeros(3, 3)}, bench.folder.parent / "VAE" / "odd.safetensors")
    bench.library.refresh()
    merged = bench.result("a", "b", bake_in_vae="other.safetensors")
    plain = bench.result("a", "b")
    assert all(torch.equal(merged[prefix + name], each) for name, each in vae.items())
    assert all(torch.equal(merged[name], each) for name, each in plain.items() if not name.startswith(prefix))
    with pytest.raises(DamagedFile, match=r"odd\.safetensors: this VAE does not fit a\.safetensors"):
        bench.merge("a", bake_in_vae="odd.safetensors", interp_method=NOTHING)


def test_weights_are_left_out_by_name(bench: Bench) -> None:
    answer = bench.merge("a", interp_method=NOTHING, discard_weights="^first_stage_model|cumprod")
    assert "no usable checkpoint" in answer["comments"][0]  # it has no VAE any more
    assert load_file(answer["path"]).keys() == {
        name for name in TINY if not name.startswith("first_stage_model") and "cumprod" not in name
    }


def test_block_weights(bench: Bench) -> None:
    """25 numbers, or one for each block that there is: the same where they name the same blocks."""
    a, b = bench.read("a"), bench.read("b")
    ins = 1 + max(int(name.split(".")[3]) for name in a if name.startswith(f"{UNET}input_blocks."))
    outs = 1 + max(int(name.split(".")[3]) for name in a if name.startswith(f"{UNET}output_blocks."))
    usual = [0.01 * place for place in range(25)]
    short = usual[:ins] + usual[12:13] + usual[13 : 13 + outs]
    expected = {
        FIRST: 0.0,
        f"{UNET}input_blocks.1.0.in_layers.2.weight": 0.01,
        f"{UNET}middle_block.0.in_layers.2.weight": 0.12,
        f"{UNET}output_blocks.2.0.in_layers.2.weight": 0.15,
        f"{UNET}time_embed.0.weight": 0.0,
        "first_stage_model.decoder.conv_in.weight": 0.5,
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": 0.5,
    }
    for weights in (usual, short):
        merged = bench.result("a", "b", multiplier=0.5, block_weights=tuple(weights))
        for name, share in expected.items():
            assert torch.allclose(merged[name], (1 - share) * a[name] + share * b[name], atol=1e-6), name
        share = weights[-1]
        name = f"{UNET}out.2.weight"
        assert torch.allclose(merged[name], (1 - share) * a[name] + share * b[name], atol=1e-6)


def test_loras_are_baked_in_as_networks_put_them_on(bench: Bench, tmp_path: Path) -> None:
    """The file with the LoRA in it is the model with the LoRA on it."""
    from modules.core.device import choose
    from modules.loading.shelf import Shelf
    from modules.networks.apply import Networks
    from modules.prompts.network_tags import split
    from tests.studio import NETWORKS

    for name in ("tiny-lora", "tiny-locon", "tiny-dora"):
        if not (NETWORKS / "Lora" / f"{name}.safetensors").exists():
            pytest.skip("the reference's LoRA files are absent")
    networks = Networks(
        loras=[NETWORKS / "Lora"], hypernetworks=[], embeddings=[], store=Store(tmp_path / "networks.sqlite")
    )
    wanted = (("tiny-lora", 0.5), ("tiny-dora", 1.0), ("tiny-locon", -0.3))
    bench.loras = networks.loras
    path = Path(bench.merge("a", interp_method=NOTHING, loras=wanted)["path"])
    baked = Shelf(choose(use_cpu=["all"])).get(bench.library.find("result"))
    worn = Shelf(choose(use_cpu=["all"])).get(bench.library.find("a"))
    networks.apply(worn, split("".join(f"<lora:{name}:{strength}>" for name, strength in wanted))[1])
    parts = [(baked.unet, worn.unet), *zip(baked.text.towers.values(), worn.text.towers.values(), strict=True)]
    for one, another in parts:
        mine, theirs = one.state_dict(), another.state_dict()
        assert all(torch.allclose(mine[name], theirs[name], atol=1e-5) for name in mine)
    own, weights = bench.read("a"), load_file(path)
    changed = {name.split(".")[0] for name in own if not torch.equal(own[name], weights[name])}
    assert changed == {"model", "cond_stage_model"}
    recipe = json.loads(opening.header(path).metadata["sd_merge_recipe"])
    assert recipe["loras"] == [list(each) for each in wanted]


def test_configs_are_copied(bench: Bench) -> None:
    (bench.folder / "b.yaml").write_text("model: b")
    for source, expected in ((0, True), (1, True), (2, False), (3, False)):
        path = Path(bench.merge("a", "b", config_source=source)["path"])
        assert path.with_suffix(".yaml").exists() == expected
        path.with_suffix(".yaml").unlink(missing_ok=True)
        path.unlink()
    (bench.folder / "b.yaml").unlink()


def test_progress_and_interruption(bench: Bench) -> None:
    before = set(bench.folder.iterdir())
    control = Quiet(stop_at=20)
    with pytest.raises(Interrupted):
        bench.merge("a", "b", control=control)
    assert (control.steps, control.total) == (list(range(1, 21)), len(TINY))
    assert set(bench.folder.iterdir()) == before


def test_what_a_killed_merge_left_goes_with_the_next(bench: Bench) -> None:
    """But for what is so new that somebody may be writing it."""
    old, new = bench.folder / ".easel-1.tmp", bench.folder / ".easel-2.tmp"
    old.touch()
    new.touch()
    hours_ago = new.stat().st_mtime - 2 * run.STALE_SECONDS
    os.utime(old, (hours_ago, hours_ago))
    bench.merge("a", interp_method=NOTHING)
    assert (old.exists(), new.exists()) == (False, True)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"a": ""}, "primary_model_name", "needs a primary model"),
    ({"a": "a"}, "secondary_model_name", "needs a secondary model"),
    ({"a": "a", "b": "b", "interp_method": DIFFERENCE}, "tertiary_model_name", "needs a tertiary model"),
    ({"a": "a", "b": "b", "interp_method": "Mean"}, "interp_method", "none of"),
    ({"a": "a", "b": "inpaint"}, "secondary_model_name", "make it A"),
    ({"a": "inpaint", "b": "edit"}, "secondary_model_name", "different sizes"),
    ({"a": "a", "b": "b", "multiplier": float("nan")}, "multiplier", "finite"),
    ({"a": "a", "b": "b", "discard_weights": "("}, "discard_weights", "regular expression"),
    ({"a": "a", "b": "b", "discard_weights": "."}, "discard_weights", "nothing would be left"),
    ({"a": "a", "b": "b", "custom_name": "../x"}, "custom_name", "plain file name"),
    ({"a": "a", "b": "b", "custom_name": "c"}, "custom_name", "exists already"),
    ({"a": "a", "b": "b", "metadata_json": "["}, "metadata_json", "not JSON"),
    ({"a": "a", "b": "b", "block_weights": (1.0, 2.0)}, "block_weights", "2 numbers"),
    ({"a": "a", "b": "b", "checkpoint_format": "gguf"}, "checkpoint_format", "none of"),
    ({"a": "a", "b": "b", "config_source": 7}, "config_source", "0 "),
]


@pytest.mark.parametrize(("wish", "field", "says"), REFUSED)
def test_what_cannot_be_merged_is_told_by_field(bench: Bench, wish: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        bench.merge(**wish)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"a": "nothing", "b": "b"}, "primary_model_name"),
        ({"a": "a", "b": "nothing"}, "secondary_model_name"),
        ({"a": "a", "b": "b", "bake_in_vae": "nothing"}, "bake_in_vae"),
        ({"a": "a", "b": "b", "loras": (("nothing", 1.0),)}, "loras"),
    ],
)
def test_unknown_names_are_told_by_field(bench: Bench, wish: dict[str, Any], field: str) -> None:
    with pytest.raises(NotFound) as caught:
        bench.merge(**wish)
    assert caught.value.field == field
