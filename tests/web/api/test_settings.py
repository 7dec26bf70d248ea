"""/sdapi/v1/options: what is posted is got, all or nothing, and a client may send back all that it got."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.web.api.fakes import SHA, World

URL = "/sdapi/v1/options"


def test_what_is_posted_is_got_and_kept(world: World, client: TestClient) -> None:
    answer = client.post(URL, json={"jpeg_quality": 61, "samples_format": "WEBP", "tiling": True})
    assert (answer.status_code, answer.json()) == (200, None)
    now = client.get(URL).json()
    assert (now["jpeg_quality"], now["samples_format"], now["tiling"]) == (61, "webp", True)
    assert world.options.snapshot()["jpeg_quality"] == 61


def test_a_client_may_send_back_all_that_it_got(client: TestClient) -> None:
    before = client.get(URL).json()
    assert client.post(URL, json=before).status_code == 200
    assert client.get(URL).json() == before


def test_also_when_all_are_frozen(tmp_path: Path) -> None:
    world = World(tmp_path, "--freeze-settings")
    title = world.library.hashed(world.library.entries[0]).title
    world.options.path.write_text(f'{{"sd_model_checkpoint": "{title}"}}')
    world = World(tmp_path, "--freeze-settings")
    world.library.hashed(world.library.entries[0])
    client = TestClient(world.app)
    assert client.post(URL, json=client.get(URL).json()).status_code == 200
    assert client.post(URL, json={"n_rows": 3}).status_code == 422


@pytest.mark.parametrize(
    ("body", "field", "word"),
    [
        ({"jpg_quality": 5}, "jpg_quality", '"jpeg_quality"'),
        ({"jpeg_quality": "high"}, "jpeg_quality", "number"),
        ({"jpeg_quality": 1000}, "jpeg_quality", "at most 100"),
        ({"samples_save": None}, "samples_save", "true or false"),
        ({"quicksettings_list": "n_rows"}, "quicksettings_list", "list"),
        ({"sd_model_checkpoint": "tinny.safetensors"}, "sd_model_checkpoint", '"tiny.safetensors"'),
        ({"sd_model_checkpoint": "broken.safetensors"}, "sd_model_checkpoint", "cut off"),
        ({"sd_model_checkpoint": 7}, "sd_model_checkpoint", "name"),
    ],
)
def test_a_bad_one_is_named_and_nothing_changes(
    idle: World, asking: TestClient, body: dict[str, Any], field: str, word: str
) -> None:
    answer = asking.post(URL, json={"n_rows": 3, **body})
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert word in answer.json()["detail"]
    assert idle.options.snapshot().changed() == {}


@pytest.mark.parametrize("content", ["[1]", "{", "", '{"rho": NaN}', '{"\\ud800": 1}'])
def test_a_body_that_is_no_object_of_settings(idle: World, asking: TestClient, content: str) -> None:
    answer = asking.post(URL, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert idle.options.snapshot().changed() == {}


class TestCheckpoint:
    def test_until_one_is_chosen_it_is_the_first(self, client: TestClient) -> None:
        assert client.get(URL).json()["sd_model_checkpoint"] == "tiny.safetensors"

    @pytest.mark.parametrize("name", ["sub/other.safetensors", "sub_other", "SUB/OTHER.safetensors"])
    def test_any_of_its_names_is_kept_as_its_title(self, client: TestClient, name: str) -> None:
        assert client.post(URL, json={"sd_model_checkpoint": name}).status_code == 200
        now = client.get(URL).json()
        assert now["sd_model_checkpoint"] == f"sub/other.safetensors [{SHA[:10]}]"
        assert now["sd_checkpoint_hash"] == SHA

    def test_its_title_is_the_one_of_the_list_also_when_the_hash_came_later(
        self, world: World, client: TestClient
    ) -> None:
        world.options.set({"sd_model_checkpoint": "tiny.safetensors"})
        world.library.hashed(world.library.entries[0])
        now, listed = client.get(URL).json(), client.get("/sdapi/v1/sd-models").json()[0]
        assert (now["sd_model_checkpoint"], now["sd_checkpoint_hash"]) == (listed["title"], listed["sha256"])

    @pytest.mark.parametrize("nothing", [None, "", " "])
    def test_nothing_takes_the_choice_back(self, world: World, client: TestClient, nothing: str | None) -> None:
        client.post(URL, json={"sd_model_checkpoint": "sub_other"})
        assert client.post(URL, json={"sd_model_checkpoint": nothing}).status_code == 200
        assert world.options.snapshot()["sd_model_checkpoint"] is None

    def test_one_that_is_gone_may_be_said_again(self, world: World, client: TestClient) -> None:
        world.options.set({"sd_model_checkpoint": "deleted.safetensors"})
        assert client.post(URL, json={"sd_model_checkpoint": "deleted.safetensors"}).status_code == 200
        assert client.get(URL).json()["sd_model_checkpoint"] == "deleted.safetensors"


def test_frozen_settings_cannot_be_changed(tmp_path: Path) -> None:
    world = World(tmp_path, "--freeze-settings-in-sections", "saving-to-dirs", "--freeze-specific-settings", "n_rows")
    client = TestClient(world.app)
    for body in ({"n_rows": 3}, {"save_to_dirs": False, "jpeg_quality": 5}):
        answer = client.post(URL, json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, next(iter(body)))
        assert "frozen" in answer.json()["detail"]
    assert client.post(URL, json={"jpeg_quality": 5}).status_code == 200
    assert world.options.snapshot().changed() == {"jpeg_quality": 5}
