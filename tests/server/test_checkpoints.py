"""Without any checkpoint the program runs and says what to do; a file that is copied in later is found; damaged files
beside it are told of and do no harm."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.running import SMALL, TINY, Server, blamed

NO_MODEL = "There is no checkpoint yet."
DAMAGED = {
    "cut.safetensors": TINY.read_bytes()[:1000] if TINY.exists() else b"",
    "empty.safetensors": b"",
    "text.safetensors": b"this is a note, not a model\n" * 50,
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a fresh data folder, with no model and no --ckpt-dir."""
    with Server(tmp_path_factory.mktemp("bare"), "--nowebui", checkpoints=None) as server:
        yield server


def folder(server: Server) -> Path:
    return server.data / "models" / "Stable-diffusion"


def titles(server: Server) -> list[str]:
    return [entry["model_name"] for entry in server.get("sd-models")]


def test_from_nothing_to_a_picture(bare: Server) -> None:
    """One story, in its order: no model; only damaged ones; a good one beside them."""
    assert titles(bare) == []
    _says_what_to_do(bare)
    for name, content in DAMAGED.items():
        (folder(bare) / name).write_bytes(content)
    bare.client.post("/sdapi/v1/refresh-checkpoints").raise_for_status()
    assert titles(bare) == []
    _says_what_to_do(bare)
    shutil.copy(TINY, folder(bare))
    bare.client.post("/sdapi/v1/refresh-checkpoints").raise_for_status()
    assert titles(bare) == ["tiny-sd1"]
    assert bare.txt2img().infotexts[0].count("Model: tiny-sd1") == 1
    assert all(f"Checkpoint not usable: {name}: " in bare.console for name in DAMAGED)
    _refuses_damaged_files(bare)
    assert bare.get("options")["sd_model_checkpoint"].startswith("tiny-sd1.safetensors")
    assert len(bare.txt2img(seed=2).images) == 1


def _says_what_to_do(server: Server) -> None:
    """Answer and console have the same words, with the folder that the file belongs in."""
    answer = server.post("txt2img", dict(SMALL))
    assert answer.status_code == 503
    words = answer.json()["detail"]
    assert words.startswith(NO_MODEL)
    assert str(folder(server)) in words
    assert words in server.console


def _refuses_damaged_files(server: Server) -> None:
    for name in DAMAGED:
        for path, body in (
            ("options", {"sd_model_checkpoint": name}),
            ("txt2img", {**SMALL, "override_settings": {"sd_model_checkpoint": name}}),
        ):
            answer = server.post(path, body)
            assert answer.status_code == 422, (path, name, answer.text)
            assert "sd_model_checkpoint" in blamed(answer)
            assert name in answer.json()["detail"]
