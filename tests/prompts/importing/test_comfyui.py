"""ComfyUI's graphs: as run and as drawn, with its own nodes and with custom ones, whole and broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modules.prompts import infotext
from modules.prompts.importing import parse, translate
from modules.prompts.importing.nodes import as_run

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def plain() -> Graph:
    """ComfyUI's default workflow."""
    return {
        "3": node(
            "KSampler",
            **{"seed": 156680208700286, "steps": 20, "cfg": 8.0, "sampler_name": "dpmpp_2m", "scheduler": "karras"},
            **{"denoise": 1.0, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="sd1\\v1-5.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "6": node("CLIPTextEncode", text="a cat, (detailed:1.2)", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="dog", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }


def read(graph: Graph, **items: str) -> dict[str, str]:
    text = translate(None, {"prompt": json.dumps(graph), **items}, (640, 480))
    assert text is not None
    return infotext.parse(text)


WANTED = {
    **{"Steps": "20", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "8.0", "Seed": "156680208700286"},
    **{"Size-1": "512", "Size-2": "768", "Model": "v1-5", "RNG": "CPU", "Version": "ComfyUI"},
    **{"Prompt": "a cat, (detailed:1.2)", "Negative prompt": "dog"},
}


def test_the_default_workflow() -> None:
    assert read(plain()) == WANTED


def test_a_pasted_graph() -> None:
    assert parse(json.dumps(plain())) == WANTED


def test_values_that_are_not_finite_in_json() -> None:
    found = read(plain() | {"9": {"class_type": "SaveImage", "inputs": {}, "is_changed": [float("nan")]}})
    assert found == WANTED


@pytest.mark.parametrize(
    ("sampler", "scheduler", "wanted"),
    [
        ("euler_ancestral", "normal", ("Euler a", "Normal")),
        ("dpmpp_2m_sde_gpu", "sgm_uniform", ("DPM++ 2M SDE", "SGM Uniform")),
        ("dpm_2_ancestral", "ddim_uniform", ("DPM2 a", "DDIM")),
        ("uni_pc", "beta", ("UniPC", "Beta")),
        ("res_multistep", "kl_optimal", ("res_multistep", "KL Optimal")),
        ("some_new_one", "another", ("some_new_one", "another")),
    ],
)
def test_names(sampler: str, scheduler: str, wanted: tuple[str, str]) -> None:
    graph = plain()
    graph["3"]["inputs"] |= {"sampler_name": sampler, "scheduler": scheduler}
    found = read(graph)
    assert (found["Sampler"], found["Schedule type"]) == wanted


def test_networks_and_skipped_layers() -> None:
    graph = plain() | {
        "10": node(
            "LoraLoader", lora_name="a/first.safetensors", strength_model=0.8, strength_clip=0.8, model=["4", 0]
        ),
        "11": node("LoraLoader", lora_name="second.pt", strength_model=1, strength_clip=0.5, model=["10", 0]),
        "12": node("LoraLoaderModelOnly", lora_name="third", strength_model=0.25, model=["11", 0]),
        "13": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["11", 1]),
        "14": node("VAELoader", vae_name="better.vae.pt"),
    }
    graph["3"]["inputs"]["model"] = ["12", 0]
    graph["6"]["inputs"]["clip"] = ["13", 0]
    graph["8"]["inputs"]["vae"] = ["14", 0]
    found = read(graph)
    assert found["Prompt"].endswith("1.2) <lora:first:0.8> <lora:second:0.5:1> <lora:third:0:0.25>")
    assert (found["Clip skip"], found["VAE"], found["Model"]) == ("2", "better.vae", "v1-5")


def test_a_stack_of_networks() -> None:
    entries = {
        "lora_1": {"on": True, "lora": "x.safetensors", "strength": 0.5},
        "lora_2": {"on": False, "lora": "y.safetensors", "strength": 1},
        "lora_3": {"on": True, "lora": "z.safetensors", "strength": 1, "strengthTwo": 0.2},
    }
    graph = plain() | {"10": node("Power Lora Loader (rgthree)", **entries, model=["4", 0], clip=["4", 1])}
    graph["3"]["inputs"]["model"] = ["10", 0]
    assert read(graph)["Prompt"].endswith(" <lora:x:0.5> <lora:z:0.2:1>")


def test_values_through_primitives_and_reroutes() -> None:
    graph = plain() | {
        "20": node("PrimitiveInt", value=99),
        "21": node("Reroute", **{"": ["20", 0]}),
        "22": node("Seed (rgthree)", seed=7),
        "23": node("PrimitiveStringMultiline", value='a "fox",\nred'),
        "24": node("StringConcatenate", string_a=["23", 0], string_b="é", delimiter="; "),
    }
    graph["3"]["inputs"] |= {"steps": ["21", 0], "seed": ["22", 0]}
    graph["6"]["inputs"]["text"] = ["24", 0]
    found = read(graph)
    assert (found["Steps"], found["Seed"], found["Prompt"]) == ("99", "7", 'a "fox",\nred; é')


def test_conditionings_that_are_put_together() -> None:
    graph = plain() | {
        "20": node("CLIPTextEncode", text="b", clip=["4", 1]),
        "21": node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["20", 0]),
        "22": node("CLIPTextEncodeSDXL", text_g="c", text_l="d", clip=["4", 1]),
        "23": node("ConditioningConcat", conditioning_to=["21", 0], conditioning_from=["22", 0]),
        "24": node("ControlNetApplyAdvanced", positive=["23", 0], negative=["7", 0], strength=1.0),
        "25": node("ConditioningZeroOut", conditioning=["6", 0]),
    }
    graph["6"]["inputs"]["text"] = "a"
    graph["3"]["inputs"] |= {"positive": ["24", 0], "negative": ["24", 1]}
    found = read(graph)
    assert (found["Prompt"], found["Negative prompt"]) == ("a AND b BREAK c\nd", "dog")
    graph["3"]["inputs"]["negative"] = ["25", 0]
    assert read(graph)["Negative prompt"] == ""


def test_the_same_text_for_both_encoders_is_said_once() -> None:
    graph = plain() | {"6": node("CLIPTextEncodeSDXL", text_g="a cat", text_l="a cat", width=1024, height=1024)}
    assert read(graph)["Prompt"] == "a cat"


def test_custom_sampling_of_flow_models() -> None:
    graph = {
        "1": node("SamplerCustomAdvanced", noise=["2", 0], guider=["3", 0], sampler=["4", 0], sigmas=["5", 0]),
        "2": node("RandomNoise", noise_seed=42),
        "3": node("BasicGuider", model=["6", 0], conditioning=["7", 0]),
        "4": node("KSamplerSelect", sampler_name="euler"),
        "5": node("BasicScheduler", scheduler="simple", steps=28, denoise=1.0, model=["6", 0]),
        "6": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        "7": node("FluxGuidance", guidance=3.5, conditioning=["8", 0]),
        "8": node("CLIPTextEncode", text="a cat", clip=["9", 0]),
        "10": node("EmptySD3LatentImage", width=1024, height=768, batch_size=1),
    }
    graph["1"]["inputs"]["latent_image"] = ["10", 0]
    assert read(graph) == {
        **{"Steps": "28", "Sampler": "Euler", "Schedule type": "Simple", "Seed": "42", "Size-1": "1024"},
        **{"Size-2": "768", "Model": "flux1-dev", "Distilled CFG Scale": "3.5", "RNG": "CPU", "Version": "ComfyUI"},
        **{"Prompt": "a cat", "Negative prompt": ""},
    }


def test_samplers_and_schedulers_that_are_nodes() -> None:
    graph = plain() | {
        "3": node(
            "SamplerCustom",
            **{"noise_seed": 5, "cfg": 6, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0]},
            **{"sampler": ["20", 0], "sigmas": ["21", 0], "latent_image": ["5", 0]},
        ),
        "20": node("SamplerDPMPP_2M_SDE", eta=1.0),
        "21": node("SplitSigmas", sigmas=["22", 0], step=3),
        "22": node("KarrasScheduler", steps=12, sigma_max=14.6, sigma_min=0.03, rho=7.0),
    }
    found = read(graph)
    assert (found["Sampler"], found["Schedule type"], found["Steps"]) == ("DPM++ 2M SDE", "Karras", "12")
    assert (found["Seed"], found["CFG scale"], found["Negative prompt"]) == ("5", "6", "dog")


