"""Each line is a request of its own; what a line sets holds for that line alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.generate.request import Txt2Img
from modules.generate.scripts import prompts_from_file
from modules.generate.scripts.context import Context, Result
from tests.generate.scripts.fakes import SMALL, World, menus


def run(context: Context, lines: str, request: Txt2Img = SMALL, *switches: Any) -> Result:
    script = prompts_from_file.script()
    given = script.read("txt2img", menus(), [*switches, *[None] * (3 - len(switches)), lines])
    return script.run(context, request, given)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("C",)), max_size=30).filter(lambda text: "--" not in text))
def test_a_line_without_options_is_a_prompt(line: str) -> None:
    assert prompts_from_file.read(line) == {"prompt": line}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--prompt a red cat --steps 7", {"prompt": "a red cat", "steps": 7}),
        (
            '--prompt "a cat" --negative_prompt dark blurry --seed 9',
            {"prompt": "a cat", "negative_prompt": "dark blurry", "seed": 9},
        ),
        ("--sampler_name DDIM --cfg_scale 3.5", {"sampler_name": "DDIM", "cfg_scale": 3.5}),
        ("--sd_model two --prompt x", {"sd_model": "two", "prompt": "x"}),
        ("--restore_faces true --tiling false", {"restore_faces": True, "tiling": False}),
    ],
)
def test_examples(line: str, expected: dict[str, Any]) -> None:
    assert prompts_from_file.read(line) == expected


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("cat --steps 7", "begin with --"),
        ("--steps", "no value"),
        ("--steps many", "wants a number"),
        ("--color red", "unknown"),
        ('--prompt "a cat', "quotation"),
    ],
)
def test_a_line_that_cannot_be_read_is_a_prompt_and_a_remark(world: World, line: str, part: str) -> None:
    context = world.context()
    run(context, line)
    assert world.painter.asked[0].prompt == f"{line} a cat"
    assert part in context.notes[0].lower()


def test_what_a_line_sets_holds_for_it_alone(world: World) -> None:
    run(world.context(), "--prompt dog --steps 7 --width 130 --sd_model two\n\n  bird  \n")
    first, second = world.painter.asked
    assert (first.prompt, first.steps, first.width) == ("dog a cat", 7, 130)
    assert first.override_settings == {"sd_model_checkpoint": "two"}
    assert second == dataclasses.replace(SMALL, prompt="bird a cat", do_not_save_grid=True)


def test_seeds_go_on_from_line_to_line_if_wanted(world: World) -> None:
    request = dataclasses.replace(SMALL, batch_size=2, n_iter=2)
    result = run(world.context(), "a\nb\nc", request, True, False, "end")
    assert [each.seed for each in world.painter.asked] == [5, 9, 13]
    assert [each.prompt for each in world.painter.asked] == ["a cat a", "a cat b", "a cat c"]
    assert result.info["seed"] == 17
    assert len(result.pictures) == 12


def test_one_random_seed_for_all_lines_or_one_each(world: World) -> None:
    request = dataclasses.replace(SMALL, seed=-1)
    run(world.context(), "a\nb", request, False, True)
    same, other = (each.seed for each in world.painter.asked)
    assert same == other != -1
    run(world.context(job="two"), "a\nb", request)
    assert world.painter.asked[2].seed != world.painter.asked[3].seed


def test_no_lines_give_nothing_and_a_remark(world: World) -> None:
    context = world.context()
    result = run(context, " \n ")
    assert (result.pictures, result.info["infotexts"]) == ([], [])
    assert "no line" in context.notes[0]
