"""What schemathesis is told besides `/openapi.json`, by `fuzz_api.py`: how much a request may ask for, and real names.

Only what is large and valid is made small (10,000 steps of 64 pictures of 16384x16384 are a valid wish, and take days);
what is out of its bounds, of a wrong type or missing is sent as it was made up. Half of the texts that have to be a
picture, a sampler or a setting become one: no random text is, and the work behind these fields would never be reached.
Imported by schemathesis, in its environment, which need not be Easel's.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import random
import struct
import urllib.request
import zlib
from typing import Any

import schemathesis

ADDRESS = os.environ["EASEL_ADDRESS"]
MOST: dict[str, tuple[float, float]] = {
    "steps": (2, 10_000_000),
    "hr_second_pass_steps": (2, 10_000),
    "n_iter": (2, 10_000),
    "batch_size": (2, 1024),
    "width": (128, 16384),
    "height": (128, 16384),
    "firstphase_width": (128, 16384),
    "firstphase_height": (128, 16384),
    "hr_resize_x": (128, 16384),
    "hr_resize_y": (128, 16384),
    "hr_scale": (2, float("inf")),
    "upscaling_resize": (4, 64),
    "upscaling_resize_w": (512, 16384),
    "upscaling_resize_h": (512, 16384),
    "processor_res": (512, float("inf")),
}
"""Field of a body -> what it is cut to, and what is valid at most."""
UNGIVEN = {"steps": 2, "width": 64, "height": 64}
"""What bodies that make pictures are given where they say nothing: the defaults are 50 steps of 512x512."""
LISTS = {
    "sampler_name": ("samplers", "name"),
    "sampler_index": ("samplers", "name"),
    "hr_sampler_name": ("samplers", "name"),
    "scheduler": ("schedulers", "label"),
    "hr_scheduler": ("schedulers", "label"),
    "hr_upscaler": ("upscalers", "name"),
    "upscaler_1": ("upscalers", "name"),
    "upscaler_2": ("upscalers", "name"),
    "embedding_name": ("embeddings", "loaded"),
    "script_name": ("scripts", "txt2img"),
}
"""Field -> the list in /sdapi/v1 that has its names, and their key there."""
PICTURES = ("image", "init_images", "mask", "latent_mask", "firstpass_image", "controlnet_input_images", "data")
NEEDED = {
    "/sdapi/v1/img2img": {"init_images": [""]},
    "/sdapi/v1/extra-single-image": {"image": ""},
    "/sdapi/v1/extra-batch-images": {"imageList": [{"name": "", "data": ""}]},
    "/sdapi/v1/create/embedding": {"name": "fuzzed", "overwrite_old": True},
    "/sdapi/v1/create/hypernetwork": {"name": "fuzzed", "overwrite_old": True},
    "/controlnet/detect": {"controlnet_input_images": [""]},
}
"""What half of the bodies are given where they do not say it themselves: without it they ask for nothing."""
SETTINGS = ("override_settings", "/sdapi/v1/options")
FIXED = ("outdir", "dir", "path", "sd_model_checkpoint", "api_enable_requests")
"""Parts of the names of settings that stay: nothing is written outside the folder, nothing is asked of others."""
WAITING = "/easel/v1/queue/pause"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A body is cut to what a processor makes in a second, and half of its names become real ones."""
    if not isinstance(case.body, dict):
        return
    path, chance = case.operation.path, random.Random(repr(case.body))
    lacking = NEEDED.get(path, {}) if chance.random() < 0.5 else {}
    body = named({**lacking, **case.body}, chance)
    if path in SETTINGS:
        body = with_settings(body, chance)
    case.body = bounded(body, makes_pictures=path.endswith(("/txt2img", "/img2img")))


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """A queue that was told to wait goes on: a request that waits for its pictures would wait for ever."""
    if case.operation.path == WAITING and response.status_code == 200:
        urllib.request.urlopen(urllib.request.Request(f"{ADDRESS}/easel/v1/queue/resume", method="POST"))


def bounded(body: dict[str, Any], *, makes_pictures: bool) -> dict[str, Any]:
    """The body with no more in it than `MOST`; the one inside a job's body too."""
    less = {name: _less(name, value) for name, value in body.items()}
    if isinstance(less.get("request"), dict):
        kind = body.get("kind") in ("txt2img", "img2img")
        less["request"] = bounded(less["request"], makes_pictures=kind)
    return {**UNGIVEN, **less} if makes_pictures else less


def _less(name: str, value: Any) -> Any:
    if name not in MOST or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    cut, most = MOST[name]
    return type(value)(cut) if cut < value <= most else value


def named(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Half of the names and pictures of a body are real."""
    return {name: _real(name, value, chance) if chance.random() < 0.5 else value for name, value in body.items()}


def _real(name: str, value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        return with_settings(value, chance) if name in SETTINGS else named(value, chance)
    if isinstance(value, list):
        return [_real(name, each, chance) for each in value]
    if name in PICTURES:
        return picture(chance.choice((1, 8, 40, 64)), chance.choice((1, 8, 48)))
    if isinstance(value, str) and name in LISTS:
        return chance.choice(names(*LISTS[name]) or [value])
    return value


def with_settings(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The values under names of settings; half of the values are those of now."""
    known = {name: value for name, value in answer("options").items() if not any(part in name for part in FIXED)}
    chosen = chance.sample(sorted(known), min(len(body), len(known)))
    return {
        name: value if chance.random() < 0.5 else known[name]
        for name, value in zip(chosen, body.values(), strict=False)
    }


@functools.cache
def answer(route: str) -> Any:
    with urllib.request.urlopen(f"{ADDRESS}/sdapi/v1/{route}") as found:
        return json.load(found)


def names(route: str, key: str) -> list[str]:
    found = answer(route)
    return list(found[key]) if isinstance(found, dict) else [each[key] for each in found]


def picture(width: int, height: int) -> str:
    """A grey PNG in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\x80" * width * 3) * height)
    parts = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)).decode()
