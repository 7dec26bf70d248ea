"""/internal/* and /sd_extra_networks/*: what pages and extensions ask."""

from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image

from tests.web.api.fakes import World


def png() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(target, "PNG")
    return target.getvalue()


def safetensors(path: Path, metadata: dict[str, str]) -> None:
    """A file of one number with metadata."""
    table: dict[str, Any] = {"__metadata__": metadata, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    header = json.dumps(table).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)


def test_pending_tasks_are_those_that_wait(world: World, client: TestClient) -> None:
    assert client.get("/internal/pending-tasks").json() == {"size": 0, "tasks": []}
    for id, prompt in (("a", "wait"), ("b", "x"), ("c", "x")):
        world.queue.submit("txt2img", {"prompt": prompt, "n_iter": 0, "steps": 1}, id=id)
        if id == "a":
            world.painter.started.wait(10)
    assert client.get("/internal/pending-tasks").json() == {"size": 2, "tasks": ["b", "c"]}


def test_quicksettings_are_hinted_with_their_labels(world: World, client: TestClient) -> None:
    hints = {hint["name"]: hint["label"] for hint in client.get("/internal/quicksettings-hint").json()}
    assert hints == {option.key: option.label for option in world.options.registry.options()}


def test_a_report_tells_what_differs_and_can_be_kept(tmp_path: Path) -> None:
    with World(tmp_path, "--port", "7999", "--freeze-settings") as world:
        client = TestClient(world.app)
        world.options.set({"jpeg_quality": 33}, even_frozen=True)
        told = client.get("/internal/sysinfo")
        report = json.loads(told.text)
        assert "content-disposition" not in told.headers
        assert report["Version"] == "0.0.test"
        assert report["Config"] == {"jpeg_quality": 33}
        assert report["Commandline"]["port"] == "7999"
        assert "api_auth" not in report["Commandline"]
        for path in ("/internal/sysinfo?attachment=true", "/internal/sysinfo-download"):
            assert client.get(path).headers["content-disposition"].startswith('attachment; filename="sysinfo-')


def test_the_start_is_timed(client: TestClient) -> None:
    assert client.get("/internal/profile-startup").json() == {"total": 1.0, "records": {}}


def test_what_a_lora_says_of_itself(world: World, client: TestClient, tmp_path: Path) -> None:
    cover = json.dumps([base64.b64encode(png()).decode(), "bm8gcGljdHVyZQ=="])
    safetensors(tmp_path / "Lora" / "a.safetensors", {"ss_output_name": "mine", "ssmd_cover_images": cover})
    ask = {"page": "Lora", "item": "a"}
    metadata = json.loads(client.get("/sd_extra_networks/metadata", params=ask).json()["metadata"])
    assert metadata == {"ss_output_name": "mine"}
    answer = client.get("/sd_extra_networks/cover-images", params={**ask, "index": 0})
    assert (answer.content, answer.headers["content-type"]) == (png(), "image/png")
    for index in (1, 2, -1):
        assert client.get("/sd_extra_networks/cover-images", params={**ask, "index": index}).status_code == 404
    card = client.get("/sd_extra_networks/get-single-card", params={"page": "lora", "name": "a", "tabname": "txt2img"})
    assert 'data-name="a"' in card.json()["html"]


def test_what_is_not_there_says_nothing(client: TestClient) -> None:
    for params in ({"page": "lora", "item": "x"}, {"page": "x", "item": "x"}, {}):
        assert client.get("/sd_extra_networks/metadata", params=params).json() == {}
    assert client.get("/sd_extra_networks/get-single-card").json() == {}
    assert client.get("/sd_extra_networks/thumb").status_code == 404
    assert client.get("/sd_extra_networks/cover-images").status_code == 404