def second(**inputs: Any) -> dict[str, Any]:
    shared = {"seed": 8, "steps": 10, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.5}
    return node("KSampler", **shared | {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0]} | inputs)


def test_a_second_pass_is_hires() -> None:
    graph = plain() | {
        "20": second(latent_image=["21", 0]),
        "21": node("LatentUpscaleBy", upscale_method="nearest-exact", scale_by=1.5, samples=["3", 0]),
    }
    graph["8"]["inputs"]["samples"] = ["20", 0]
    wanted = {"Denoising strength": "0.5", "Hires upscale": "1.5", "Hires steps": "10"}
    assert read(graph) == WANTED | wanted | {"Hires upscaler": "Latent (nearest-exact)"}


def test_a_second_pass_over_an_enlarged_picture() -> None:
    graph = plain() | {
        "20": second(latent_image=["21", 0]),
        "21": node("VAEEncode", pixels=["22", 0], vae=["4", 2]),
        "22": node("ImageScale", upscale_method="lanczos", width=1024, height=1536, image=["23", 0]),
        "23": node("ImageUpscaleWithModel", upscale_model=["24", 0], image=["8", 0]),
        "24": node("UpscaleModelLoader", model_name="4x-UltraSharp.pth"),
    }
    found = read(graph)
    assert (found["Hires resize-1"], found["Hires resize-2"], found["Seed"]) == ("1024", "1536", "156680208700286")
    assert (found["Hires upscaler"], found["Size-1"]) == ("4x-UltraSharp", "512")


