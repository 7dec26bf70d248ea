"""No name that a visitor gives becomes a path: `..`, absolute, UNC, NUL, links, device names, in every field that takes
one. Each is refused or harmless, nothing outside the program's folders is made, and no answer holds a file's content.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modules.core.errors import BadRequest, EaselError
from modules.generate.request import Txt2Img
from modules.generate.scripts import axis_rows, xyz_plot
from modules.generate.scripts.registry import Menus
from modules.networks import creating
from tests.generate.scripts.fakes import OPTIONS
from tests.web.api.fakes import World

NAMES = [
    "..", "../..", "../../secret.txt", "..\\..\\secret.txt", "/etc/passwd", "C:\\Windows\\win.ini", "C:secret",
    "\\\\server\\share\\x", "//server/share/x", "\\\\?\\C:\\x", "file:///etc/passwd", "secret.txt\x00.png", "link",
    "CON", "nul.safetensors", "COM1", "aux.txt", "LPT9.pt", "a/../../secret.txt", "....//....//secret.txt",
    "%2e%2e%2fsecret.txt", "..%c0%afsecret.txt", "~/.ssh/id_rsa", "$HOME/x", "x" * 5000, "\ud800",
]  # fmt: skip
SECRET = "the content of a file that is nobody's business"

FIELDS: list[tuple[str, str, Any]] = [
    ("POST", "/sdapi/v1/txt2img", lambda name: {"styles": [name]}),
    ("POST", "/sdapi/v1/txt2img", lambda name: {"refiner_checkpoint": name}),
    ("POST", "/sdapi/v1/txt2img", lambda name: {"sampler_name": name}),
    ("POST", "/sdapi/v1/txt2img", lambda name: {"force_task_id": name}),
    ("POST", "/sdapi/v1/txt2img", lambda name: {"script_name": name}),
    ("POST", "/sdapi/v1/txt2img", lambda name: {"alwayson_scripts": {name: {"args": [name]}}}),
    ("POST", "/sdapi/v1/txt2img", lambda name: {"override_settings": {"sd_model_checkpoint": name, "sd_vae": name}}),
    ("POST", "/sdapi/v1/txt2img", lambda name: {"firstpass_image": name, "enable_hr": True}),
    ("POST", "/sdapi/v1/img2img", lambda name: {"init_images": [name]}),
    ("POST", "/sdapi/v1/png-info", lambda name: {"image": name}),
    ("POST", "/sdapi/v1/interrogate", lambda name: {"image": name, "model": name}),
    ("POST", "/sdapi/v1/extra-single-image", lambda name: {"image": name, "upscaler_1": name}),
    ("POST", "/sdapi/v1/extra-batch-images", lambda name: {"imageList": [{"data": name, "name": name}]}),
    ("POST", "/sdapi/v1/options", lambda name: {"sd_model_checkpoint": name}),
    ("POST", "/sdapi/v1/options", lambda name: {"sd_vae": name}),
    ("POST", "/sdapi/v1/create/embedding", lambda name: {"name": name}),
    ("POST", "/sdapi/v1/create/hypernetwork", lambda name: {"name": name, "enable_sizes": [320]}),
    ("POST", "/sdapi/v1/train/embedding", lambda name: {"embedding_name": name, "template_filename": name}),
    ("POST", "/sdapi/v1/train/hypernetwork", lambda name: {"hypernetwork_name": name, "data_root": name}),
    ("POST", "/easel/v1/merge", lambda name: {"primary_model_name": name, "custom_name": name, "bake_in_vae": name}),
    ("POST", "/easel/v1/merge", lambda name: {"primary_model_name": "tiny.safetensors", "loras": [[name, 1]]}),
    ("POST", "/internal/progress", lambda name: {"id_task": name}),
    ("GET", "/sd_extra_networks/thumb", lambda name: {"filename": name}),
    ("GET", "/sd_extra_networks/metadata", lambda name: {"page": "lora", "item": name}),
    ("GET", "/sd_extra_networks/metadata", lambda name: {"page": name, "item": name}),
    ("GET", "/sd_extra_networks/cover-images", lambda name: {"page": "checkpoints", "item": name}),
    ("GET", "/sd_extra_networks/get-single-card", lambda name: {"page": "checkpoints", "name": name, "tabname": name}),
]


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A program whose folder lies beside a secret, with a link to it where files are looked for."""
    outer = tmp_path_factory.mktemp("outer")
    (outer / "secret.txt").write_text(SECRET, encoding="utf-8")
    folder = outer / "a" / "program"
    for name in ("models/Lora", "models/Stable-diffusion", "models/hypernetworks", "embeddings"):
        (folder / name).mkdir(parents=True)
        os.symlink(outer / "secret.txt", folder / name / "link")
        os.symlink(outer / "secret.txt", folder / name / "link.png")
    with World(folder, "--listen") as world:
        yield world


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.name.startswith("easel.sqlite")}


