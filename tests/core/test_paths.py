"""modules.core.paths: A1111's layout, what the flags move, and folders that cannot be written."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from modules.core.errors import EaselError
from modules.core.paths import Paths

UPSCALERS = ("ESRGAN", "RealESRGAN", "BSRGAN", "DAT", "HAT", "ScuNET", "SwinIR")


def several(value: Path | tuple[Path, ...] | Mapping[str, tuple[Path, ...]]) -> tuple[Path, ...]:
    """The folders of a field, whether it has one, some, or some by name."""
    if isinstance(value, Mapping):
        return tuple(path for paths in value.values() for path in paths)
    return value if isinstance(value, tuple) else (value,)


def test_making_paths_touches_nothing(tmp_path: Path) -> None:
    Paths.make(root=tmp_path / "easel", data_dir=tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_every_path_is_absolute_and_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = Paths.make(root=".", data_dir="a/../b", ckpt_dir="~/models", config="c.json", styles=["one.csv", "two.csv"])
    for field in dataclasses.fields(paths):
        for path in several(getattr(paths, field.name)):
            assert path.is_absolute(), field.name
            assert ".." not in path.parts, field.name
            assert "~" not in path.parts, field.name
    assert paths.data == tmp_path / "b"


def test_the_default_layout_is_a1111s(tmp_path: Path) -> None:
    paths = Paths.make(root=tmp_path)
    inside = {
        field.name: [str(path.relative_to(tmp_path)) for path in several(getattr(paths, field.name))]
        for field in dataclasses.fields(paths)
    }
    assert inside == {
        "root": ["."],
        "data": ["."],
        "models": ["models"],
        "checkpoints": ["models/Stable-diffusion"],
        "vae": ["models/VAE"],
        "text_encoders": ["models/text_encoder"],
        "loras": ["models/Lora"],
        "embeddings": ["embeddings"],
        "hypernetworks": ["models/hypernetworks"],
        "upscalers": [f"models/{name}" for name in UPSCALERS],
        "faces": ["models/GFPGAN", "models/Codeformer"],
        "outputs": ["outputs"],
        "extensions": ["extensions"],
        "shipped_extensions": ["extensions"],
        "config": ["config.json"],
        "ui_config": ["ui-config.json"],
        "styles": ["styles.csv"],
        "database": ["easel.sqlite"],
        "results": ["cache/results"],
        "inputs": ["cache/inputs"],
        "unfinished": ["cache/unfinished"],
    }


def test_a_data_folder_takes_everything_but_the_programs_own(tmp_path: Path) -> None:
    paths = Paths.make(root=tmp_path / "easel", data_dir=tmp_path / "data")
    assert paths.shipped_extensions == tmp_path / "easel/extensions"
    for path in (paths.models, paths.outputs, paths.extensions, paths.config, paths.database, *paths.embeddings):
        assert tmp_path / "data" in path.parents


def test_flags_add_to_or_replace_folders_as_in_a1111(tmp_path: Path) -> None:
    paths = Paths.make(
        root=tmp_path,
        models_dir=tmp_path / "m",
        ckpt_dir=tmp_path / "ckpt",
        vae_dir=tmp_path / "vae",
        lora_dir=tmp_path / "lora",
        embeddings_dir=tmp_path / "emb",
        hypernetwork_dir=tmp_path / "hyper",
        upscaler_dirs={"ESRGAN": tmp_path / "esrgan", "GFPGAN": tmp_path / "gfpgan", "DAT": None},
    )
    assert paths.upscalers["ESRGAN"] == (tmp_path / "m/ESRGAN", tmp_path / "esrgan")
    assert paths.upscalers["DAT"] == (tmp_path / "m/DAT",)
    assert paths.faces["GFPGAN"] == (tmp_path / "m/GFPGAN", tmp_path / "gfpgan")
    assert paths.checkpoints == (tmp_path / "m/Stable-diffusion", tmp_path / "ckpt")
    assert paths.vae == (tmp_path / "m/VAE", tmp_path / "vae")
    assert paths.loras == (tmp_path / "lora",)
    assert paths.embeddings == (tmp_path / "emb",)
    assert paths.hypernetworks == (tmp_path / "hyper",)


def test_a_folder_named_twice_is_searched_once(tmp_path: Path) -> None:
    paths = Paths.make(root=tmp_path, ckpt_dir=tmp_path / "models/Stable-diffusion")
    assert paths.checkpoints == (tmp_path / "models/Stable-diffusion",)


def test_models_embeddings_and_lycoris_are_searched_when_they_exist(tmp_path: Path) -> None:
    (tmp_path / "models/embeddings").mkdir(parents=True)
    (tmp_path / "models/LyCORIS").mkdir()
    paths = Paths.make(root=tmp_path)
    assert paths.embeddings == (tmp_path / "embeddings", tmp_path / "models/embeddings")
    assert paths.loras == (tmp_path / "models/Lora", tmp_path / "models/LyCORIS")


def test_empty_flags_mean_the_default(tmp_path: Path) -> None:
    assert Paths.make(root=tmp_path, data_dir="", ckpt_dir="", config="", styles=[]) == Paths.make(root=tmp_path)


def test_ensure_makes_what_is_written_and_leaves_the_users_folders(tmp_path: Path) -> None:
    paths = Paths.make(
        root=tmp_path / "easel",
        data_dir=tmp_path / "data",
        ckpt_dir=tmp_path / "elsewhere",
        models_dir=tmp_path / "shared",
        config=tmp_path / "settings/config.json",
    )
    paths.ensure()
    paths.ensure()
    made = (paths.data, paths.outputs, paths.results, paths.extensions, paths.config.parent, paths.embeddings[0])
    assert all(folder.is_dir() for folder in made)
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "shared").exists()
    Paths.make(root=tmp_path / "fresh").ensure()
    assert (tmp_path / "fresh/models/Stable-diffusion").is_dir()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(EaselError, match=r"outputs cannot be made.*--data-dir"):
        Paths.make(root=tmp_path).ensure()


@pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX")
@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_that_may_not_be_written_is_named(fresh: bool) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if not fresh:
            Paths.make(root=folder).ensure()
            (folder / "outputs").chmod(0o555)
        folder.chmod(0o555)
        with pytest.raises(EaselError, match=r"--data-dir, or change its permissions"):
            _as_nobody(Paths.make(root=folder))
        folder.chmod(0o755)


def _as_nobody(paths: Paths) -> None:
    """`ensure` by somebody else than root, whom no permission stops (os.access asks for the real user)."""
    was = os.getuid()
    try:
        if was == 0:
            os.setresuid(65534, 65534, 0)
        paths.ensure()
    finally:
        os.setresuid(was, was, was)
