"""Arguments come in A1111's order and in the right types, or are refused by name; extensions come and go."""

from __future__ import annotations

from typing import Any

import pytest

from modules.core.errors import BadRequest, NotFound
from modules.generate.scripts import builtin, custom_code
from modules.generate.scripts.context import Context, Made, Request, Result
from modules.generate.scripts.registry import AlwaysOn, Argument, Script, Scripts
from tests.generate.scripts.fakes import SMALL, World, menus

ARGUMENTS = (
    Argument(name="switch", label="Switch", kind="bool", default=False),
    Argument(name="count", label="Count", kind="int", default=4, minimum=1, maximum=9),
    Argument(name="share", label="Share", kind="float", default=0.5),
    Argument(name="words", label="Words", kind="text", default=""),
    Argument(name="one", label="One", kind="choice", default="red", choices=("red", "blue")),
    Argument(name="place", label="Place", kind="index", default="blue", choices=("red", "blue")),
    Argument(name="some", label="Some", kind="choices", default=("red",), choices=("red", "blue")),
    Argument(name="note", label="", kind="note", default="read me"),
)


def nothing(context: Context, request: Request, given: Any) -> Result:
    return Result(pictures=[], info={})


SCRIPT = Script(title="Mine", run=nothing, arguments=lambda tab, menus: ARGUMENTS)


def read(*values: Any) -> dict[str, Any]:
    return SCRIPT.read("txt2img", menus(), list(values))


def test_what_is_left_out_or_null_has_its_default() -> None:
    usual = {"switch": False, "count": 4, "share": 0.5, "words": "", "one": "red", "place": 1, "some": ("red",)}
    assert read() == {**usual, "note": "read me"}
    assert read(None, None) == read()


def test_values_take_the_arguments_type() -> None:
    found = read("true", 3.0, "1", "a", "BLUE", "red", ["Blue", "red"], "whatever")
    assert found == {
        "switch": True,
        "count": 3,
        "share": 1.0,
        "words": "a",
        "one": "blue",
        "place": 0,
        "some": ("blue", "red"),
        "note": None,
    }
    assert read(1, 3, 1, "a", 0)["one"] == "red", "A1111's page sends some choices as numbers"


@pytest.mark.parametrize(
    ("values", "place", "part"),
    [
        (["perhaps"], 0, "true or false"),
        ([True, 1.5], 1, "whole number"),
        ([True, "many"], 1, "number"),
        ([True, True], 1, "number"),
        ([True, 1, 1e300], 2, "too large"),
        ([True, 1, 1, 7], 3, "text"),
        ([True, 1, 1, "", "green"], 4, "red"),
        ([True, 1, 1, "", "red", 2], 5, "0 to 1"),
        ([True, 1, 1, "", "red", 0, "red"], 6, "list"),
        ([True, 1, 1, "", "red", 0, ["green"]], 6, "red"),
    ],
)
def test_a_value_that_cannot_be_is_named(values: list[Any], place: int, part: str) -> None:
    with pytest.raises(BadRequest, match=part) as raised:
        read(*values)
    assert raised.value.field == f"script_args.{place}"


def test_too_many_arguments_are_refused() -> None:
    with pytest.raises(BadRequest, match="8 arguments, got 9"):
        read(*[None] * 9)


def test_scripts_are_found_in_any_case_on_their_tab() -> None:
    table = builtin.scripts()
    assert table.find("x/y/z PLOT", "img2img").title == "X/Y/Z plot"
    with pytest.raises(NotFound, match="X/Y/Z plot"):
        table.find("xyz plot", "txt2img")
    with pytest.raises(NotFound):
        table.find("loopback", "txt2img")


def test_extensions_add_and_take_away() -> None:
    table = Scripts()
    remove = table.add(SCRIPT)
    with pytest.raises(ValueError, match="MINE"):
        table.add(Script(title="MINE", run=nothing))
    gone = table.add_always_on(AlwaysOn(title="Always", name="always"))
    assert table.check_always_on({"ALWAYS": {"args": [1, 2]}}, "txt2img", menus()) == {"always": [1, 2]}
    assert [script.name for script in table.of("img2img")] == ["mine"]
    remove()
    gone()
    assert (table.of("txt2img"), table.always_on("txt2img")) == ([], [])


# --- custom code


def code(text: str) -> dict[str, Any]:
    return custom_code.script(allowed=True).read("txt2img", menus(), [text])


def test_custom_code_is_refused_without_its_flag() -> None:
    table = builtin.scripts()
    assert "custom code" not in [script.name for script in table.of("txt2img")]
    with pytest.raises(BadRequest, match="--allow-code"):
        table.find("custom code", "txt2img")
    assert builtin.scripts(allow_code=True).find("custom code", "txt2img").title == "Custom code"


def test_custom_code_changes_the_request_and_makes_pictures(world: World) -> None:
    script = custom_code.script(allowed=True)
    text = "p.steps = 7\nfor seed in (1, 2):\n    p.seed = seed\n    made = process_images(p)\nreturn made"
    result = script.run(world.context(), SMALL, code(text))
    assert [(each.seed, each.steps) for each in world.painter.asked] == [(1, 7), (2, 7)]
    assert result.pictures[0]["infotext"].startswith("a cat, seed 2, steps 7")


def test_custom_code_can_show_pictures_of_its_own(world: World) -> None:
    script = custom_code.script(allowed=True)
    result = script.run(world.context(), SMALL, code("display([Image.new('RGB', (9, 9))])"))
    assert (result.pictures[0]["width"], result.info["infotexts"]) == (9, [""])


def test_custom_codes_mistakes_are_told_with_their_line(world: World) -> None:
    script = custom_code.script(allowed=True)
    assert script.check is not None
    with pytest.raises(BadRequest, match="line 2"):
        script.check("txt2img", menus(), {}, code("p.steps = 7\nif"))
    with pytest.raises(Exception, match=r"line 2: ZeroDivisionError"):
        script.run(world.context(), SMALL, code("p.steps = 7\n1 / 0"))


def test_a_cells_answer_opens_its_pictures(world: World) -> None:
    made = world.context().make(SMALL)
    assert isinstance(made, Made)
    assert [image.size for image in made.images()] == [(64, 64)]