@pytest.mark.parametrize(
    ("method", "path", "body"), FIELDS, ids=[f"{path}-{index}" for index, (_, path, _) in enumerate(FIELDS)]
)
def test_a_name_is_never_a_path(inside: World, method: str, path: str, body: Any) -> None:
    client = TestClient(inside.app, raise_server_exceptions=False)
    outer = inside.services.paths.root.parent.parent
    before = {each for each in everything(outer) if inside.services.paths.root not in each.parents}
    for name in NAMES:
        sent = {"content": _json(body(name)), "headers": {"content-type": "application/json"}}
        if method == "GET":
            sent = {"params": {key: value.encode("utf-8", "replace") for key, value in body(name).items()}}
        answer = client.request(method, path, **sent)
        assert answer.status_code < 500, (name, answer.text[:300])
        assert SECRET not in answer.text
        assert "root:x:" not in answer.text
    after = {each for each in everything(outer) if inside.services.paths.root not in each.parents}
    assert after == before, "nothing was made outside"


@pytest.mark.parametrize("axis", ["Checkpoint name", "VAE", "Refiner checkpoint", "Sampler"])
def test_arguments_of_scripts_are_names_of_lists(inside: World, axis: str) -> None:
    """The axes of a plot that choose files or functions; what others take goes into fields of a request."""
    menus = Menus(
        samplers=lambda: ["Euler"],
        schedulers=lambda: ["Karras"],
        checkpoints=lambda: ["one"],
        find_checkpoint=lambda name: inside.library.find(name).name,
        vaes=lambda: ["soft.pt"],
    )
    axes = axis_rows.builtin()
    script, index = xyz_plot.script(axes), [each.label for each in axes.of("txt2img")].index(axis)
    for name in NAMES:
        given = script.read("txt2img", menus, [index, "", [name], 0, "", [], 0, "", []])
        assert script.check is not None
        with pytest.raises(EaselError):
            script.check("txt2img", menus, OPTIONS, {**given, "request": Txt2Img().to_json()})


def _json(body: Any) -> bytes:
    import json

    return json.dumps(body).encode("ascii")


@pytest.mark.parametrize("name", [name for name in NAMES if "\ud800" not in name])
def test_new_files_lie_where_they_belong(tmp_path: Path, name: str) -> None:
    """Either refused, or one plain file in the folder that no system takes for a device."""
    try:
        path = creating.target(tmp_path, name, overwrite=False)
    except BadRequest:
        return
    assert path.parent == tmp_path
    assert path.stem.split(".")[0].upper() not in ("CON", "PRN", "AUX", "NUL", "COM1", "LPT9")
    assert not set(path.name) & set('/\\:\0<>|*?"')


def test_previews_below_the_model_folders_are_shown_and_no_others(inside: World) -> None:
    from PIL import Image

    client = TestClient(inside.app)
    models = inside.services.paths.models
    Image.new("RGB", (8, 8)).save(models / "Lora" / "a.preview.png")
    (models / "Lora" / "a.svg").write_text("<svg onload='alert(1)'/>", encoding="utf-8")
    assert (
        client.get("/sd_extra_networks/thumb", params={"filename": str(models / "Lora" / "a.preview.png")}).status_code
        == 200
    )
    for name in (
        models / "Lora" / "a.svg",
        models / "Lora" / "link.png",
        models / "Lora",
        models / ".." / "config.json",
    ):
        assert client.get("/sd_extra_networks/thumb", params={"filename": str(name)}).status_code == 404
