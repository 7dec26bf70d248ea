"""Which VAE a checkpoint gets: A1111's rules, told by files; and a swap that leaves no trace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.core.device import choose
from modules.core.errors import DamagedFile, EaselError, NotFound
from modules.core.store import Store
from modules.loading.library import Library
from modules.loading.shelf import Shelf
from modules.loading.vaes import Vaes
from tests.studio import MODELS

TINY = MODELS / "Stable-diffusion" / "tiny-sd1.safetensors"
PREFIX = "first_stage_model."
DEFAULTS = {"sd_vae": "Automatic", "sd_vae_overrides_per_model_preferences": True}


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Another VAE than the checkpoint's own, in its sizes."""
    own = {name.removeprefix(PREFIX): each for name, each in load_file(TINY).items() if name.startswith(PREFIX)}
    return {name: each * 0.9 if each.is_floating_point() else each for name, each in own.items()}


@pytest.fixture
def world(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Callable[..., Library]:
    """A checkpoint models/m.safetensors, and VAE files where the test wants them (paths below the folder)."""
    (tmp_path / "models").mkdir()
    (tmp_path / "VAE").mkdir()
    shutil.copyfile(TINY, tmp_path / "models" / "m.safetensors")

    def make(*files: str, **more: Any) -> Library:
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            save_file(weights, tmp_path / file)
        store = Store(tmp_path / "easel.sqlite")
        return Library([tmp_path / "models"], store, vae_folders=[tmp_path / "VAE"], **more)

    return make


def chosen(library: Library, **options: Any) -> str | None:
    found = library.vaes.chosen(library.checkpoints()[0].path, {**DEFAULTS, **options})
    return found.name if found else None


def names(vaes: Vaes) -> list[str]:
    return [entry.name for entry in vaes.all()]


def test_files_are_found_in_both_places_in_natural_order(world: Callable[..., Library]) -> None:
    library = world("VAE/v10.safetensors", "VAE/deep/v2.safetensors", "models/other.vae.safetensors")
    assert names(library.vaes) == ["other.vae.safetensors", "v2.safetensors", "v10.safetensors"]
    assert [entry.name for entry in library.checkpoints()] == ["m.safetensors"]


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        ([], {}, None),
        (["VAE/other.safetensors"], {}, None),
        (["models/m.vae.safetensors"], {}, "m.vae.safetensors"),
        (["VAE/m.safetensors"], {}, "m.safetensors"),
        (["VAE/m-late.safetensors"], {}, "m-late.safetensors"),
        (["VAE/m-late.safetensors", "VAE/m.safetensors"], {}, "m.safetensors"),
        (["models/m.vae.safetensors"], {"sd_vae": "None"}, None),
        (["models/m.vae.safetensors", "VAE/b.safetensors"], {"sd_vae": "b.safetensors"}, "b.safetensors"),
        (["VAE/b.safetensors"], {"sd_vae": "B"}, "b.safetensors"),
        (["models/m.vae.safetensors"], {"sd_vae": "auto"}, "m.vae.safetensors"),
        (
            ["VAE/b.safetensors"],
            {"sd_vae": "b.safetensors", "sd_vae_overrides_per_model_preferences": False},
            "b.safetensors",
        ),
    ],
)
def test_a1111s_choice(
    world: Callable[..., Library], files: list[str], options: dict[str, Any], expected: str | None
) -> None:
    assert chosen(world(*files), **options) == expected


@pytest.mark.parametrize(
    ("wish", "overrides", "setting", "expected"),
    [
        ("b.safetensors", True, "Automatic", "b.safetensors"),
        ("b.safetensors", True, "a.safetensors", "a.safetensors"),
        ("b.safetensors", False, "a.safetensors", "b.safetensors"),
        ("None", False, "a.safetensors", None),
        ("Automatic", False, "a.safetensors", "a.safetensors"),
        ("gone.safetensors", False, "a.safetensors", "a.safetensors"),
    ],
)
def test_a_preference_written_beside_the_checkpoint(
    tmp_path: Path, world: Callable[..., Library], wish: str, overrides: bool, setting: str, expected: str | None
) -> None:
    library = world("VAE/a.safetensors", "VAE/b.safetensors")
    (tmp_path / "models" / "m.json").write_text(json.dumps({"vae": wish}))
    assert chosen(library, sd_vae=setting, sd_vae_overrides_per_model_preferences=overrides) == expected


def test_one_file_for_every_checkpoint(tmp_path: Path, world: Callable[..., Library]) -> None:
    world("VAE/a.safetensors")
    fixed = tmp_path / "VAE" / "a.safetensors"
    assert chosen(world(vae_file=fixed), sd_vae="None") == "a.safetensors"
    with pytest.raises(EaselError, match=r"--vae-path .*nowhere"):
        world(vae_file=tmp_path / "nowhere.pt")


def test_what_cannot_be_had_is_told_by_name(tmp_path: Path, world: Callable[..., Library]) -> None:
    library = world("VAE/good.safetensors")
    with pytest.raises(NotFound, match=r'VAE "good.safetensor".*"good.safetensors"') as caught:
        chosen(library, sd_vae="good.safetensor")
    assert caught.value.field == "sd_vae"
    (tmp_path / "VAE" / "cut.safetensors").write_bytes(b"abc")
    save_file({"x": torch.zeros(1)}, tmp_path / "VAE" / "text.safetensors")
    library.refresh()
    assert names(library.vaes) == ["good.safetensors"]
    assert [entry.name for entry in library.vaes.problems()] == ["cut.safetensors", "text.safetensors"]
    with pytest.raises(DamagedFile, match=r"text\.safetensors: holds no VAE"):
        chosen(library, sd_vae="text.safetensors")


