"""Styles and networks are listed as A1111 lists them, from what lies on the disk now."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.reference.cases import SHARED
from tests.studio import NETWORKS
from tests.web.api.fakes import World

GET = SHARED / "get"


def asked(folder: Path, path: str) -> Any:
    with World(folder) as world:
        return TestClient(world.app).get(f"/sdapi/v1/{path}").json()


def theirs(name: str) -> Any:
    if not GET.is_dir():
        pytest.skip("A1111's answers are not here")
    return json.loads((GET / f"{name}.json").read_text(encoding="utf-8"))


def copied(kind: str, folder: Path) -> None:
    if not (NETWORKS / kind).is_dir():
        pytest.skip("the reference's networks are not here")
    shutil.copytree(NETWORKS / kind, folder / kind)


@pytest.mark.parametrize(("kind", "path"), [("Lora", "loras"), ("hypernetworks", "hypernetworks")])
def test_networks_are_those_of_a1111(tmp_path: Path, kind: str, path: str) -> None:
    copied(kind, tmp_path)
    ours = asked(tmp_path, path)
    assert [{**each, "path": Path(each["path"]).name} for each in ours] == theirs(path)


def test_embeddings_are_those_of_a1111(tmp_path: Path) -> None:
    copied("embeddings", tmp_path)
    assert asked(tmp_path, "embeddings") == theirs("embeddings")


def test_styles_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "styles.csv").write_text('name,prompt,negative_prompt\nfine,"a, {prompt}",ugly\nbare,x,\n')
    assert asked(tmp_path, "prompt-styles") == [
        {"name": "fine", "prompt": "a, {prompt}", "negative_prompt": "ugly"},
        {"name": "bare", "prompt": "x", "negative_prompt": ""},
    ]


def test_new_files_are_there_after_a_refresh(tmp_path: Path) -> None:
    copied("Lora", tmp_path)
    with World(tmp_path) as world:
        client = TestClient(world.app)
        before = [each["name"] for each in client.get("/sdapi/v1/loras").json()]
        (tmp_path / "Lora" / "new.safetensors").write_bytes(
            (tmp_path / "Lora" / f"{before[0]}.safetensors").read_bytes()
        )
        assert client.post("/sdapi/v1/refresh-loras").status_code == 200
        assert [each["name"] for each in client.get("/sdapi/v1/loras").json()] == sorted([*before, "new"])
