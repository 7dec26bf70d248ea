"""Many clients at once against a server: are all answers right, is none lost, what does a request cost beside the work?

    python benchmarks/load.py [--address URL] [--clients N] [--rounds N] [--checkpoints FOLDER] [--loras FOLDER]

Without --address it starts a server of its own with the tiny model, in a temporary folder. Prints
- wrong: answers with another prompt, seed or setting than asked for, or another picture than the same request alone
  (more than one of 255 levels away);
- lost: requests without an answer, or jobs that did not end as done;
- batches: how much faster all clients together were than the same requests one after the other (a ratio; above 1 is
  faster);
- overhead in the crowd: how long a round of all clients took, minus the time that text encoders, networks, sampling
  and VAE took (`model_seconds` of each job), divided by the requests; the median of the rounds. While a model computes,
  other clients' requests are taken and answered, so what of that slows the model down is in the model's time.
- overhead alone: for one client that asks for one picture of 64x64 in one step and has it saved, one request after the
  other: median and 95th part of 100 in milliseconds, and how much of the request it is. "beyond the model": from
  sending the request to having the answer, minus `model_seconds`; it is HTTP, JSON, checks, plan, queue and database,
  PNG and infotext, the file with its fsyncs, history, base64: all but the model. "around": minus all that making the
  picture took (`seconds` of the job: from its request to its file).
  Both are times on the clock: on a machine that does other work they show that work.
Exit code 1 when something is wrong or lost.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import http.client
import io
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy
from PIL import Image
from serving import ROOT, server

TINY = ROOT / "tests" / "reference" / "models"
SAMPLERS = ("Euler", "Euler a", "DPM++ 2M", "DDIM", "Heun", "UniPC")
WARM = 10
"""Requests of the lone client before it is measured."""


def wish(number: int, loras: list[str]) -> dict[str, Any]:
    """Four clients in a row differ in words and seed alone; the next four want something else."""
    kind = number // 4
    lora = f" <lora:{loras[kind % len(loras)]}:0.{1 + kind % 9}>" if loras and kind % 2 else ""
    return {
        "prompt": f"picture number {number}{lora}",
        "negative_prompt": f"not {number}",
        "seed": 1000 + number,
        "steps": 4 + 2 * (kind % 3),
        "width": 64 + 64 * (kind % 2),
        "height": 64,
        "sampler_name": SAMPLERS[kind % len(SAMPLERS)],
        "cfg_scale": 3.0 + kind % 5,
        "save_images": False,
        "override_settings": {"CLIP_stop_at_last_layers": 1 + kind % 3},
    }


async def ask(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any] | None:
    """The answer; None when there is none."""
    try:
        answer = await client.post("/sdapi/v1/txt2img", json=body)
    except httpx.HTTPError:
        return None
    return dict(answer.json()) if answer.status_code == 200 else None


def right(body: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether the texts of an answer are those of the request."""
    info = json.loads(answer["info"])
    text = info["infotexts"][0]
    skip = body["override_settings"]["CLIP_stop_at_last_layers"]
    told = (f"Steps: {body['steps']},", f"Sampler: {body['sampler_name']},", f"Size: {body['width']}x64")
    return bool(
        (info["prompt"], info["seed"]) == (body["prompt"], body["seed"])
        and all(each in text for each in told)
        and ("Clip skip" in text) == (skip > 1)
        and ("Lora hashes" in text) == ("<lora" in body["prompt"])
    )


def apart(one: dict[str, Any], other: dict[str, Any]) -> int:
    """Most levels between two pictures."""
    arrays = [
        numpy.asarray(Image.open(io.BytesIO(base64.b64decode(each["images"][0]))).convert("RGB")).astype(int)
        for each in (one, other)
    ]
    return int(abs(arrays[0] - arrays[1]).max()) if arrays[0].shape == arrays[1].shape else 255


async def crowd(client: httpx.AsyncClient, bodies: list[dict[str, Any]]) -> tuple[list[Any], float, float]:
    """All requests at once -> (answers, seconds in all, of them beyond the model)."""
    named = [body | {"force_task_id": f"crowd-{time.time_ns()}-{number}"} for number, body in enumerate(bodies)]
    begun = time.perf_counter()
    answers = await asyncio.gather(*(ask(client, body) for body in named))
    seconds = time.perf_counter() - begun
    made = [body["force_task_id"] for body, answer in zip(named, answers, strict=True) if answer]
    results = [(await client.get(f"/easel/v1/jobs/{id}/result")).json() for id in made]
    return answers, seconds, seconds - sum(result["more"]["model_seconds"] for result in results)


