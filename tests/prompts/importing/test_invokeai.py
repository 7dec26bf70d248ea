"""InvokeAI: chunks as versions 1 to 6 write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modules.prompts import infotext
from modules.prompts.importing import translate


def read(**items: Any) -> dict[str, str]:
    chunks = {
        key.replace("_metadata", "-metadata") if key == "sd_metadata" else key: value for key, value in items.items()
    }
    text = translate(None, {k: v if isinstance(v, str) else json.dumps(v) for k, v in chunks.items()}, (640, 480))
    assert text is not None
    return infotext.parse(text)


SHARED = {
    **{
        "generation_mode": "txt2img",
        "positive_prompt": "a cat++",
        "negative_prompt": "dog",
        "width": 512,
        "height": 768,
    },
    **{"seed": 42, "cfg_scale": 7.5, "steps": 30, "scheduler": "dpmpp_2m_k", "clip_skip": 1, "rand_device": "cpu"},
}


@pytest.mark.parametrize(
    "named",
    [
        {  # 3.x
            "model": {"model_name": "dreamshaper", "base_model": "sd-1", "model_type": "main"},
            "loras": [{"lora": {"model_name": "detail", "base_model": "sd-1"}, "weight": 0.75}],
            "app_version": "3.6.0",
        },
        {  # 4.0 and later
            "model": {"key": "0a", "hash": "blake3:1", "name": "dreamshaper", "base": "sd-1", "type": "main"},
            "loras": [{"model": {"key": "0b", "name": "detail", "base": "sd-1", "type": "lora"}, "weight": 0.75}],
            "app_version": "5.4.2",
        },
    ],
)
def test_metadata_of_3_to_6(named: dict[str, Any]) -> None:
    assert read(invokeai_metadata=SHARED | named) == {
        **{"Steps": "30", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "7.5", "Seed": "42"},
        **{"Size-1": "512", "Size-2": "768", "Model": "dreamshaper", "Clip skip": "2", "RNG": "CPU"},
        **{"Version": f"InvokeAI {named['app_version']}", "Prompt": "a cat++ <lora:detail:0.75>"},
        **{"Negative prompt": "dog"},
    }


@pytest.mark.parametrize(
    ("scheduler", "sampler", "schedule"),
    [
        ("euler", "Euler", "Uniform"),
        ("euler_k", "Euler", "Karras"),
        ("euler_a", "Euler a", "Uniform"),
        ("kdpm_2_a", "DPM2 a", "Uniform"),
        ("dpmpp_sde_k", "DPM++ SDE", "Karras"),
        ("dpmpp_2m_sde", "DPM++ 2M SDE", "Uniform"),
        ("ddim", "DDIM", None),
        ("pndm", "PLMS", None),
        ("unipc", "UniPC", None),
        ("deis", "deis", None),
    ],
)
def test_schedulers(scheduler: str, sampler: str, schedule: str | None) -> None:
    found = read(invokeai_metadata=SHARED | {"scheduler": scheduler})
    assert (found["Sampler"], found.get("Schedule type")) == (sampler, schedule)


SECOND = {
    **{"model": "stable diffusion", "model_weights": "stable-diffusion-1.5", "app_id": "invoke-ai/InvokeAI"},
    **{"model_hash": "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516", "app_version": "v2.3.5"},
    "image": {
        **{"prompt": [{"prompt": "a robot reading [blurry, text]", "weight": 1.0}], "steps": 50, "cfg_scale": 7.5},
        **{"height": 512, "width": 768, "seed": 1618033988, "seamless": False, "type": "txt2img", "sampler": "k_lms"},
    },
}


def test_metadata_of_2() -> None:
    assert read(sd_metadata=SECOND) == {
        **{"Steps": "50", "Sampler": "LMS", "Schedule type": "Uniform", "CFG scale": "7.5", "Seed": "1618033988"},
        **{"Size-1": "768", "Size-2": "512", "Model hash": "cc6cb27103", "Model": "stable-diffusion-1.5", "RNG": "CPU"},
        **{"Version": "InvokeAI 2.3.5", "Prompt": "a robot reading", "Negative prompt": "blurry, text"},
    }


@pytest.mark.parametrize(
    "dream",
    [
        '"a "big" robot -s [blurry, text]" -s 50 -S 1618033988 -W 768 -H 512 -C 7.5 -A k_lms',
        '"a "big" robot -s [blurry, text]" -s50 -b1 -W768 -H512 -C7.5 -mk_lms -S1618033988',
    ],
)
def test_command_line_of_1(dream: str) -> None:
    found = read(Dream=dream)
    assert (found["Prompt"], found["Negative prompt"]) == ('a "big" robot -s', "blurry, text")
    assert (found["Steps"], found["Seed"], found["CFG scale"], found["Sampler"]) == ("50", "1618033988", "7.5", "LMS")
    assert (found["Size-1"], found["Size-2"]) == ("768", "512")


def test_a_command_line_without_quotes() -> None:
    found = read(Dream="a cat -s 20 -S 7 -A ddim")
    assert (found["Prompt"], found["Steps"], found["Sampler"], found["Size-1"]) == ("a cat", "20", "DDIM", "640")


def test_the_newest_chunk_counts() -> None:
    found = read(invokeai_metadata=SHARED, sd_metadata=SECOND, Dream='"x" -s 1 -S 2')
    assert found["Prompt"] == "a cat++"
