"""Where others reach the server, a visitor names folders below the outputs only; the owner may open more."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modules.core.errors import BadRequest
from modules.core.paths import Paths
from modules.generate.request import Txt2Img
from modules.networks.training_desk import Training
from modules.settings.flags import parse
from modules.web.api.training import check_folders
from modules.web.security.exposure import reachable, warnings
from modules.web.security.folders import Folders
from tests.web.api.fakes import World

ELSEWHERE = [
    "/etc", "/", "..", "../x", "outputs/../..", "outputs/../config.json", "~/x", "/tmp/outputs", "log/../../x",
    "models/Stable-diffusion", "extensions", "outputs2",
]  # fmt: skip


def folders(root: Path, *flags: str) -> Folders:
    return Folders.of(parse(list(flags)), Paths.make(root=root))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_elsewhere_is_refused_where_others_reach_it(tmp_path: Path, name: str) -> None:
    folders(tmp_path).check(name, field="x")
    for flag in (("--listen",), ("--share",), ("--server-name", "0.0.0.0")):
        with pytest.raises(BadRequest, match="gradio-allowed-path") as caught:
            folders(tmp_path, *flag).check(name, field="x")
        assert caught.value.field == "x"


@pytest.mark.parametrize(
    "name", ["", " ", "outputs", "outputs/a/b", "log/images", "outputs/../outputs/x", "outputs/./x"]
)
def test_below_the_outputs_all_is_well(tmp_path: Path, name: str) -> None:
    folders(tmp_path, "--listen").check(name, field="x")
    folders(tmp_path, "--listen").check(str(tmp_path / name) if name.strip() else name, field="x")


def test_a_link_that_leads_out_is_followed_first(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    os.symlink("/etc", tmp_path / "outputs" / "inside")
    with pytest.raises(BadRequest):
        folders(tmp_path, "--listen").check("outputs/inside", field="x")


def test_the_owner_opens_more(tmp_path: Path) -> None:
    other = tmp_path / "other"
    folders(tmp_path, "--listen", "--gradio-allowed-path", str(other)).check(str(other / "x"), field="x")


@pytest.mark.parametrize("key", ["outdir_samples", "outdir_txt2img_samples", "outdir_save", "outdir_init_images"])
def test_no_request_and_no_setting_writes_elsewhere(exposed: World, tmp_path: Path, key: str) -> None:
    client, elsewhere = TestClient(exposed.app), str(tmp_path / "elsewhere")
    answer = client.post("/sdapi/v1/options", json={key: elsewhere})
    assert (answer.status_code, answer.json()["field"]) == (422, key)
    assert exposed.options.snapshot()[key] != elsewhere
    answer = client.post("/sdapi/v1/txt2img", json={"override_settings": {key: elsewhere}})
    assert (answer.status_code, answer.json()["field"]) == (422, f"override_settings.{key}")
    assert not exposed.requests
    assert client.post("/sdapi/v1/options", json={key: "outputs/mine"}).status_code == 200


@pytest.mark.parametrize("changes", [{"font": "\\\\evil\\share\\x.ttf"}, {"control_net_models_path": "/etc"}])
def test_no_setting_has_a_file_of_somebody_read(exposed: World, changes: dict[str, str]) -> None:
    client = TestClient(exposed.app)
    assert client.post("/sdapi/v1/options", json=changes).status_code == 422
    assert client.post("/sdapi/v1/txt2img", json={"override_settings": changes}).status_code == 422


def test_the_lines_and_arguments_of_a_script_obey_too(tmp_path: Path) -> None:
    """Prompts from file: `--outpath_samples FOLDER`."""
    from modules.generate.scripts.running import CellMaker

    guard = lambda given: folders(tmp_path, "--listen").check_settings(given, {}, prefix="script_args: ")  # noqa: E731
    nothing: Any = SimpleNamespace(guard=guard)
    cell = Txt2Img(override_settings={"outdir_samples": str(tmp_path / "elsewhere")})
    with pytest.raises(BadRequest, match="outputs folder only"):
        CellMaker(studio=nothing, shop=nothing, base=nothing)(cell, nothing, nothing, nothing, number=0)


def test_the_program_gives_its_scripts_that_guard(tmp_path: Path) -> None:
    from modules.app import App

    desk = App(parse(["--nowebui", "--listen", "--data-dir", str(tmp_path)])).script_desk
    desk.guard({"outdir_samples": "outputs/mine", "sd_model_checkpoint": "x"})
    with pytest.raises(BadRequest, match="outputs folder only"):
        desk.guard({"outdir_samples": "/etc"})


def test_what_the_owner_set_may_be_sent_back(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"outdir_samples": "/srv/pictures"}', encoding="utf-8")
    with World(tmp_path, "--listen") as world:
        client = TestClient(world.app)
        everything = client.get("/sdapi/v1/options").json()
        assert everything["outdir_samples"] == "/srv/pictures"
        assert client.post("/sdapi/v1/options", json=everything).status_code == 200


def test_on_this_machine_alone_the_user_writes_where_they_like(client: TestClient, tmp_path: Path) -> None:
    assert client.post("/sdapi/v1/options", json={"outdir_samples": str(tmp_path / "elsewhere")}).status_code == 200


@pytest.mark.parametrize("kind", ["embedding", "hypernetwork"])
def test_training_reads_no_other_folder(exposed: World, kind: str) -> None:
    for field in ("data_root", "log_directory"):
        body = {f"{kind}_name": "x", "data_root": "outputs", field: "/etc"}
        answer = TestClient(exposed.app).post(f"/sdapi/v1/train/{kind}", json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)


class TestWarnings:
    """Of a server that others reach and that asks for no login, at its start."""

    @pytest.mark.parametrize(
        ("flags", "doors"),
        [
            ("", 0),
            ("--api", 0),
            ("--listen", 1),
            ("--listen --api", 2),
            ("--share --api", 2),
            ("--server-name 192.168.1.2 --api", 2),
            ("--listen --api --gradio-auth a:b", 0),
            ("--listen --api --api-auth a:b", 1),
            ("--listen --api --api-auth a:b --gradio-auth a:b", 0),
            ("--listen --nowebui", 1),
            ("--listen --nowebui --api-auth a:b", 0),
        ],
    )
    def test_name_each_open_door(self, flags: str, doors: int) -> None:
        lines = warnings(parse(flags.split()))
        assert sum(line.startswith("WARNING: everybody") for line in lines) == doors
        assert (len(lines) > 2) == (doors > 0), "and stand between two rules"

    def test_of_code_too(self) -> None:
        assert any("--allow-code" in line for line in warnings(parse(["--listen", "--allow-code"])))

    def test_share_is_reachable_though_it_listens_here(self) -> None:
        assert reachable(parse(["--share"]))
        assert not reachable(parse([]))


def test_folders_typed_into_the_page_obey_too(exposed: World, tmp_path: Path) -> None:
    from modules.web.ui import img2img, train

    values = {name: "" for name in ("batch_files", "batch_folder", "batch_masks", "batch_output", "batch_texts")}
    for field in ("batch_folder", "batch_masks", "batch_texts"):
        files = {"batch_files": [str(tmp_path / "a.png")]} if field != "batch_folder" else {}
        asked = {**values, **files, field: "/etc", "resize_by": False, "batch_reused": ()}
        with pytest.raises(BadRequest, match="outputs folder only") as caught:
            img2img.submit_folder(asked, exposed.services, None, [])
        assert caught.value.field == field
    assert vars(train)["check_folders"] is check_folders
    with pytest.raises(BadRequest, match="outputs folder only"):
        check_folders(exposed.services, Training(kind="embedding", name="x", pictures="/etc", steps=1, rate=0.1))