def test_hashes_are_kept(tmp_path: Path, world: Callable[..., Library]) -> None:
    library = world("VAE/a.safetensors")
    entry = library.vaes.hashed(library.vaes.find("a"))
    assert entry is not None
    assert entry.sha256 is not None
    assert entry.hash == entry.sha256[:10]
    assert world().vaes.hashed(world().vaes.find(entry.hash or "")) == entry
    unhashed = world(hashing=False).vaes
    assert unhashed.hashed(unhashed.find("a")) == entry  # known already, so it costs nothing


LATENT = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(1))


def test_a_swap_and_back_changes_no_bit(tmp_path: Path, world: Callable[..., Library]) -> None:
    library = world("VAE/other.safetensors")
    shelf = Shelf(choose(use_cpu=["all"]))
    checkpoint, other = library.checkpoints()[0], library.vaes.find("other")
    model = shelf.get(checkpoint)
    own, before = model.vae.network, model.vae.decode(LATENT)
    assert shelf.get(checkpoint, vae=other).vae is model.vae
    swapped = model.vae.decode(LATENT)
    assert not torch.equal(swapped, before)
    network = model.vae.network
    assert shelf.get(checkpoint, vae=other).vae.network is network  # asked again: no work
    assert shelf.get(checkpoint).vae.network is own
    assert torch.equal(model.vae.decode(LATENT), before)
    assert torch.equal(shelf.get(checkpoint, vae=other).vae.decode(LATENT), swapped)


def test_vaes_stay_in_memory_as_many_as_the_option_says(world: Callable[..., Library]) -> None:
    library = world("VAE/a.safetensors", "VAE/b.safetensors", "VAE/c.safetensors")
    shelf = Shelf(choose(use_cpu=["all"]))

    def network(name: str, keep: int) -> torch.nn.Module:
        return shelf.get(library.checkpoints()[0], vae=library.vaes.find(name), keep_vaes=keep).vae.network

    first = network("a", 1)
    assert network("b", 1) is not first
    assert network("a", 1) is first
    network("b", 1)
    network("c", 1)
    assert network("a", 1) is not first


def test_files_as_trainers_and_diffusers_write_them(
    tmp_path: Path, world: Callable[..., Library], weights: dict[str, torch.Tensor]
) -> None:
    """Prefixed, pickled, with leftovers of training, or under diffusers' names: the same pictures."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    library = world("VAE/plain.safetensors")
    shelf = Shelf(choose(use_cpu=["all"]))
    model = shelf.get(library.checkpoints()[0], vae=library.vaes.find("plain"))
    expected, config = model.vae.decode(LATENT), dict(model.vae.network.config)
    training = {"loss.logvar": torch.zeros(()), "model_ema.decay": torch.zeros(())}
    save_file({PREFIX + name: each for name, each in weights.items()}, tmp_path / "VAE" / "prefixed.safetensors")
    torch.save({"state_dict": {**weights, **training}}, tmp_path / "VAE" / "pickled.pt")
    renamed = {name: each.contiguous() for name, each in convert_ldm_vae_checkpoint(dict(weights), config).items()}
    save_file(renamed, tmp_path / "VAE" / "diffusers.safetensors")
    library.refresh()
    for name in ("prefixed", "pickled", "diffusers"):
        model = shelf.get(library.checkpoints()[0], vae=library.vaes.find(name))
        assert torch.equal(model.vae.decode(LATENT), expected), name


def test_a_vae_of_another_latent_space_is_refused(
    tmp_path: Path, world: Callable[..., Library], weights: dict[str, torch.Tensor]
) -> None:
    library = world("VAE/a.safetensors")
    narrow = {**weights, "decoder.conv_in.weight": weights["decoder.conv_in.weight"].repeat(1, 4, 1, 1)}
    save_file(narrow, tmp_path / "VAE" / "wide.safetensors")
    del narrow["decoder.conv_out.weight"]
    save_file(
        {**narrow, "decoder.conv_in.weight": weights["decoder.conv_in.weight"]}, tmp_path / "VAE" / "part.safetensors"
    )
    library.refresh()
    shelf = Shelf(choose(use_cpu=["all"]))
    for name, says in (("wide", "16 channels"), ("part", "not a complete VAE")):
        with pytest.raises(DamagedFile, match=says):
            shelf.get(library.checkpoints()[0], vae=library.vaes.find(name))
    assert shelf.get(library.checkpoints()[0]).vae.decode(LATENT).shape == (3, 64, 64)


def test_an_overflow_is_told_once() -> None:
    """float16 breaks where numbers pass 65504; the answer of float32 and a remark come instead."""
    from modules.loading.families import SD_LATENT
    from modules.loading.vae import Vae, wider

    class Loud(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor(60000.0, dtype=torch.float16))

        def decode(self, raw: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
            return ((raw.repeat(1, 1, 8, 8)[:, :3] * self.gain) / 1e6,)

    vae = Vae(Loud(), SD_LATENT)
    assert torch.isfinite(vae.decode(LATENT)).all()
    assert "overflowed in float16 and runs in float32" in vae.told()[0]
    vae.decode(LATENT)
    assert vae.told() == ()
    other = Vae(Loud(), SD_LATENT, wider=wider({"auto_vae_precision_bfloat16": True, "auto_vae_precision": False}))
    assert torch.isfinite(other.decode(LATENT)).all()
    assert "runs in bfloat16" in other.told()[0]
    strict = Vae(Loud(), SD_LATENT, wider=wider({"auto_vae_precision_bfloat16": False, "auto_vae_precision": False}))
    with pytest.raises(EaselError, match=r"float16\. Turn auto_vae_precision on"):
        strict.decode(LATENT)
