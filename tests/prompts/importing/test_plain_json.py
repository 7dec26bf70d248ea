"""Fooocus, SwarmUI and Draw Things: objects as those programs write them."""

from __future__ import annotations

import html
import json
from typing import Any

from modules.prompts import infotext
from modules.prompts.importing import parse, translate

FOOOCUS: dict[str, Any] = {
    **{"adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8", "base_model_hash": "aeb7e9e689"},
    **{"full_negative_prompt": ["blurry", "watermark"], "full_prompt": ["cinematic still a cat", "a cat, detailed"]},
    **{"guidance_scale": 4, "loras": [["offset_1.0", 0.1, "4852686128"]], "metadata_scheme": "fooocus"},
    **{"negative_prompt": "", "performance": "Speed", "prompt": "a cat", "refiner_model": "None"},
    **{"refiner_switch": 0.5, "resolution": "(512, 768)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras"},
    **{"seed": "127589946317439009", "sharpness": 2, "steps": 30, "styles": "['Fooocus V2']", "clip_skip": 2},
    **{"vae": "Default (model)", "version": "Fooocus v2.5.5"},
}


def test_fooocus() -> None:
    assert parse(json.dumps(FOOOCUS)) == {
        **{"Steps": "30", "Sampler": "DPM++ 2M SDE", "Schedule type": "Karras", "CFG scale": "4"},
        **{"Seed": "127589946317439009", "Size-1": "512", "Size-2": "768", "Model hash": "aeb7e9e689"},
        **{"Model": "juggernautXL_v8", "Clip skip": "2", "Styles": "['Fooocus V2']", "Performance": "Speed"},
        **{"Sharpness": "2", "Version": "Fooocus v2.5.5", "Negative prompt": "blurry, watermark"},
        "Prompt": "cinematic still a cat, a cat, detailed <lora:offset_1.0:0.1>",
    }


def test_older_networks_of_fooocus() -> None:
    facts = FOOOCUS | {"loras": [], "lora_combined_1": "True : a.safetensors : 0.5", "lora_combined_2": "b : 1"}
    facts |= {"lora_combined_3": "False : c : 1"}
    assert parse(json.dumps(facts))["Prompt"].endswith("detailed <lora:a:0.5> <lora:b:1>")


def test_swarmui() -> None:
    facts = {
        **{"prompt": "a cat", "negativeprompt": "dog", "model": "Official/sd_xl_base_1.0", "seed": 1, "steps": 20},
        **{"cfgscale": 7.0, "width": 1024, "height": 768, "sampler": "euler_ancestral", "scheduler": "sgm_uniform"},
        **{"loras": ["x/detail"], "loraweights": ["0.5"], "swarm_version": "0.9.3.1"},
    }
    found = parse(json.dumps({"sui_image_params": facts, "sui_extra_data": {"date": "2025-01-25"}}))
    assert (found["Prompt"], found["Negative prompt"]) == ("a cat <lora:detail:0.5>", "dog")
    assert (found["Sampler"], found["Schedule type"], found["Model"]) == ("Euler a", "SGM Uniform", "sd_xl_base_1.0")
    assert (found["Size-1"], found["Size-2"], found["Version"]) == ("1024", "768", "SwarmUI 0.9.3.1")


DRAWTHINGS: dict[str, Any] = {
    **{"c": 'a <fox>, "red"', "uc": "blurry", "steps": 30, "sampler": "DPM++ 2M Karras", "scale": 7.5, "seed": 42},
    **{"size": "1024x768", "model": "sd_xl_base.ckpt", "strength": 1, "seed_mode": "Scale Alike"},
    **{"refiner": "sd_xl_refiner.ckpt", "refiner_start": 0.85, "lora": [{"model": "add_detail.ckpt", "weight": 0.7}]},
}
WANTED = {
    **{"Steps": "30", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "7.5", "Seed": "42"},
    **{"Size-1": "1024", "Size-2": "768", "Model": "sd_xl_base", "Refiner": "sd_xl_refiner"},
    **{"Refiner switch at": "0.85", "Seed mode": "Scale Alike", "Version": "Draw Things"},
    **{"Prompt": 'a <fox>, "red" <lora:add_detail:0.7>', "Negative prompt": "blurry"},
}


def test_drawthings_in_the_comment() -> None:
    assert parse(json.dumps(DRAWTHINGS)) == WANTED


def test_drawthings_in_xmp() -> None:
    said = html.escape(json.dumps(DRAWTHINGS))
    packet = (
        f"<x><exif:UserComment><rdf:Alt><rdf:li xml:lang='x-default'>{said}</rdf:li></rdf:Alt></exif:UserComment></x>"
    )
    text = translate(None, {"XML:com.adobe.xmp": packet}, (8, 8))
    assert text is not None
    assert infotext.parse(text) == WANTED


def test_trailing_samplers_of_drawthings() -> None:
    found = parse(json.dumps(DRAWTHINGS | {"sampler": "Euler A Trailing", "strength": 0.6}))
    assert (found["Sampler"], found["Schedule type"], found["Denoising strength"]) == ("Euler a", "SGM Uniform", "0.6")
