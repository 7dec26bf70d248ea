"""The whole program with the tiny model and 64 clients at once, each with its own wishes: no answer is another's."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy
import pytest
from PIL import Image

from modules.app import App
from modules.settings.flags import parse
from tests.studio import MODELS, NETWORKS

CLIENTS = 64
LORAS = sorted(path.stem for path in (NETWORKS / "Lora").glob("*.safetensors"))[:3]
SAMPLERS = ("Euler", "Euler a", "DDIM", "DPM++ 2M")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("many")
    flags = ["--data-dir", str(folder), "--ckpt-dir", str(MODELS / "Stable-diffusion")]
    made = App(parse([*flags, "--lora-dir", str(NETWORKS / "Lora"), "--use-cpu", "all", "--nowebui", "--api"]))
    made.start()
    yield made
    made.stop()


def wish(number: int) -> dict[str, Any]:
    """Twice the same but for words and seed, so that some can share a batch; then something else."""
    kind = number // 4
    lora = f" <lora:{LORAS[kind % len(LORAS)]}:0.{1 + kind % 8}>" if LORAS and kind % 2 else ""
    return {
        "prompt": f"picture number {number}{lora}",
        "negative_prompt": f"not {number}",
        "seed": 1000 + number,
        "steps": 1 + kind % 2,
        "width": 64,
        "height": 64,
        "sampler_name": SAMPLERS[kind % len(SAMPLERS)],
        "cfg_scale": 2.0 + kind % 3,
        "override_settings": {"CLIP_stop_at_last_layers": 1 + kind % 3},
    }


def ask(app: App, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    """All at once, each over a connection of its own."""

    async def gather() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=600) as client:
            return await asyncio.gather(*(client.post("/sdapi/v1/txt2img", json=body) for body in bodies))

    return asyncio.run(gather())


def picture(answer: httpx.Response) -> Any:
    data = base64.b64decode(answer.json()["images"][0])
    return numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_every_answer_is_its_own(app: App) -> None:
    bodies = [wish(number) for number in range(CLIENTS)]
    together = ask(app, bodies)
    for number, (body, answer) in enumerate(zip(bodies, together, strict=True)):
        assert answer.status_code == 200, answer.text
        info = json.loads(answer.json()["info"])
        text = info["infotexts"][0]
        assert (info["seed"], info["prompt"]) == (1000 + number, body["prompt"])
        assert text.startswith(f"{body['prompt']}\nNegative prompt: not {number}\n")
        assert f"Sampler: {body['sampler_name']}," in text
        assert ("Lora hashes" in text) == ("<lora" in body["prompt"])
        skip = body["override_settings"]["CLIP_stop_at_last_layers"]
        assert ("Clip skip" in text) == (skip > 1)
    assert len({answer.json()["images"][0] for answer in together}) == CLIENTS
    app.options.set({"batch_waiting_requests": 1})
    for number in range(0, CLIENTS, 7):
        (alone,) = ask(app, [bodies[number]])
        assert abs(picture(alone) - picture(together[number])).max() <= 1
    assert {job.state for job in app.queue.list(limit=1000)} == {"done"}
