"""Laws of every reader: nothing raises, every translation reads back as itself, A1111's own texts are left alone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.prompts import infotext
from modules.prompts.importing import READERS, Source, parse, recognise, shown, translate

CHUNKS = ["prompt", "workflow", "invokeai_metadata", "sd-metadata", "Dream", "Comment", "Description", "Software"]
KEYS = [
    *("class_type", "inputs", "nodes", "links", "id", "type", "widgets_values", "name", "link", "model", "positive"),
    *("negative", "text", "conditioning", "latent_image", "seed", "noise_seed", "steps", "sampler_name", "scheduler"),
    *("sampler", "sigmas", "guider", "noise", "cfg", "denoise", "lora_name", "strength_model", "ckpt_name", "width"),
    *("height", "image", "prompt", "weight", "loras", "positive_prompt", "app_version", "v4_prompt", "caption"),
    *("char_captions", "base_caption", "uc", "c", "scale", "size", "sui_image_params", "guidance_scale", "base_model"),
    *(
        "resolution",
        "lora",
        "on",
        "string_a",
        "string_b",
        "conditioning_1",
        "conditioning_2",
        "samples",
        "vae",
        "1",
        "2",
    ),
]
NUMBERS = st.one_of(
    st.integers(), st.just(10**400), st.floats(), st.sampled_from([0, 1, -1, 1e308, float("nan"), float("inf")])
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.text(max_size=8),
    st.sampled_from(["KSampler", "CLIPTextEncode", "1", "2", "9999999999999999999999", "\ud800", "Negative prompt: x"]),
)
LINKS = st.tuples(st.sampled_from(["1", "2", "3", 1, 2]), st.integers(-2, 3)).map(list)
ANY_JSON = st.recursive(
    LEAVES | LINKS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=40,
)
NODES = st.fixed_dictionaries(
    {
        "class_type": st.sampled_from(["KSampler", "CLIPTextEncode", "ConditioningCombine", "LoraLoader", "Reroute"]),
        "inputs": st.dictionaries(st.sampled_from(KEYS), LEAVES | LINKS | LINKS, max_size=14),
    }
)
GRAPHS = st.dictionaries(st.sampled_from(["1", "2", "3"]), NODES)


def dumped(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, str) else value


def holds(source: Source) -> None:
    """What is recognised reads back as itself; whatever is not, `parse` takes for A1111's."""
    found = recognise(source)
    text = translate(source.infotext, source.items, source.size)
    assert (found is None) == (text is None)
    if found is not None and text is not None:
        assert infotext.parse(text) == found.parsed
        assert parse(text) == found.parsed  # what is translated is translated no further
        assert text.encode("utf-8").decode("utf-8") == text
        assert len(infotext.parse(text)) >= 5
    assert isinstance(shown(source.infotext, source.items, source.size), str)


@settings(max_examples=150, deadline=None)
@given(st.text(), st.dictionaries(st.sampled_from(CHUNKS), st.text() | ANY_JSON.map(dumped)))
def test_any_chunks_are_read_or_not(text: str, items: dict[str, str]) -> None:
    holds(Source(infotext=text, items=items, size=(8, 6)))


@settings(max_examples=200, deadline=None)
@given(ANY_JSON)
def test_any_json_is_read_or_not(value: Any) -> None:
    text = json.dumps(value)
    holds(Source(infotext=text, items={}, size=None))
    holds(Source(infotext="", items=dict.fromkeys(CHUNKS, text) | {"Software": "NovelAI"}, size=(8, 6)))
    assert set(parse(text)) >= {"Prompt", "Negative prompt"}


@settings(max_examples=300, deadline=None)
@given(GRAPHS)
def test_any_graph_is_read_or_not(graph: Any) -> None:
    holds(Source(infotext="", items={"prompt": json.dumps(graph)}, size=(8, 6)))
    drawn = [{"id": int(key), "type": node["class_type"], "widgets_values": []} for key, node in graph.items()]
    holds(Source(infotext="", items={"workflow": json.dumps({"nodes": drawn, "links": []})}, size=(8, 6)))


FIELDS = ["Size: 8x8", "Size: a", "Size-1: 5", "Size-1: 5x6", "Size-2: 6", "Shift: 3", "Shift: Shift", "ab: ab", "k: 1"]
FIELDS += ["Sampler: ", "Sampler: undefined", "Sampler: DPM++ 2M Karras", "Schedule type: Beta", "Hires scale: 2"]
FIELDS += ["Hires upscale: 3", 'Note: "a, b: c"', 'Civitai resources: [{"a": 1, "Steps": "9, Seed: 7"}]', "ToMe: 1"]
FIELDS += ["Sampler sigma: karras", "Sampler sigma: flowmatch", "Hires sampler: Default"]
FIELDS += ["Diffusion in Low Bits: float8-e4m3fn (fp16 LoRA)", "Prompt: x", "A-1: 1", "A-2: 2", "a b-1: 1", "a b-2: 2"]
SIGNS = ["Version: f2.0.1v1.10.1-previous-669-gdfdcbab6", "Version: neo", "App: SD.Next", "Civitai metadata: {}"]


@settings(max_examples=400, deadline=None)
@given(st.text(), st.lists(st.sampled_from(FIELDS)), st.sampled_from(SIGNS))
def test_any_line_of_fields_is_read_back(prompt: str, fields: list[str], sign: str) -> None:
    line = ", ".join(["Steps: 20", "Seed: 1", *fields, sign])
    source = Source(infotext=f"{prompt}\n{line}", items={}, size=None)
    holds(source)
    found = recognise(source)
    assert found is not None
    assert found.fields["Steps"] == "20"
    assert shown(source.infotext, {}, None) == source.infotext


