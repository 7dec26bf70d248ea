"""The library: every file is either usable or listed with its reason, and is found under all of A1111's names."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from modules.core.errors import DamagedFile, NoCheckpoint, NotFound
from modules.core.store import Store
from modules.loading.library import Library
from tests.loading.safetensors_files import tensors, write
from tests.studio import MODELS

TINY = MODELS / "Stable-diffusion" / "tiny-sd1.safetensors"
SHA256 = "b856c004a287a871ecb20d03f3bafc43174c95a030f1cf8d5c3abc5a3d12e9d9"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models = tmp_path / "models"
    (models / "deep" / "er").mkdir(parents=True)
    shutil.copyfile(TINY, models / "deep" / "er" / "tiny.safetensors")
    return models


@pytest.fixture
def library_of(tmp_path: Path) -> Callable[..., Library]:
    store = Store(tmp_path / "easel.sqlite")
    return lambda *folders, **more: Library(folders, store, **more)


def test_sub_folders_are_scanned_and_named(folder: Path, library_of: Callable[..., Library]) -> None:
    (entry,) = library_of(folder).checkpoints()
    assert (entry.name, entry.model_name, entry.short_name) == (
        "deep/er/tiny.safetensors",
        "deep_er_tiny",
        "tiny",
    )
    assert (entry.family, entry.problem, entry.hash) == ("sd1", None, None)


def test_hashes_are_worked_out_once_and_kept(folder: Path, library_of: Callable[..., Library]) -> None:
    library = library_of(folder)
    entry = library.hashed(library.checkpoints()[0])
    assert (entry.sha256, entry.hash) == (SHA256, SHA256[:10])
    assert entry.title == "deep/er/tiny.safetensors [b856c004a2]"
    assert library_of(folder).checkpoints()[0].sha256 == SHA256


def test_a_changed_file_has_another_hash(folder: Path, library_of: Callable[..., Library]) -> None:
    library = library_of(folder)
    library.hashed(library.checkpoints()[0])
    path = folder / "deep" / "er" / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(1, 1))
    library.refresh()
    entry = library.checkpoints()[0]
    assert entry.sha256 is None
    assert library.hashed(entry).sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != SHA256


def test_no_hashing(folder: Path, library_of: Callable[..., Library]) -> None:
    library = library_of(folder, hashing=False)
    assert library.hashed(library.checkpoints()[0]).sha256 is None


def test_every_spelling_finds_it(folder: Path, library_of: Callable[..., Library]) -> None:
    library = library_of(folder)
    entry = library.hashed(library.checkpoints()[0])
    for name in (
        entry.title,
        entry.name,
        entry.model_name,
        "tiny",
        "TINY.safetensors",
        SHA256,
        SHA256[:10],
        "deep/er/tiny.safetensors [0000000000]",
        str(entry.path),
    ):
        assert library.find(name) == entry


def test_unknown_names_are_answered_with_the_nearest(folder: Path, library_of: Callable[..., Library]) -> None:
    with pytest.raises(NotFound, match=r'"deep/er/tinny".*"deep/er/tiny.safetensors"'):
        library_of(folder).find("deep/er/tinny")


def test_unusable_files_are_listed_with_the_reason(folder: Path, library_of: Callable[..., Library]) -> None:
    whole = TINY.read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[:-100])
    (folder / "empty.safetensors").touch()
    (folder / "old.ckpt").write_bytes(b"PK\x03\x04")
    (folder / "gone.safetensors").symlink_to(folder / "nowhere")
    (folder / "readme.txt").write_text("no model")
    (folder / "good.vae.safetensors").write_bytes(whole)
    header, data = tensors({"lora_unet_down.lora_up.weight": (2, 2)})
    write(folder / "lora.safetensors", header, data)
    library = library_of(folder)
    problems = {entry.name: entry.problem or "" for entry in library.problems()}
    assert {name: name in problem for name, problem in problems.items()} == dict.fromkeys(
        ("cut.safetensors", "empty.safetensors", "gone.safetensors", "lora.safetensors", "old.ckpt"), True
    )
    assert "100 bytes are missing" in problems["cut.safetensors"]
    assert "models/Lora" in problems["lora.safetensors"]
    assert [entry.name for entry in library.checkpoints()] == ["deep/er/tiny.safetensors"]
    with pytest.raises(DamagedFile, match="bytes are missing"):
        library.find("cut")


def test_other_families_are_recognised(tmp_path: Path, library_of: Callable[..., Library]) -> None:
    unet = {"model.diffusion_model.input_blocks.0.0.weight": (32, 4, 3, 3)}
    files = {
        "sdxl": {**unet, "conditioner.embedders.0.x": (1,), "conditioner.embedders.1.model.x": (1,)},
        "sdxl-refiner": {**unet, "conditioner.embedders.0.model.x": (1,)},
        "sd2": {**unet, "cond_stage_model.model.x": (1,)},
        "sd2-depth": {**unet, "cond_stage_model.model.x": (1,), "depth_model.x": (1,)},
        "sd2-unclip": {**unet, "cond_stage_model.model.x": (1,), "embedder.model.x": (1,)},
    }
    for name, shapes in files.items():
        write(tmp_path / f"{name}.safetensors", *tensors(shapes))
    library = library_of(tmp_path)
    found = [*library.checkpoints(), *library.problems()]
    assert {entry.name: entry.family for entry in found} == {f"{name}.safetensors": name for name in files}
    assert [entry.name for entry in library.problems()] == ["sd2-depth.safetensors"]


def test_an_unknown_number_of_input_channels_is_told(tmp_path: Path, library_of: Callable[..., Library]) -> None:
    shapes = {"model.diffusion_model.input_blocks.0.0.weight": (32, 7, 3, 3), "cond_stage_model.model.x": (1,)}
    write(tmp_path / "odd.safetensors", *tensors(shapes))
    (entry,) = library_of(tmp_path).problems()
    assert "7 input channels" in (entry.problem or "")


def test_a_refresh_finds_new_files_and_forgets_old_ones(folder: Path, library_of: Callable[..., Library]) -> None:
    library = library_of(folder)
    shutil.copyfile(TINY, folder / "second.safetensors")
    shutil.rmtree(folder / "deep")
    library.refresh()
    assert [entry.name for entry in library.checkpoints()] == ["second.safetensors"]


def test_a_link_that_leads_back_up_does_not_trap_the_scan(folder: Path, library_of: Callable[..., Library]) -> None:
    (folder / "deep" / "loop").symlink_to(folder)
    assert len(library_of(folder).checkpoints()) == 1


def test_without_any_file_the_way_out_is_told(tmp_path: Path, library_of: Callable[..., Library]) -> None:
    library = library_of(tmp_path / "nothing-here")
    assert library.checkpoints() == library.problems() == []
    with pytest.raises(NoCheckpoint, match="nothing-here"):
        library.chosen(None)


def test_a_single_file_beside_the_folders(tmp_path: Path, library_of: Callable[..., Library]) -> None:
    library = library_of(tmp_path, files=[TINY])
    assert library.find(str(TINY)).name == "tiny-sd1.safetensors"


def test_the_native_size_is_what_the_file_tells_or_its_familys(
    tmp_path: Path, library_of: Callable[..., Library]
) -> None:
    weights = load_file(TINY)
    for name, told in (("a", "128x128"), ("b", "nonsense"), ("c", "0x0")):
        save_file(weights, tmp_path / f"{name}.safetensors", {"modelspec.resolution": told})
    library = library_of(tmp_path)
    assert [entry.native_size for entry in library.checkpoints()] == [128, 512, 512]
    (tmp_path / "a.safetensors").unlink()
    assert library.find("a").native_size == 512  # gone since the scan


def test_the_guidance_is_what_the_file_asks_for_or_the_usual(
    tmp_path: Path, library_of: Callable[..., Library]
) -> None:
    weights = load_file(TINY)
    for name, told in (("a", "1.5"), ("b", "nonsense"), ("c", "0"), ("d", "nan"), ("e", "1000")):
        save_file(weights, tmp_path / f"{name}.safetensors", {"easel.cfg_scale": told})
    library = library_of(tmp_path)
    assert [entry.guidance for entry in library.checkpoints()] == [1.5, 7, 7, 7, 7]
    (tmp_path / "a.safetensors").unlink()
    assert library.find("a").guidance == 7  # gone since the scan