def overheads(address: str, count: int) -> tuple[list[float], list[float], list[float]]:
    """(whole requests, what is around the making of a picture, what is beyond the model) in milliseconds.

    Over one plain connection: httpx takes longer over a request than the server does for some of its parts.
    """
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=3600)

    def asked(method: str, path: str, body: dict[str, Any] | None = None) -> tuple[float, bytes]:
        begun = time.perf_counter()
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
        return time.perf_counter() - begun, answer

    times, around, beyond = list[float](), list[float](), list[float]()
    for number in range(-WARM, count):
        id = f"overhead-{time.time_ns()}-{number}"
        body = {"prompt": "a cat", "seed": WARM + number, "steps": 1, "width": 64, "height": 64, "save_images": True}
        whole, _ = asked("POST", "/sdapi/v1/txt2img", body | {"force_task_id": id})
        result = json.loads(asked("GET", f"/easel/v1/jobs/{id}/result")[1])
        if number < 0:
            continue
        times.append(1000 * whole)
        around.append(1000 * (whole - result["seconds"]))
        beyond.append(1000 * (whole - result["more"]["model_seconds"]))
    return times, around, beyond


def _told(name: str, part: list[float], whole: list[float]) -> str:
    last = sorted(part)[int(0.95 * len(part)) - 1]
    share = statistics.median(part) / statistics.median(whole)
    return f"overhead {name}: median {statistics.median(part):.1f} ms, 95 of 100 below {last:.1f} ms, ratio {share:.3f}"


async def measure(address: str, clients: int, rounds: int, loras: list[str]) -> int:
    """Prints the numbers -> exit code."""
    limits = httpx.Limits(max_connections=clients + 4)
    async with httpx.AsyncClient(base_url=address, timeout=3600, limits=limits) as client:
        bodies = [wish(number, loras) for number in range(clients)]
        await ask(client, bodies[0])  # the model is loaded
        begun = time.perf_counter()
        singles = [await ask(client, body) for body in bodies]
        alone = time.perf_counter() - begun
        wrong = lost = 0
        most, times, beside = 0, [], []
        for _ in range(rounds):
            answers, seconds, beyond_model = await crowd(client, bodies)
            times.append(seconds)
            beside.append(1000 * beyond_model / clients)
            for body, single, answer in zip(bodies, singles, answers, strict=True):
                if answer is None or single is None:
                    lost += 1
                    continue
                levels = apart(single, answer)
                most = max(most, levels)
                wrong += not right(body, answer) or levels > 1
        unfinished = (await client.get("/easel/v1/jobs", params={"state": ["failed", "cancelled", "pending"]})).json()
        lost += len(unfinished["jobs"])
        print(f"{clients} clients, {rounds} rounds: wrong {wrong}, lost {lost}, most levels apart {most}")
        print(f"batches: together {alone / statistics.median(times):.2f} times as fast as one after the other")
        share = statistics.median(beside) * clients / 1000 / statistics.median(times)
        print(
            f"overhead in the crowd, beyond the model: {statistics.median(beside):.1f} ms a request, ratio {share:.3f}"
        )
        whole, around, beyond = await asyncio.to_thread(overheads, address, 100)
        print(_told("alone, beyond the model", beyond, whole))
        print(_told("alone, around", around, whole))
    return 1 if wrong or lost else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a running server")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpoints", type=Path, default=TINY / "Stable-diffusion")
    parser.add_argument("--loras", type=Path, default=TINY / "Lora")
    given = parser.parse_args()
    loras = sorted(path.stem for path in given.loras.glob("*.safetensors"))[:4]
    places = ("--nowebui", "--loglevel", "WARNING", "--ckpt-dir", given.checkpoints, "--lora-dir", given.loras)
    with contextlib.ExitStack() as stack:
        address = given.address or stack.enter_context(server(*map(str, places)))
        return asyncio.run(measure(address, given.clients, given.rounds, loras))


if __name__ == "__main__":
    sys.exit(main())
