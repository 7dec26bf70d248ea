"""Names by patterns: A1111's tokens, and no name that leaves its folder or that a system refuses."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from modules.imaging import filenames
from modules.imaging.filenames import NameFacts, apply, component, decoration, folder, next_number, numbered
from modules.imaging.policy import SavePolicy

NOW = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
IMAGE = Image.new("RGB", (64, 48), "red")
FACTS = NameFacts(
    seed=1234,
    seeds=(1233, 1234, 1235),
    prompt="a Cat, in: a garden",
    negative_prompt="blurry",
    styles=("oil", "None"),
    style_prompts=("{prompt} garden",),
    steps=20,
    cfg_scale=7.0,
    sampler="DPM++ 2M",
    scheduler="SGM Uniform",
    model_name="some/model",
    model_hash="abcdef1234",
    vae_filename="vae.pt.safetensors",
    clip_skip=2,
    denoising=0.5,
    user="me",
    job_timestamp="20240506070809",
    batch_index=1,
    batch_size=2,
    iteration=1,
    n_iter=3,
)
ONE = dataclasses.replace(FACTS, batch_index=0, batch_size=1, iteration=0, n_iter=1, denoising=None)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[seed]-[prompt_spaces]", "1234-a Cat, in_ a garden"),
        ("[seed_first]_[seed_last]", "1233_1235"),
        ("[steps] [cfg] [sampler] [scheduler]", "20 7.0 DPM++ 2M Sgm uniform"),
        ("[sampler_scheduler]", "DPM++ 2M Sgm uniform"),
        ("[width]x[height]", "64x48"),
        ("[styles]", "oil"),
        ("[date] [datetime<%H-%M><UTC>]", "2024-05-06 07-08"),
        ("[datetime<%H><Asia/Tokyo>]", "16"),
        ("[datetime<><Asia/Tokyo>]", "20240506160809"),
        ("[job_timestamp]", "20240506070809"),
        ("[model_name] [model_hash]", "some_model abcdef1234"),
        ("[prompt]", "a_Cat,_in__a_garden"),
        ("[prompt_words]", "a Cat in a garden"),
        ("[prompt_no_styles]", "a Cat, in_ a"),
        ("[prompt_hash]", sha("a Cat, in: a garden")[:8]),
        ("[prompt_hash<4>]", sha("a Cat, in: a garden")[:4]),
        ("[negative_prompt_hash]", sha("blurry")[:8]),
        ("[full_prompt_hash<12>]", sha("a Cat, in: a garden blurry")[:12]),
        ("[image_hash<10>]", hashlib.sha256(IMAGE.tobytes()).hexdigest()[:10]),
        ("[batch_number]/[batch_size] [generation_number]", "2/2 4"),
        ("[hasprompt<cat|animal><dog|none><x>]", "catnone"),
        ("[clip_skip] [denoising] [user] [vae_filename]", "2 0.5 me vae"),
        ("a[none]b", "ab"),
        ("[SEED]", "1234"),
        ("[what] [what<ever>] [ [] ]", "[what] [what<ever>] [ [] ]"),
        ("[prompt_hash<x>]", "[prompt_hash<x>]"),
        ("", ""),
    ],
)
def test_tokens_of_a1111(pattern: str, name: str) -> None:
    assert apply(pattern, FACTS, image=IMAGE, now=NOW) == name


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[seed]-[batch_number]", "1234"),
        ("[seed]-[generation_number]", "1234"),
        ("[seed_first]-[seed_last]", "1234"),
        ("[seed] at [denoising]!", "1234!"),
    ],
)
def test_what_says_nothing_vanishes_with_the_text_before(pattern: str, name: str) -> None:
    assert apply(pattern, ONE, image=IMAGE, now=NOW) == name


def test_unknown_facts_leave_the_token() -> None:
    assert apply("[sampler] [model_name]", NameFacts(), image=IMAGE, now=NOW) == "[sampler] [model_name]"


@pytest.mark.parametrize("zone", ["Nowhere/Land", "../../etc/passwd", "Europe", "\x00"])
def test_unknown_time_zones_are_local_time(zone: str) -> None:
    local = NOW.astimezone().strftime("%H")
    assert apply(f"[datetime<%H><{zone}>]", FACTS, image=IMAGE, now=NOW) == local


def test_defaults_depend_on_the_folder() -> None:
    plain, flat = SavePolicy(), SavePolicy(save_to_dirs=False)
    assert decoration(plain, FACTS, image=IMAGE, now=NOW) == "1234"
    assert decoration(flat, FACTS, image=IMAGE, now=NOW) == "1234-a Cat, in_ a garden"
    assert decoration(SavePolicy(short=True), FACTS, image=IMAGE, now=NOW) == ""
    assert decoration(plain, NameFacts(prompt="x"), image=IMAGE, now=NOW) == ""


def test_folders(tmp_path: Path) -> None:
    def named(policy: SavePolicy) -> Path:
        return folder(tmp_path, policy, FACTS, image=IMAGE, now=NOW)

    assert named(SavePolicy()) == tmp_path / "outputs" / "txt2img-images" / "2024-05-06"
    assert named(SavePolicy(save_to_dirs=False)) == tmp_path / "outputs" / "txt2img-images"
    nested = SavePolicy(outdir="out", directories_pattern="[date]/[model_name]\\[seed]")
    assert named(nested) == tmp_path / "out" / "2024-05-06" / "some_model" / "1234"
    assert named(SavePolicy(outdir="out", directories_pattern="")) == tmp_path / "out" / "a Cat in a garden"
    assert named(SavePolicy(outdir=str(tmp_path / "x"), directories_pattern="a")) == tmp_path / "x" / "a"


DEVICES = ["CON", "nul", "aux.", "com1", "LPT9 .txt"]
EVIL = ["..", "/", "\\", "../", "..\\", "/etc", "C:", "\0", "\n", " ", ".", "\ud800", "é" * 99, *DEVICES]
HOSTILE = st.lists(st.sampled_from(EVIL) | st.text(max_size=6), max_size=12).map("".join)
TOKENS = ["[prompt]", "[user]", "[styles]", "[model_name]", "[prompt_spaces]", "[hasprompt<../|/x>]", "/"]
PATTERNS = st.lists(st.sampled_from(TOKENS) | HOSTILE, max_size=6).map("".join)


@given(PATTERNS, HOSTILE)
@example("[user]/../../[prompt_spaces]/x", "../../../etc/passwd")
@example("CON", "")
@example("[prompt]", "nul.txt")
def test_no_name_leaves_its_folder(pattern: str, value: str) -> None:
    facts = dataclasses.replace(FACTS, prompt=value, user=value, styles=(value,), model_name=value)
    base = Path("/data/outputs")
    policy = SavePolicy(outdir=str(base), directories_pattern=pattern, pattern=pattern)
    place = folder(Path("/data"), policy, facts, image=IMAGE, now=NOW)
    assert place.is_relative_to(base)
    assert Path(os.path.normpath(place)) == place
    for part in place.relative_to(base).parts:
        assert_valid(part)
    name = decoration(policy, facts, image=IMAGE, now=NOW)
    assert_valid(name or "0")
    assert_valid(f"{filenames.numbered('grid', 12345, name)}.jpeg")


@given(HOSTILE | st.text())
@example("nul." + "x" * 226)
@example("nul" + " " * 228 + "x")
def test_components_are_valid_and_stable(text: str) -> None:
    name = component(text)
    assert_valid(name or "0")
    assert component(name) == name


def assert_valid(name: str) -> None:
    """A single name that Linux, macOS and Windows all take, and take for a file."""
    assert name not in ("", ".", "..")
    assert not any(character in '<>:"/\\|?*' or ord(character) < 32 for character in name)
    assert len(name.encode("utf-8", "strict")) <= 255
    assert name == name.rstrip(" .")
    devices = {"CON", "PRN", "AUX", "NUL", *(f"{port}{digit}" for port in ("COM", "LPT") for digit in range(10))}
    assert name.split(".")[0].rstrip(" ").upper() not in devices


def test_values_are_shortened() -> None:
    facts = dataclasses.replace(FACTS, prompt="x" * 500)
    assert apply("[prompt_spaces]", facts, image=IMAGE, now=NOW) == "x" * 128


def test_numbers() -> None:
    assert numbered("", 7, "1234") == "00007-1234"
    assert numbered("", 7, "") == "00007"
    assert numbered("grid", 12, "") == "grid-0012"
    assert numbered("grid", 12, "5") == "grid-0012-5"


@pytest.mark.parametrize(
    ("names", "basename", "number"),
    [
        ([], "", 0),
        (["00000-1.png", "00003.png", "grid-0009.png", "note.txt"], "", 4),
        (["00009-1.png", "grid-0004.png", "grid-0002-7.jpg"], "grid", 5),
        (["7-\n9-a.png", "a\n9-a.png"], "", 8),
        (["a.b-0004.png", "axb-0009.png"], "a.b", 5),
        (["grid-.png", "-5.png", "5x.png", "\u0665.png", "9" * 40 + ".png"], "", 0),
    ],
)
def test_next_number_is_one_more_than_the_highest(names: list[str], basename: str, number: int) -> None:
    assert next_number(names, basename) == number


@given(st.lists(st.integers(0, 10**6)), st.sampled_from(["", "grid"]))
def test_next_number_is_unused(numbers: list[int], basename: str) -> None:
    names = [f"{numbered(basename, number, 'seed')}.png" for number in numbers]
    assert next_number(names, basename) == max(numbers, default=-1) + 1
