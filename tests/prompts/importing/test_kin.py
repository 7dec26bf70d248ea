"""Forge, SD.Next and Civitai: texts as those programs write them."""

from __future__ import annotations

from modules.prompts.importing import parse, translate

FORGE = (
    "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG "
    "Scale: 3.5, Seed: 7, Size: 896x1152, Model hash: a6e13ba5ff, Model: flux1-dev, Diffusion in Low Bits: "
    'float8-e4m3fn (fp16 LoRA), Version: f2.0.1v1.10.1-previous-669-gdfdcbab6, Module 1: ae, Module 2: "clip_l, x"'
)


def test_forge() -> None:
    found = parse(FORGE)
    assert found == {
        **{"Steps": "20", "Sampler": "Euler", "Schedule type": "Simple", "CFG scale": "1"},
        **{"Distilled CFG Scale": "3.5", "Seed": "7", "Size-1": "896", "Size-2": "1152", "Model hash": "a6e13ba5ff"},
        **{"Model": "flux1-dev", "Diffusion in Low Bits": "float8-e4m3fn (fp16 LoRA)", "FP8 weight": "Enable"},
        **{"Cache FP16 weight for LoRA": "True", "Version": "f2.0.1v1.10.1-previous-669-gdfdcbab6"},
        **{"Module 1": "ae", "Module 2": "clip_l, x", "Prompt": "a cat", "Negative prompt": "dog"},
    }


def test_forge_neo_calls_the_guidance_shift() -> None:
    found = parse("a cat\nSteps: 9, Sampler: Euler, CFG scale: 1, Shift: 9, Seed: 7, Size: 8x8, Version: neo")
    assert (found["Distilled CFG Scale"], "Shift" in found) == ("9", False)


SDNEXT = (
    "(spaceship), [photograph]\nNegative prompt: planet\nSteps: 30, Size: 800x800, Sampler: DPM++ 2M, Scheduler: "
    "DPMSolverMultistepScheduler, Seed: 1234321, CFG scale: 8.0, CFG rescale: 0.7, CFG end: 0.8, App: SD.Next, "
    "Version: 0eb4a98, Parser: a1111, Pipeline: StableDiffusionXLPipeline, Operations: txt2img; hires, Model: "
    "colossus, Variation seed: 5, Variation strength: 0.2, Hires upscaler: ESRGAN 4x, Hires fixed: 1600x1600, "
    "Hires strength: 0.3, Hires sampler: DPM++ SDE, Sampler eta delta: 31337, Sampler sigma: karras"
)


def test_sdnext() -> None:
    found = parse(SDNEXT)
    assert found["Prompt"] == "(spaceship), [photograph]"
    assert (found["Sampler"], found["Schedule type"], found["ENSD"]) == ("DPM++ 2M", "Karras", "31337")
    assert (found["Denoising strength"], found["Hires resize-1"], found["Hires resize-2"]) == ("0.3", "1600", "1600")
    assert (found["Hires sampler"], found["Variation seed strength"]) == ("DPM++ SDE", "0.2")
    assert (found["Parser"], found["CFG rescale"], found["Operations"]) == ("a1111", "0.7", "txt2img; hires")
    assert not {"Hires strength", "Hires fixed", "Variation strength", "Sampler eta delta"} & set(found)


def test_names_of_diffusers_in_sdnext() -> None:
    found = parse("a\nSteps: 5, Seed: 1, Sampler: PNDM, Size: 8x8, App: SD.Next, Hires sampler: KDPM2 a")
    assert (found["Sampler"], found["Hires sampler"]) == ("PLMS", "DPM2 a")


CIVITAI = (
    "a warrior: sad,\n candid\nNegative prompt: photo\nSteps: 40, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: "
    "2027225909, Size: 1216x832, Clip skip: 2, Created Date: 2026-02-25T22:09:08.8166925Z, Civitai resources: "
    '[{"type":"checkpoint","modelVersionId":1714314,"modelName":"Plant, Milk: \\uD83C\\uDF3F"}], Civitai metadata: '
    '{"workflow":"txt2img","prompt":"Steps: 3, Seed: 4, Model: no","resources":[{"strength":1}]}'
)


def test_civitai() -> None:
    found = parse(CIVITAI)
    assert (found["Prompt"], found["Negative prompt"]) == ("a warrior: sad,\ncandid", "photo")
    assert (found["Steps"], found["Seed"], "Model" in found) == ("40", "2027225909", False)
    assert (found["Sampler"], found["Schedule type"], found["Clip skip"]) == ("DPM++ 2M", "Karras", "2")
    assert found["Civitai resources"].startswith('[{"type":"checkpoint"')
    assert found["Civitai metadata"].endswith('"resources":[{"strength":1}]}')
    text = translate(CIVITAI, {}, None)
    assert text is not None
    assert parse(text) == found


def test_civitai_on_lines_of_their_own() -> None:
    found = parse("a\nNegative prompt: \nSteps: 8, Sampler: euler, CFG scale: 1\nCivitai resources: [1, 2]\n")
    assert (found["Prompt"], found["Steps"], found["Sampler"]) == ("a", "8", "Euler")
    assert found["Civitai resources"] == "[1, 2]"


def test_a_sampler_that_says_nothing_is_left_out() -> None:
    found = parse("a\nSteps: 8, Sampler: Undefined, Seed: 1, Size: 8x8, Civitai resources: []")
    assert "Sampler" not in found
