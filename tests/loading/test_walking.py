"""Folders whose names begin with a dot: looked into or not, as the option `list_hidden_files` wants it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modules.app import App
from modules.loading.upscale import files
from modules.loading.walking import walk
from modules.networks.files import Files
from modules.settings.flags import parse
from tests.loading.safetensors_files import write
from tests.studio import MODELS

TINY = MODELS / "Stable-diffusion" / "tiny-sd1.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Inside a hidden folder itself, which says nothing about what is below it."""
    folder = tmp_path / ".data" / "models"
    for place in (folder, folder / "open", folder / ".trash" / "deep"):
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{place.name}.pth").write_bytes(b"")
    return folder


def test_hidden_folders_are_walked_unless_they_are_unwanted(folder: Path) -> None:
    every = ["models.pth", "deep.pth", "open.pth"]
    assert [path.name for path in walk(folder)] == every
    assert [path.name for path in walk(folder, hidden=False)] == ["models.pth", "open.pth"]


def test_upscalers_in_hidden_folders(folder: Path) -> None:
    where = {"ESRGAN": [folder]}
    assert "deep" in {file.name for file in files.scan(where)}
    assert {file.name for file in files.scan(where, hidden=False)} == {"models", "open"}


def test_networks_in_hidden_folders_are_asked_for_at_every_look(folder: Path) -> None:
    wanted = [True]
    found = Files([folder], (".pth",), hidden=lambda: wanted[0])
    assert found.find("deep") is not None
    wanted[0] = False
    found.refresh()
    assert found.find("deep") is None
    assert found.find("open") is not None


def test_the_option_reaches_every_list_of_the_program(tmp_path: Path) -> None:
    for place in ("Stable-diffusion", "ESRGAN", "Lora"):
        (tmp_path / "models" / place / ".old").mkdir(parents=True)
    shutil.copyfile(TINY, tmp_path / "models" / "Stable-diffusion" / ".old" / "model.safetensors")
    (tmp_path / "models" / "ESRGAN" / ".old" / "up.pth").write_bytes(b"")
    write(tmp_path / "models" / "Lora" / ".old" / "lora.safetensors", {})
    app = App(parse(["--data-dir", str(tmp_path), "--nowebui"]))
    try:
        assert [entry.name for entry in app.library.checkpoints()] == [".old/model.safetensors"]
        assert "up" in app.upscalers.names()
        assert app.studio.networks.loras.find("lora") is not None
        app.options.set({"list_hidden_files": False})
        app.library.refresh()
        app.upscalers.refresh()
        app.studio.networks.loras.refresh()
        assert app.library.checkpoints() == []
        assert "up" not in app.upscalers.names()
        assert app.studio.networks.loras.find("lora") is None
    finally:
        app.stop()
