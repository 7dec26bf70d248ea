"""A matrix has a picture for every subset of its parts, in the order of counting in binary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate.request import Txt2Img
from modules.generate.scripts import prompt_matrix
from modules.generate.scripts.context import Result
from tests.generate.scripts.fakes import World, menus

WORDS = st.lists(st.text("abcdef ", min_size=1, max_size=8), min_size=0, max_size=5)


def matrix(world: World, prompt: str = "a cat|red|big", *arguments: Any, **options: Any) -> Result:
    script = prompt_matrix.script()
    request = Txt2Img(prompt=prompt, negative_prompt="blurry|dark", seed=5, subseed=6, steps=1, width=64, height=64)
    return script.run(world.context(**options), request, script.read("txt2img", menus(), list(arguments)))


@settings(deadline=None)
@given(WORDS)
def test_every_subset_comes_once(words: list[str]) -> None:
    found = prompt_matrix.combinations("|".join(["first", *words]), at_start=False, joint="+")
    assert len(found) == 2 ** len(words)
    assert found[0] == "first"
    for number, prompt in enumerate(found):
        chosen = [word.strip() for bit, word in enumerate(words) if number >> bit & 1]
        assert prompt == "+".join(["first", *chosen])


def test_the_first_part_goes_where_it_is_wanted() -> None:
    assert prompt_matrix.combinations("a cat| red,|big", at_start=True, joint=", ") == [
        "a cat",
        "red, a cat",
        "big, a cat",
        "red, big, a cat",
    ]


def test_pictures_seeds_and_the_grid(world: World) -> None:
    result = matrix(world, "a cat|red|big", False, True)
    assert [each["infotext"] for each in result.pictures[1:]] == [
        f"{prompt}, seed {seed}, steps 1, clip 1"
        for seed, prompt in enumerate(["a cat", "a cat, red", "a cat, big", "a cat, red, big"], 5)
    ]
    assert result.info["all_seeds"] == [5, 6, 7, 8]
    assert result.info["all_subseeds"] == [6, 7, 8, 9]
    assert result.info["index_of_first_image"] == 1
    assert world.keeping.kept == [("grid", True, "prompt_matrix")]
    grid = np.asarray(Image.open(result.pictures[0]["path"]))
    for index, picture in enumerate(result.pictures[1:]):
        row, column = divmod(index, 2)
        colour = np.asarray(Image.open(picture["path"]))[0, 0]
        corner = grid[grid.shape[0] - 128 + row * 64 + 32, 48 + column * 64 + 32]
        assert (corner == colour).all()


def test_the_negative_prompt_can_vary_instead(world: World) -> None:
    result = matrix(world, "a|b", False, False, "negative", "space")
    assert result.info["all_prompts"] == ["a|b", "a|b"]
    assert result.info["all_negative_prompts"] == ["blurry", "blurry dark"]


def test_a_grid_that_would_be_too_large_is_left_out(world: World) -> None:
    script = prompt_matrix.script()
    request = Txt2Img(prompt="a|b", steps=1, width=1024, height=1024)
    result = script.run(world.context(img_max_size_mp=1), request, script.read("txt2img", menus(), []))
    assert [each["kind"] for each in result.pictures] == ["sample", "sample"]


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(BadRequest, match="at most"):
        prompt_matrix.parts("a" + "|b" * 13)
