"""A real server and its model files: VAEs by request, a pickled checkpoint, a merge and what it makes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.server.running import TINY, Server, pixels, until

PREFIX = "first_stage_model."


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.safetensors, the same as old.ckpt, another model b.safetensors, and the VAE other.pt."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "models").mkdir()
    (folder / "vae").mkdir()
    weights = load_file(TINY)
    shutil.copyfile(TINY, folder / "models" / "tiny.safetensors")
    torch.save({"state_dict": weights}, folder / "models" / "old.ckpt")
    changed = {name: each * 1.1 if each.is_floating_point() else each for name, each in weights.items()}
    save_file(changed, folder / "models" / "b.safetensors")
    own = {name.removeprefix(PREFIX): each * 0.9 for name, each in weights.items() if name.startswith(PREFIX)}
    torch.save(own, folder / "vae" / "other.pt")
    return folder


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("data")
    with Server(data, "--api", "--vae-dir", str(models / "vae"), checkpoints=models / "models") as running:
        running.post("options", {"sd_model_checkpoint": "tiny.safetensors"}).raise_for_status()
        yield running


def test_vaes_are_listed(server: Server, models: Path) -> None:
    assert server.get("sd-vae") == [{"model_name": "other.pt", "filename": str(models / "vae" / "other.pt")}]


def test_a_vae_holds_for_its_own_request(server: Server) -> None:
    """Six at once, two kinds in turn: each is answered as alone; the settings stay what they were."""
    wishes: list[dict[str, Any]] = [{}, {"sd_vae": "other.pt"}, {"sd_vae": "None"}] * 2
    alone = [server.txt2img(override_settings=wish) for wish in wishes[:3]]
    assert pixels(alone[0].images[0]) == pixels(alone[2].images[0]) != pixels(alone[1].images[0])
    assert alone[1].info["sd_vae_name"] == "other.pt"
    assert f"VAE hash: {alone[1].info['sd_vae_hash']}, VAE: other.pt" in alone[1].infotexts[0]
    assert alone[0].info["sd_vae_name"] is None
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda wish: server.txt2img(override_settings=wish), wishes))
    assert [pixels(each.images[0]) for each in together] == [pixels(each.images[0]) for each in alone] * 2
    assert server.get("options")["sd_vae"] == "Automatic"


def test_an_unknown_vae_is_refused(server: Server) -> None:
    answer = server.post("txt2img", {"steps": 1, "override_settings": {"sd_vae": "other.pth"}})
    assert (answer.status_code, answer.json()["field"]) == (422, "sd_vae")
    assert "other.pt" in answer.json()["detail"]


def test_a_pickled_checkpoint_makes_the_same_picture(server: Server) -> None:
    plain = server.txt2img()
    pickled = server.txt2img(override_settings={"sd_model_checkpoint": "old.ckpt"})
    assert pixels(plain.images[0]) == pixels(pickled.images[0])
    assert "Model: old," in pickled.infotexts[0]


def test_a_merge_is_a_job_and_its_file_makes_pictures(server: Server) -> None:
    wish = {"primary_model_name": "tiny.safetensors", "secondary_model_name": "b.safetensors", "custom_name": "child"}
    id = server.client.post("/easel/v1/merge", json=wish).raise_for_status().json()["id"]

    def finished() -> dict[str, Any] | None:
        state = server.client.get(f"/easel/v1/merge/{id}").raise_for_status().json()
        assert state["state"] != "failed", state["error"]
        return dict(state) if state["state"] == "done" else None

    state = until(finished)
    assert state is not None
    result = state["result"]
    assert result["checkpoint"] in [each["title"] for each in server.get("sd-models")]
    answer = server.txt2img(override_settings={"sd_model_checkpoint": result["checkpoint"]})
    assert "Model: child," in answer.infotexts[0]
    assert pixels(answer.images[0]) != pixels(server.txt2img().images[0])
    refused = server.client.post("/easel/v1/merge", json=wish)
    assert (refused.status_code, refused.json()["field"]) == (422, "custom_name")
