"""The template that authors copy loads, works and leaves nothing; so does everything that comes with Easel."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from modules.core.hooks import all_moments
from modules.plugins.api import ExtensionApi
from tests.plugins.conftest import World

ROOT = Path(__file__).parents[2]
BUILT_IN = {
    "canvas_zoom",
    "cfg_rescale",
    "controlnet",
    "dynamic_thresholding",
    "freeu",
    "perturbed_attention",
    "regional_prompting",
    "soft_inpainting",
    "tiled_diffusion",
    "wildcards",
}


def test_the_template_works_as_it_is(world: World) -> None:
    shutil.copytree(ROOT / "docs" / "extension-template", world.folder / "template")
    desk = world.start()
    assert desk.get("template").error == ""
    app = FastAPI()
    desk.opened(app)
    client = TestClient(app)
    assert client.get("/easel/template/greeting").json() == {"greeting": "Hello"}
    world.house.options.set({"template_greeting": "Good day"})
    assert client.get("/easel/template/greeting").json() == {"greeting": "Good day"}
    assert [each.path.name for each in world.house.additions.files.all()] == ["template.js"]
    row = world.house.scripts.always_on("txt2img")[0]
    assert row.read("txt2img", world.house.menus, [True]) == {"enabled": True, "amount": 0.1}
    desk.unload("template")
    assert client.get("/easel/template/greeting").status_code == 404
    assert not any(all_moments(world.house.moments).values())
    assert world.house.scripts.always_on("txt2img") == []


def test_what_comes_with_easel_loads_and_is_let_through_to_the_repository(world: World) -> None:
    desk = world.start(shipped=ROOT / "extensions")
    found = {each.name: each for each in desk.all() if each.builtin}
    assert set(found) == BUILT_IN
    assert {each.error for each in found.values()} == {""}
    kept = (ROOT / ".gitignore").read_text("utf-8").split()
    assert {f"!/extensions/{name}/" for name in BUILT_IN} <= set(kept)
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]["files"]
    assert {f"extensions/{name}" for name in BUILT_IN} <= set(checked)


def test_the_flag_of_control_models_names_a_folder_of_them(world: World, tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "mine-canny.safetensors").write_bytes(b"")
    world.start("--controlnet-dir", str(tmp_path / "control"), shipped=ROOT / "extensions")
    app = FastAPI()
    world.house.routes.open(app)
    names = TestClient(app).get("/controlnet/model_list").json()["model_list"]
    assert any(name.startswith("mine-canny") for name in names)


def test_the_guide_names_every_way_to_add_something() -> None:
    text = (ROOT / "docs" / "extensions.md").read_text("utf-8")
    seen = {"name", "folder", "user_data", "log", "moments", "options", "flags", "studio", "withdraw"}
    for name in {each for each in vars(ExtensionApi) if not each.startswith("_")} - seen:
        assert f"app.{name}" in text, name
    for name in BUILT_IN:
        assert f"`{name}`" in text