@pytest.mark.parametrize(
    "broken",
    ["Civitai metadata: {", "Civitai metadata: 3", "Civitai resources: [" + "[" * 50_000, "App: ", "Version: f"],
)
def test_broken_marks_are_nobodys(broken: str) -> None:
    source = Source(infotext=f"a\nSteps: 20, Seed: 1, Size: 8x8, {broken}", items={}, size=None)
    assert recognise(source) is None
    assert parse(source.infotext)["Steps"] == "20"


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\\{}[]()"))


def kept(prompt: str) -> str:
    """What the format can say of a prompt."""
    lines = [line.strip() for line in prompt.split("\n")]
    return "\n".join("n" + line[1:] if line.startswith("Negative prompt:") else line for line in lines).strip()


def written_by(program: str, prompt: str, negative: str) -> Source:
    """The two prompts as the program writes them."""
    facts: dict[str, Any] = {"steps": 20, "seed": 1, "scale": 7.0, "sampler": "k_euler", "uc": negative, "c": prompt}
    facts |= {"positive_prompt": prompt, "negative_prompt": negative, "guidance_scale": 4, "performance": "Speed"}
    graph = {
        "1": {
            "class_type": "KSampler",
            "inputs": {"seed": 1, "steps": 20, "sampler_name": "euler", "positive": ["2", 0], "negative": ["3", 0]},
        },
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": prompt}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": negative}},
    }
    items: dict[str, str] = {}
    text = ""
    match program:
        case "NovelAI":
            items = {"Software": "NovelAI", "Description": prompt, "Comment": json.dumps(facts)}
        case "InvokeAI":
            items = {"invokeai_metadata": json.dumps(facts)}
        case "ComfyUI":
            items = {"prompt": json.dumps(graph)}
        case "SwarmUI":
            text = json.dumps({"sui_image_params": facts | {"prompt": prompt, "negativeprompt": negative}})
        case "Draw Things":
            text = json.dumps({key: facts[key] for key in ("c", "uc", "steps", "seed", "sampler")})
        case _:
            text = json.dumps(facts | {"prompt": prompt})
    return Source(infotext=text, items=items, size=(8, 6))


JSON_WRITERS = ["NovelAI", "InvokeAI", "ComfyUI", "SwarmUI", "Draw Things", "Fooocus"]


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("program", JSON_WRITERS)
@given(prompt=WORDS, negative=WORDS)
def test_prompts_survive(program: str, prompt: str, negative: str) -> None:
    source = written_by(program, prompt, negative)
    found = READERS[program](source)
    assert found is not None
    assert found == recognise(source)
    assert (found.prompt, found.negative_prompt) == (kept(prompt), kept(negative))
    assert infotext.parse(found.text) == found.parsed


TRICKY = '"a cat", é 日本語 🐱\n\nNegative prompt as words, Steps: 3\r\nsaid: "b\\"'


@pytest.mark.parametrize("program", [program for program in JSON_WRITERS if program != "NovelAI"])
def test_a_tricky_prompt_survives(program: str) -> None:
    found = READERS[program](written_by(program, TRICKY, TRICKY))
    assert found is not None
    assert infotext.parse(found.text)["Prompt"] == TRICKY.replace("\r", "")
    assert infotext.parse(found.text)["Negative prompt"] == TRICKY.replace("\r", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cat",
        "{}",
        '{"a": 1}',
        "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Version: v1.10.1",
        "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: forge, RNG: CPU",
    ],
)
def test_what_is_of_a1111_or_nobody_is_left_alone(text: str) -> None:
    items = {"other": "kept", "prompt": "a cat", "workflow": "{}", "Comment": "hello"}
    assert translate(text, items, (8, 8)) is None
    assert shown(text, items, (8, 8)) == text
    assert parse(text) == infotext.parse(text)


def test_an_infotext_counts_more_than_a_graph_beside_it() -> None:
    text = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
    items = dict(written_by("ComfyUI", "a dog", "").items)
    assert translate(None, items, (8, 8)) is not None
    assert translate(text, items, (8, 8)) is None
    assert shown(text, items, (8, 8)) == text


@pytest.mark.parametrize(
    "hostile",
    [
        '{"a":' * 50_000,
        '{"prompt": {"a": ' + "[" * 50_000,
        "{" * 50_000,
        '"' + "a [" * 50_000,
        '" -' * 50_000,
        "-s " * 50_000,
        "a\nSteps: 1, Seed: 2, App: SD.Next, " + "Civitai metadata: " * 20_000,
        "{[" * 50_000,
        "1.5::" * 50_000,
        "1" * 100_000 + "::",
    ],
)
def test_hostile_texts_take_linear_time(hostile: str) -> None:
    start = time.perf_counter()
    items = dict.fromkeys(CHUNKS, hostile)
    translate(hostile, items, (8, 8))
    comment = json.dumps(
        {"steps": 1, "scale": 1, "seed": 1, "uc": hostile, "v4_prompt": {"caption": {"base_caption": hostile}}}
    )
    translate(None, {"Software": "NovelAI", "Comment": comment, "Description": hostile}, (8, 8))
    assert time.perf_counter() - start < 10
