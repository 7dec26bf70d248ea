"""Coming from A1111: what its folder holds is found, comes over, and nothing in it is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.core.errors import BadRequest
from modules.core.paths import Paths
from modules.settings import a1111, builtin
from modules.settings.options import Options


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A small folder of A1111."""
    root = tmp_path / "webui"
    for place, name in (
        ("models/Stable-diffusion", "a.safetensors"),
        ("models/Lora/sub", "b.safetensors"),
        ("models/ESRGAN", "c.pth"),
        ("models/VAE", "Put VAE here.txt"),
        ("embeddings", "d.pt"),
    ):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / name).write_bytes(b"x")
    (root / "webui.py").touch()
    (root / "config.json").write_text(json.dumps({"jpeg_quality": 55, "samples_save": "perhaps", "unheard_of": 1}))
    (root / "ui-config.json").write_text(json.dumps({"txt2img/Width/value": 640}))
    (root / "styles.csv").write_text("name,prompt,negative_prompt\nfine,oil,\n")
    git = root / "extensions" / "wildcards" / ".git"
    git.mkdir(parents=True)
    (git / "config").write_text('[core]\n\tbare = false\n[remote "origin"]\n\turl = https://example.org/w.git\n')
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_is_there_is_found_and_nothing_is_changed(old: Path) -> None:
    before = contents(old)
    found = a1111.look(old)
    assert set(found.folders) == {"checkpoints", "loras", "embeddings", "upscalers/ESRGAN"}
    assert found.config["jpeg_quality"] == 55
    assert found.styles == old / "styles.csv"
    assert found.extensions == (("wildcards", "https://example.org/w.git"),)
    assert contents(old) == before


@pytest.mark.parametrize("name", ["nonesuch", "models"])
def test_another_folder_is_refused(old: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="folder"):
        a1111.look(old / name)


def test_options_that_fit_come_over_and_others_are_told(old: Path, tmp_path: Path) -> None:
    options = Options(builtin.registry(), tmp_path / "config.json")
    taken, remarks = a1111.usable({**a1111.look(old).config, "disabled_extensions": ["x"]}, options)
    assert taken == {"jpeg_quality": 55}
    assert len(remarks) == 1
    assert remarks[0].startswith("samples_save")


def test_folders_written_down_are_searched_besides_ones_own(old: Path, tmp_path: Path) -> None:
    file = tmp_path / a1111.FILE
    for _ in range(2):
        a1111.keep_folders(file, a1111.look(old).folders)
    paths = Paths.make(root=tmp_path / "easel")
    joined = a1111.with_folders(paths, a1111.extra(file))
    assert joined.checkpoints == (*paths.checkpoints, old / "models/Stable-diffusion")
    assert joined.upscalers["ESRGAN"] == (*paths.upscalers["ESRGAN"], old / "models/ESRGAN")
    assert joined.vae == paths.vae
    assert a1111.with_folders(paths, {"loras": (tmp_path / "gone",)}).loras == paths.loras
    file.write_text("{")
    assert a1111.with_folders(paths, a1111.extra(file)) == paths
