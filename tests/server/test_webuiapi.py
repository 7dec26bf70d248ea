"""A client that others wrote (webuiapi), against the running program: what it asks of A1111 it gets here."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests.server.running import Server, until

webuiapi = pytest.importorskip("webuiapi")

SMALL: dict[str, Any] = {"width": 64, "height": 64, "steps": 2, "sampler_name": "Euler", "seed": 7}


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return webuiapi.WebUIApi(host="127.0.0.1", port=server.port, sampler="Euler", steps=2)


@pytest.fixture(scope="module")
def made(client: Any) -> Any:
    return client.txt2img(prompt="a boat", negative_prompt="a car", cfg_scale=7, **SMALL)


def test_txt2img(made: Any) -> None:
    assert made.image.size == (64, 64)
    assert made.info["seed"] == 7
    assert made.info["infotexts"][0].startswith("a boat\nNegative prompt: a car\nSteps: 2, Sampler: Euler")
    assert made.parameters["steps"] == 2


def test_several(client: Any) -> None:
    found = client.txt2img(prompt="a boat", batch_size=2, n_iter=1, **SMALL)
    assert [image.size for image in found.images] == [(64, 64)] * len(found.images)
    assert len(found.info["all_seeds"]) == 2


def test_img2img(client: Any, made: Any) -> None:
    found = client.img2img(images=[made.image], prompt="a ship", denoising_strength=0.5, cfg_scale=6.5, **SMALL)
    assert found.image.size == (64, 64)
    assert "Denoising strength: 0.5" in found.info["infotexts"][0]


def test_inpaint(client: Any) -> None:
    """What the mask does not cover stays."""
    picture = Image.new("RGB", (64, 64), (10, 200, 30))
    mask = Image.new("L", (64, 64), 0)
    ImageDraw.Draw(mask).rectangle((32, 0, 63, 63), fill=255)
    whole = {"inpainting_fill": 1, "inpaint_full_res": False, "mask_blur": 0}
    found = client.img2img(images=[picture], mask_image=mask, prompt="a boat", cfg_scale=5.0, **whole, **SMALL)
    kept, changed = found.image.convert("RGB").crop((0, 0, 24, 64)), found.image.convert("RGB").crop((40, 0, 64, 64))
    assert kept.tobytes() == picture.crop((0, 0, 24, 64)).tobytes()
    assert changed.tobytes() != picture.crop((40, 0, 64, 64)).tobytes()


def test_extras(client: Any, made: Any) -> None:
    single = client.extra_single_image(image=made.image, upscaler_1="Lanczos", upscaling_resize=2)
    assert single.image.size == (128, 128)
    batch = client.extra_batch_images(images=[made.image, made.image], upscaler_1="Nearest", upscaling_resize=1.5)
    assert [image.size for image in batch.images] == [(96, 96)] * 2


def test_png_info(client: Any, made: Any) -> None:
    assert client.png_info(made.image).info == made.info["infotexts"][0]


def test_options(client: Any) -> None:
    before = client.get_options()["CLIP_stop_at_last_layers"]
    client.set_options({"CLIP_stop_at_last_layers": before + 1})
    try:
        assert client.get_options()["CLIP_stop_at_last_layers"] == before + 1
    finally:
        client.set_options({"CLIP_stop_at_last_layers": before})
    model = client.util_get_current_model()
    assert model in [entry["title"] for entry in client.get_sd_models()]
    client.util_set_model(model)
    assert client.util_get_current_model() == model


def test_progress_and_interrupt(client: Any) -> None:
    found: list[Any] = []
    long = {**SMALL, "steps": 400}
    asking = threading.Thread(target=lambda: found.append(client.txt2img(prompt="a boat", **long)))
    asking.start()
    try:
        until(lambda: client.get_progress()["state"]["sampling_step"] >= 2)
        now = client.get_progress()
        assert 0 < now["progress"] < 1
        assert now["state"]["sampling_steps"] == 400
    finally:
        client.interrupt()
        asking.join(60)
    assert found[0].image.size == (64, 64), "what was there is finished"
    assert client.get_progress()["progress"] == 0


LISTS = (
    *("get_samplers", "get_schedulers", "get_upscalers", "get_latent_upscale_modes", "get_loras", "get_sd_models"),
    *("get_sd_vae", "get_hypernetworks", "get_face_restorers", "get_realesrgan_models", "get_prompt_styles"),
    *("get_scripts", "get_embeddings", "get_memory", "get_cmd_flags"),
)


@pytest.mark.parametrize("name", LISTS)
def test_lists(client: Any, name: str) -> None:
    assert isinstance(getattr(client, name)(), list | dict)


def test_refresh_and_skip(client: Any) -> None:
    client.refresh_checkpoints()
    client.skip()