def test_a_second_checkpoint_is_the_refiner() -> None:
    graph = plain() | {
        "20": second(latent_image=["3", 0], model=["21", 0], steps=25, start_at_step=20, denoise=1),
        "21": node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors"),
    }
    assert read(graph) == WANTED | {"Refiner": "refiner", "Refiner switch at": "0.8"}


def test_a_picture_to_begin_with() -> None:
    graph = plain() | {"5": node("VAEEncode", pixels=["20", 0], vae=["4", 2]), "20": node("LoadImage", image="a.png")}
    graph["3"]["inputs"]["denoise"] = 0.6
    found = read(graph)
    assert (found["Denoising strength"], found["Size-1"], found["Size-2"]) == ("0.6", "640", "480")


def test_prompts_in_the_loader() -> None:
    graph = {
        "1": node("Efficient Loader", ckpt_name="m.ckpt", positive="a cat", negative="dog", empty_latent_width=256),
        "2": node(
            "KSampler (Efficient)",
            **{"seed": 1, "steps": 2, "cfg": 3, "sampler_name": "lcm", "scheduler": "simple", "model": ["1", 0]},
            **{"positive": ["1", 1], "negative": ["1", 2], "latent_image": ["1", 3]},
        ),
    }
    graph["1"]["inputs"]["empty_latent_height"] = 320
    found = read(graph)
    assert (found["Prompt"], found["Negative prompt"], found["Sampler"]) == ("a cat", "dog", "LCM")
    assert (found["Size-1"], found["Size-2"], found["Model"]) == ("256", "320", "m")


DRAWN = {
    "nodes": [
        {"id": 3, "type": "KSampler", "widgets_values": [7, "randomize", 20, 8, "euler", "normal", 1]}
        | {
            "inputs": [
                {"name": "model", "link": 1},
                {"name": "positive", "link": 4},
                {"name": "negative", "link": 6},
                {"name": "latent_image", "link": 2},
            ]
        },
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["v1-5.ckpt"]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": [512, 768, 1]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a cat"], "inputs": [{"name": "clip", "link": None}]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["dog"]},
        {"id": 10, "type": "Reroute", "inputs": [{"name": "", "link": 9}]},
    ],
    "links": [
        *([1, 4, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"], [4, 10, 0, 3, 1, "CONDITIONING"]),
        *([6, 7, 0, 3, 2, "CONDITIONING"], [9, 6, 0, 10, 0, "*"]),
    ],
}


def test_a_graph_as_drawn() -> None:
    text = translate(None, {"workflow": json.dumps(DRAWN)}, (8, 8))
    assert text is not None
    assert infotext.parse(text) == {
        **{"Steps": "20", "Sampler": "Euler", "Schedule type": "Normal", "CFG scale": "8", "Seed": "7"},
        **{"Size-1": "512", "Size-2": "768", "Model": "v1-5", "RNG": "CPU", "Version": "ComfyUI"},
        **{"Prompt": "a cat", "Negative prompt": "dog"},
    }


def test_the_graph_as_run_counts_more() -> None:
    assert read(plain(), workflow=json.dumps(DRAWN)) == WANTED


@pytest.mark.parametrize("links", [["3", 0], ["6", 0], ["99", 0], ["6", -1], ["", 0], [6, 0]])
def test_circles_and_missing_nodes_do_not_hang(links: list[Any]) -> None:
    graph = plain()
    for one in graph.values():
        one["inputs"] = {key: links if isinstance(value, list) else value for key, value in one["inputs"].items()}
    assert read(graph)["Steps"] == "20"


def test_a_chain_of_thousands_of_nodes() -> None:
    graph = plain()
    graph |= {str(i): node("ConditioningSetArea", conditioning=[str(i + 1), 0]) for i in range(1000, 6000)}
    graph |= {str(i): node("LoraLoader", lora_name="", model=[str(i + 1), 0]) for i in range(10_000, 15_000)}
    graph["3"]["inputs"] |= {"positive": ["1000", 0], "model": ["10000", 0]}
    assert read(graph)["Prompt"] == ""


def test_parts_that_share_parts_are_said_once() -> None:
    graph = plain()
    for i in range(100, 160):
        both = [str(i + 1), 0] if i < 159 else ["6", 0]
        graph[str(i)] = node("ConditioningCombine", conditioning_1=both, conditioning_2=both)
    graph["3"]["inputs"]["positive"] = ["100", 0]
    assert read(graph)["Prompt"] == "a cat, (detailed:1.2)"


@pytest.mark.parametrize("graph", [{}, {"1": node("LoadImage", image="a.png")}, {"1": {"class_type": "KSampler"}}])
def test_without_a_sampler_there_is_nothing_to_say(graph: Graph) -> None:
    assert translate(None, {"prompt": json.dumps(graph)}, (8, 8)) is None


def test_links_are_told_from_lists() -> None:
    graph = as_run({"1": node("A", link=["2", 0], words=["2", "x"], three=["2", 0, 0])})
    assert graph is not None
    assert [type(value).__name__ for value in graph.nodes["1"].inputs.values()] == ["Link", "list", "list"]
