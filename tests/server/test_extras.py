"""Postprocessing in the real program: files that a flag points to, without any checkpoint; a job survives kill -9."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.loading.upscale import made
from tests.server.running import Server, blamed, files, until

SLOW = {"upscaler_1": "slow", "upscaling_resize": 4, "force_task_id": "slow-one"}


def encoded(side: int) -> str:
    target = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()


def opened(answer: httpx.Response) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer.raise_for_status().json()["image"])))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upscalers")
    made.pth(folder / "quick.pth", made.compact())
    made.pth(folder / "slow.pth", made.weights("Compact", num_feat=64, num_conv=24, upscale=4))
    return folder


@pytest.mark.slow
def test_a_job_survives_a_kill(tmp_path: Path, models: Path) -> None:
    flags = ("--nowebui", "--esrgan-models-path", str(models))
    body: dict[str, Any] = {**SLOW, "image": encoded(512)}
    with ThreadPoolExecutor(1) as pool, Server(tmp_path, *flags, checkpoints=None) as server:
        names = [row["name"] for row in server.get("upscalers")]
        assert names == ["None", "Lanczos", "Nearest", "quick", "slow"]
        small = opened(server.post("extra-single-image", {"image": encoded(16), "upscaler_1": "quick"}))
        assert small.size == (32, 32)
        assert blamed(server.post("extra-single-image", {"image": encoded(16), "codeformer_visibility": 1})) == (
            "codeformer_visibility"
        )
        posted = pool.submit(server.post, "extra-single-image", body)
        until(lambda: 0 < (server.task("slow-one")["progress"] or 0) < 0.7)
        server.kill()
    assert isinstance(posted.exception(), httpx.TransportError)
    with Server(tmp_path, *flags, checkpoints=None) as server:
        until(lambda: server.task("slow-one")["completed"], seconds=300)
        assert server.task("slow-one")["textinfo"] == "Finished"
        assert opened(server.post("extra-single-image", body)).size == (2048, 2048)
    assert not [path for path in files(tmp_path) if "extras-images" in str(path)]
