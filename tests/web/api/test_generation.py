"""/sdapi/v1/txt2img from outside: pictures come back, bad input names its field, waiting blocks nobody."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.web.api.fakes import World

URL = "/sdapi/v1/txt2img"


def picture(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))


class TestAnswer:
    def test_pictures_parameters_and_info(self, client: TestClient) -> None:
        body = {"prompt": "a cat", "width": 64, "height": 72, "steps": 3, "n_iter": 2}
        answer = client.post(URL, json=body)
        assert answer.status_code == 200
        content = answer.json()
        assert set(content) == {"images", "parameters", "info"}
        assert [picture(image).size for image in content["images"]] == [(64, 72)] * 2
        assert picture(content["images"][1]).info["parameters"] == json.loads(content["info"])["infotexts"][1]
        assert content["parameters"] | body == content["parameters"]
        assert content["parameters"]["cfg_scale"] == 7.0
        assert content["parameters"]["sampler_name"] is None
        assert json.loads(content["info"])["prompt"] == "a cat"

    def test_an_empty_body_is_a_request_with_all_defaults(self, world: World, client: TestClient) -> None:
        assert client.post(URL, json={}).status_code == 200
        asked, owner = world.requests[0]
        assert (asked.steps, asked.sampler_name, asked.width, asked.seed, owner) == (50, "Euler", 512, -1, "")

    def test_send_images_false_makes_them_and_sends_none(self, world: World, client: TestClient) -> None:
        content = client.post(URL, json={"prompt": "x", "send_images": False}).json()
        assert content["images"] == []
        assert len(json.loads(content["info"])["infotexts"]) == 1

    def test_the_task_id_is_the_jobs_id(self, world: World, client: TestClient) -> None:
        assert client.post(URL, json={"prompt": "x", "force_task_id": "task(me)"}).status_code == 200
        assert world.queue.get("task(me)").state == "done"

    def test_asking_again_with_the_same_task_id_gives_the_same_pictures(self, world: World, client: TestClient) -> None:
        body = {"prompt": "x", "force_task_id": "again"}
        first, second = client.post(URL, json=body), client.post(URL, json=body)
        assert first.json() == second.json()
        assert len(world.queue.list()) == 1
        (world.painter.folder / "again-0.png").unlink()
        third = client.post(URL, json=body)
        assert third.status_code == 404
        assert "again-0.png" in third.json()["detail"]
        other = client.post(URL, json={**body, "prompt": "y"})
        assert (other.status_code, other.json()["field"]) == (422, "force_task_id")

    def test_values_that_ask_for_nothing_pass(self, client: TestClient) -> None:
        fields: dict[str, Any] = {
            "enable_hr": False,
            "refiner_checkpoint": "",
            "restore_faces": False,
            "tiling": None,
            "firstpass_image": None,
            "script_name": None,
            "script_args": [],
            "alwayson_scripts": {},
            "denoising_strength": 0.7,
            "hr_upscaler": "Latent",
            "refiner_switch_at": 0.8,
            "override_settings_restore_afterwards": True,
            "comments": None,
            "something_of_a_later_version": {"a": 1},
            "steps": None,
        }
        answer = client.post(URL, json={"prompt": "x", **fields})
        assert answer.status_code == 200
        assert answer.json()["parameters"]["steps"] == 50


class TestBadInput:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("steps", "many"),
            ("steps", 0),
            ("steps", 10_001),
            ("steps", 2.5),
            ("steps", True),
            ("steps", [20]),
            ("width", 7),
            ("width", -64),
            ("height", 16_385),
            ("height", 10**30),
            ("batch_size", 0),
            ("n_iter", -1),
            ("seed", -2),
            ("seed", 2**64),
            ("subseed", "x"),
            ("subseed_strength", 1.5),
            ("cfg_scale", "high"),
            ("cfg_scale", -1),
            ("eta", 2),
            ("s_noise", -0.1),
            ("prompt", 5),
            ("prompt", "a\0b"),
            ("prompt", "x" * 100_001),
            ("negative_prompt", ["x"]),
            ("styles", "one"),
            ("override_settings", [1]),
            ("script_args", {}),
            ("alwayson_scripts", "x"),
            ("send_images", "maybe"),
            ("force_task_id", ""),
        ],
    )
    def test_a_value_out_of_its_type_or_range(self, idle: World, asking: TestClient, field: str, value: Any) -> None:
        answer = asking.post(URL, json={"prompt": "x", field: value})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"][:2] == ["body", field]
        assert idle.requests == []

    @pytest.mark.parametrize(
        ("body", "field", "near"),
        [
            ({"sampler_name": "Eular a"}, "sampler_name", '"Euler a"'),
            ({"sampler_index": "Eular"}, "sampler_name", '"Euler"'),
            ({"scheduler": "Karas"}, "scheduler", '"Karras"'),
            ({"override_settings": {"jpg_quality": 5}}, "override_settings.jpg_quality", '"jpeg_quality"'),
            ({"override_settings": {"jpeg_quality": "x"}}, "override_settings.jpeg_quality", "number"),
            ({"force_task_id": "../../etc"}, "force_task_id", "job"),
        ],
    )
    def test_names_and_settings_that_do_not_exist(
        self, asking: TestClient, body: dict[str, Any], field: str, near: str
    ) -> None:
        answer = asking.post(URL, json={"prompt": "x", **body})
        assert answer.status_code == 422
        content = answer.json()
        assert content["field"] == field
        assert near in content["detail"]
        assert content["errors"] == content["detail"]
        assert content["error"] in ("NotFound", "BadRequest")

    @pytest.mark.parametrize(
        ("content", "headers"),
        [
            ('{"cfg_scale": NaN}', {"content-type": "application/json"}),
            ('{"cfg_scale": 1e999}', {"content-type": "application/json"}),
            ('{"steps": Infinity}', {"content-type": "application/json"}),
            ('{"override_settings": {"eta_ancestral": NaN}}', {"content-type": "application/json"}),
            ('{"comments": {"a": [Infinity]}}', {"content-type": "application/json"}),
            ('{"prompt": "\\ud800"}', {"content-type": "application/json"}),
            ('{"override_settings": {"\\ud800": 1}}', {"content-type": "application/json"}),
            ('{"comments": ' + '{"a": ' * 60 + "1" + "}" * 61, {"content-type": "application/json"}),
            ('{"x": ' + "[" * 100_000, {"content-type": "application/json"}),
            ('["prompt"]', {"content-type": "application/json"}),
            ('"prompt"', {"content-type": "application/json"}),
            ("null", {"content-type": "application/json"}),
            ("{", {"content-type": "application/json"}),
            ("", {"content-type": "application/json"}),
            ("\xff", {"content-type": "application/json"}),
            ('{"prompt": "x"}', {"content-type": "text/plain"}),
            ("prompt=x", {"content-type": "application/x-www-form-urlencoded"}),
        ],
    )
    def test_bodies_that_are_no_request(
        self, idle: World, asking: TestClient, content: str, headers: dict[str, str]
    ) -> None:
        answer = asking.post(URL, content=content.encode("latin-1"), headers=headers)
        assert 400 <= answer.status_code < 500
        assert answer.json()["detail"]
        assert idle.requests == []


class TestJobsThatEndOtherwise:
    def test_no_checkpoint_is_503_and_says_so(self, client: TestClient) -> None:
        answer = client.post(URL, json={"prompt": "no model"})
        assert (answer.status_code, answer.json()["error"]) == (503, "NoCheckpoint")
        assert "no checkpoint" in answer.json()["detail"]

    def test_a_bug_in_the_engine_is_500_with_its_message(self, client: TestClient) -> None:
        answer = client.post(URL, json={"prompt": "bug"})
        assert answer.status_code == 500
        assert "division by zero" in answer.json()["detail"]

    def test_a_cancelled_one_is_409(self, world: World, client: TestClient) -> None:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(client.post, URL, json={"prompt": "wait"})
            world.painter.started.wait(10)
            second = pool.submit(client.post, URL, json={"prompt": "x", "force_task_id": "second"})
            until(lambda: any(job.id == "second" for job in world.queue.list()))
            world.queue.cancel("second")
            assert second.result(20).status_code == 409
            world.painter.gate.set()
            assert first.result(20).status_code == 200


class TestManyAtOnce:
    def test_twenty_requests_each_have_their_own_settings(self, world: World, client: TestClient) -> None:
        before = dict(world.options.snapshot())

        def ask(number: int) -> int:
            settings = {"CLIP_stop_at_last_layers": 1 + number % 12, "eta_noise_seed_delta": number}
            body = {"prompt": str(number), "override_settings": settings, "width": 64, "height": 64}
            return client.post(URL, json=body).status_code

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(ask, range(20))) == {200}
        asked = {request.prompt: request.override_settings["eta_noise_seed_delta"] for request, _ in world.requests}
        assert asked == {str(number): number for number in range(20)}
        assert dict(world.options.snapshot()) == before

    def test_64_waiting_clients_do_not_hold_up_progress_and_interrupt(self, tmp_path: Path) -> None:
        async def scenario(world: World) -> list[int]:
            transport = httpx.ASGITransport(app=world.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://easel", timeout=30) as client:
                small = {"width": 64, "height": 64}
                first = asyncio.create_task(client.post(URL, json={"prompt": "wait", **small}))
                await asyncio.to_thread(world.painter.started.wait, 10)
                rest = [asyncio.create_task(client.post(URL, json={"prompt": "x", **small})) for _ in range(63)]
                while len(world.requests) < 64:
                    await asyncio.sleep(0.01)
                begun = time.monotonic()
                progress = await client.get("/sdapi/v1/progress")
                assert progress.json()["state"]["sampling_step"] == 1
                assert (await client.post("/sdapi/v1/interrupt")).status_code == 200
                assert time.monotonic() - begun < 5
                return [answer.status_code for answer in await asyncio.gather(first, *rest)]

        with World(tmp_path) as world:
            assert asyncio.run(scenario(world)) == [200] * 64


def until(holds: Any, timeout: float = 10) -> None:
    """Wait until it holds; fails the test when it does not."""
    pause = threading.Event()
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end
        pause.wait(0.01)
