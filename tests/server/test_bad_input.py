"""What cannot be used is refused with the name of the field at fault, and the server goes on as if nothing was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import torch

from tests.networks import made
from tests.server.running import SMALL, Answer, Server, blamed, pixels

REFUSED: tuple[tuple[str, Any, str], ...] = (
    ("prompt", 5, "prompt"),
    ("prompt", ["a cat"], "prompt"),
    ("negative_prompt", {"text": "blurry"}, "negative_prompt"),
    ("steps", "many", "steps"),
    ("steps", 2.5, "steps"),
    ("steps", True, "steps"),
    ("steps", 0, "steps"),
    ("steps", -3, "steps"),
    ("steps", 1e9, "steps"),
    ("width", 7, "width"),
    ("height", -64, "height"),
    ("width", 10**9, "width"),
    ("batch_size", -1, "batch_size"),
    ("batch_size", 10**6, "batch_size"),
    ("n_iter", 0, "n_iter"),
    ("seed", "random", "seed"),
    ("seed", 2**64, "seed"),
    ("seed", -2, "seed"),
    ("cfg_scale", "high", "cfg_scale"),
    ("eta", -1, "eta"),
    ("subseed_strength", 5, "subseed_strength"),
    ("styles", "one", "styles"),
    ("force_task_id", "../../up", "force_task_id"),
    ("script_name", "no such script", "script_name"),
    ("override_settings", 7, "override_settings"),
    ("override_settings", {"CLIP_stop_at_last_layers": "two"}, "override_settings.CLIP_stop_at_last_layers"),
    ("override_settings", {"samples_format": "psd"}, "override_settings.samples_format"),
)

NEARLY: tuple[tuple[str, Any, str, str], ...] = (
    ("sampler_name", "Eular a", "sampler_name", "Euler a"),
    ("sampler_index", "DPM 2M", "sampler_name", "DPM++ 2M"),
    ("scheduler", "Karas", "scheduler", "Karras"),
    ("override_settings", {"jpeg_qualty": 80}, "override_settings.jpeg_qualty", "jpeg_quality"),
    ("override_settings", {"sd_model_checkpoint": "tiny-sd2"}, "sd_model_checkpoint", "tiny-sd1.safetensors"),
)
"""Wrong names: field, value, the field that is named, the name that is offered."""

NOT_FINITE = ("NaN", "Infinity", "-Infinity", "1e999")
NO_BODIES = (b"", b"{", b"[]", b'"a cat"', b"null", b'{"steps": 4,}', b"\xff\xfe", b"[" * 5000)


@pytest.fixture(autouse=True)
def _unharmed(server: Server) -> Iterator[None]:
    """After each test the server answers, nothing was left in the queue, and nothing complained of a bug."""
    yield
    assert server.client.get("/internal/ping").status_code == 200
    assert server.get("progress")["state"]["job_count"] == 0
    assert "Traceback" not in server.console


def sent(server: Server, content: bytes) -> httpx.Response:
    """POST these bytes as JSON."""
    headers = {"content-type": "application/json"}
    return server.client.post("/sdapi/v1/txt2img", content=content, headers=headers)


@pytest.mark.parametrize(("field", "value", "named"), REFUSED)
def test_a_wrong_value_is_refused_by_name(server: Server, field: str, value: object, named: str) -> None:
    answer = server.post("txt2img", {**SMALL, field: value})
    assert (answer.status_code, blamed(answer)) == (422, named)


@pytest.mark.parametrize(("field", "value", "named", "offered"), NEARLY)
def test_a_wrong_name_is_answered_with_the_nearest(
    server: Server, field: str, value: object, named: str, offered: str
) -> None:
    answer = server.post("txt2img", {**SMALL, field: value})
    assert answer.status_code == 422
    assert named in blamed(answer)
    assert f'"{offered}"' in answer.json()["detail"]


@pytest.mark.parametrize("number", NOT_FINITE)
@pytest.mark.parametrize("field", ["cfg_scale", "eta", "steps"])
def test_numbers_that_are_not_finite_are_refused(server: Server, field: str, number: str) -> None:
    answer = sent(server, f'{{"{field}": {number}}}'.encode())
    assert (answer.status_code, blamed(answer)) == (422, field)


def test_a_number_that_is_not_finite_is_found_in_override_settings(server: Server) -> None:
    answer = sent(server, b'{"override_settings": {"sigma_min": NaN}}')
    assert answer.status_code == 422
    assert blamed(answer).startswith("override_settings")


@pytest.mark.parametrize("content", NO_BODIES, ids=lambda content: repr(content[:12]))
def test_what_is_no_request_is_refused(server: Server, content: bytes) -> None:
    answer = sent(server, content)
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]


def test_unknown_fields_are_ignored_as_in_a1111(server: Server) -> None:
    strange = {"a_field_of_tomorrow": {"deep": [1, 2]}, "Steps": 99}
    assert server.txt2img(**strange).same_as(server.txt2img())


def test_null_means_the_default(server: Server) -> None:
    nothing = dict.fromkeys(("negative_prompt", "cfg_scale", "sampler_name", "override_settings", "styles", "eta"))
    assert server.txt2img(**nothing).same_as(server.txt2img())


def test_numbers_may_be_whole_floats_and_texts(server: Server) -> None:
    """As in A1111, whose clients send such."""
    assert server.txt2img(steps=4.0, width="64", cfg_scale="7").same_as(server.txt2img(cfg_scale=7))


def test_a_prompt_of_ten_thousand_words(server: Server) -> None:
    long = " ".join(["cat", "house", "lake", "tree"] * 2500)
    answer = server.txt2img(prompt=long, steps=1)
    assert answer.infotexts[0].startswith(long)
    assert pixels(answer.images[0]) != pixels(server.txt2img(prompt="", steps=1).images[0])


def test_loras_that_cannot_be_used_are_told_and_the_next_picture_is_well(server: Server) -> None:
    folder = server.data / "models" / "Lora"
    plain = server.txt2img()
    foreign = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    files = [
        made.lora(folder, "strong-one"),
        made.written(folder, "cut-one", {"some.weight": torch.zeros(64)}),
        made.written(folder, "foreign-one", {f"{foreign}.lora_down.weight": torch.ones(4, 2048)}),
    ]
    files[1].write_bytes(files[1].read_bytes()[:-40])
    try:
        for name, reason in (("nowhere", "not found"), ("cut-one", "cut-one"), ("foreign-one", "Diffusion XL")):
            answer = server.post("txt2img", {**SMALL, "prompt": f"a cat <lora:{name}:1>"})
            assert reason in answer.raise_for_status().json()["comments"][0]
            assert pixels(Answer(answer).images[0]) == pixels(plain.images[0])
        absurd = server.post("txt2img", {**SMALL, "prompt": "a cat <lora:strong-one:1e38>"})
        assert (absurd.status_code, blamed(absurd)) == (422, "prompt")
    finally:
        for file in files:
            file.unlink()
    assert server.txt2img().same_as(plain)


@pytest.mark.parametrize("prompt", ["\x00", "((((", "\U0001f431" * 300, "(a:99999999)", "<lora:none:1>", "[a:b:0.5]"])
def test_strange_prompts_make_pictures(server: Server, prompt: str) -> None:
    answer = server.post("txt2img", {**SMALL, "prompt": prompt, "steps": 1})
    if prompt == "\x00":
        assert (answer.status_code, blamed(answer)) == (422, "prompt")
    else:
        assert len(Answer(answer.raise_for_status()).images) == 1


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"jpeg_qualty": 80}, "jpeg_qualty"),
        ({"jpeg_quality": 5000}, "jpeg_quality"),
        ({"samples_format": 7}, "samples_format"),
        ({"sd_model_checkpoint": "tiny-sd2"}, "sd_model_checkpoint"),
        ({"jpeg_quality": 44, "CLIP_stop_at_last_layers": []}, "CLIP_stop_at_last_layers"),
    ],
)
def test_wrong_settings_change_nothing(server: Server, body: dict[str, Any], named: str) -> None:
    before = server.get("options")
    answer = server.post("options", body)
    assert (answer.status_code, blamed(answer)) == (422, named)
    assert server.get("options") == before


@pytest.mark.parametrize("image", ["", "not base64!", "aGVsbG8=", "data:image/png;base64,"])
def test_png_info_of_what_is_no_picture(server: Server, image: str) -> None:
    answer = server.post("png-info", {"image": image})
    assert (answer.status_code, blamed(answer)) == (422, "image")


def test_wrong_addresses_and_methods(server: Server) -> None:
    assert server.client.get("/sdapi/v1/no-such-thing").status_code == 404
    assert server.client.post("/sdapi/v1/progress", json={}).status_code in (404, 405)  # the page takes every address
    assert server.client.get("/sdapi/v1/txt2img").status_code in (404, 405)
