"""A plot has a cell for every combination, each where it belongs, made in the order that changes dear things least."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.core.errors import BadRequest, EaselError, NotFound
from modules.generate.request import Generation
from modules.generate.scripts import axis_rows, xyz_plot
from modules.generate.scripts.axes import Axis
from modules.generate.scripts.context import Context, Result
from tests.generate.scripts.fakes import SMALL, Killed, World, menus

AXES = axis_rows.builtin()
LABELS = [axis.label for axis in AXES.of("txt2img")]
NOTHING = LABELS.index("Nothing")


def arguments(**given: Any) -> list[Any]:
    """script_args: x=("Steps", "1,2") and the switches by name."""
    sides = []
    for letter in "xyz":
        label, text = given.pop(letter, ("Nothing", ""))
        menu = text if isinstance(text, list) else []
        sides += [LABELS.index(label), "" if menu else text, menu]
    names = ("legend", "pictures", "sub_grids", "keep_seeds", "vary_x", "vary_y", "vary_z", "margin", "text_mode")
    return sides + [given.pop(name, 0) for name in names]


def plot(context: Context, request: Generation = SMALL, **given: Any) -> Result:
    script = xyz_plot.script(AXES)
    return script.run(context, request, script.read("txt2img", menus(), arguments(**given)))


def test_every_combination_is_made_and_listed_x_first(world: World) -> None:
    result = plot(
        world.context(), x=("Steps", "1,2"), y=("Seed", "10,20,30"), z=("Clip skip", "1,2"), pictures=True, text_mode=1
    )
    expected = [
        f"a cat, seed {seed}, steps {steps}, clip {clip}"
        for clip, seed, steps in itertools.product((1, 2), (10, 20, 30), (1, 2))
    ]
    assert [picture["infotext"] for picture in result.pictures[1:]] == expected
    assert result.info["infotexts"] == [picture["infotext"] for picture in result.pictures]
    assert result.info["all_seeds"] == [seed for _, seed, _ in itertools.product((1, 2), (10, 20, 30), (1, 2))]


def test_each_cell_lies_in_the_grid_where_its_values_say(world: World) -> None:
    result = plot(world.context(), x=("Steps", "1-3"), y=("Seed", "7,8"), pictures=True, margin=0)
    grid = np.asarray(Image.open(result.pictures[0]["path"]))
    assert grid.shape == (128, 192, 3)
    for index, picture in enumerate(result.pictures[1:]):
        row, column = divmod(index, 3)
        cell = grid[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64]
        assert (cell == np.asarray(Image.open(picture["path"]))).all()


def test_the_texts_of_grids_tell_their_axes(world: World) -> None:
    result = plot(
        world.context(), x=("Steps", "1,2"), y=("Seed", "-1,4"), z=("CFG Scale", "3-4"), sub_grids=True, pictures=False
    )
    assert len(result.pictures) == 3
    whole, part, _ = (json.loads(text) for text in result.info["infotexts"][:3])
    fixed = part["Fixed Y Values"]
    assert part == {
        "Script": "X/Y/Z plot",
        "X Type": "Steps",
        "X Values": "1,2",
        "Y Type": "Seed",
        "Y Values": "-1,4",
        "Fixed Y Values": fixed,
    }
    assert whole == {**part, "Z Type": "CFG Scale", "Z Values": "3-4"}
    assert fixed.endswith(", 4")
    assert not fixed.startswith("-1")
    assert len(result.info["all_prompts"]) == 2 + 8, "the grids by Z and the cells, as A1111 counts"


COSTS = (0.0, 0.5, 0.7, 1.0)


@pytest.mark.parametrize("costs", list(itertools.product(COSTS, repeat=3)))
def test_the_dearest_axis_changes_least(costs: tuple[float, float, float]) -> None:
    loops = xyz_plot.order(costs)
    assert sorted(loops) == [0, 1, 2]
    if costs.count(max(costs)) == 1:
        assert costs[loops[0]] == max(costs)
        assert costs[loops[1]] >= costs[loops[2]]
    else:
        assert loops == (2, 1, 0)


def test_checkpoints_are_in_the_outermost_loop(world: World) -> None:
    plot(world.context(), x=("Checkpoint name", ["one", "two"]), y=("Steps", "1-3"))
    chosen = [request.override_settings["sd_model_checkpoint"] for request in world.painter.asked]
    assert chosen == ["one"] * 3 + ["two"] * 3


def test_varied_seeds_are_all_different(world: World) -> None:
    plot(
        world.context(),
        x=("Steps", "1,2"),
        y=("CFG Scale", "1,2,3"),
        z=("Clip skip", "1,2"),
        vary_x=1,
        vary_y=1,
        vary_z=1,
    )
    assert sorted(request.seed for request in world.painter.asked) == [5 + more for more in range(12)]


def test_kept_random_seeds_differ_from_cell_to_cell_and_not_from_run_to_run(world: World) -> None:
    request = dataclasses.replace(SMALL, seed=-1)
    given: dict[str, Any] = {"x": ("Steps", "1-4"), "keep_seeds": 1}
    plot(world.context(), request, **given)
    first = [each.seed for each in world.painter.asked]
    plot(world.context(job="again"), request, **given)
    assert len(set(first)) == 4
    assert [each.seed for each in world.painter.asked[4:]] == first


def test_a_random_seed_is_the_same_in_all_cells_otherwise(world: World) -> None:
    plot(world.context(), dataclasses.replace(SMALL, seed=-1), x=("Steps", "1-4"))
    assert len({each.seed for each in world.painter.asked}) == 1


def test_a_plot_that_was_killed_goes_on_and_ends_the_same(world: World) -> None:
    given: dict[str, Any] = {"x": ("Seed", "-1,-1,3"), "y": ("Steps", "1,2"), "pictures": True, "legend": True}
    whole = plot(world.context(job="whole"), **given)
    world.painter.asked.clear()
    world.painter.kill_at = 4
    with pytest.raises(Killed):
        plot(world.context(), **given)
    world.painter.kill_at = None
    again = plot(world.context(), **given)
    assert len(world.painter.asked) == 6
    assert again.info == whole.info
    images = [[np.asarray(Image.open(each["path"])) for each in result.pictures] for result in (whole, again)]
    assert all((a == b).all() for a, b in zip(*images, strict=True))


def test_an_interrupted_plot_is_drawn_with_what_there_is(world: World) -> None:
    def stop(count: int) -> None:
        world.control.interrupted = count >= 1

    world.painter.before = stop
    result = plot(world.context(), x=("Steps", "1-4"), pictures=True)
    assert len(result.pictures) == 5
    grid = np.asarray(Image.open(result.pictures[0]["path"]))
    assert grid[:, :128].any()
    assert not grid[:, 128:].any(), "what was not made is black"


def test_a_cell_that_fails_stays_black_and_a_remark_says_why(world: World) -> None:
    world.painter.refuse = "a dog"
    context = world.context()
    result = plot(context, x=("Prompt S/R", "cat, dog"), pictures=True)
    assert not np.asarray(Image.open(result.pictures[2]["path"])).any()
    assert context.notes == ["X/Y/Z plot, cell 2: a dog cannot be made."]


def test_a_plot_of_failures_fails(world: World) -> None:
    world.painter.refuse = "a cat"
    with pytest.raises(EaselError, match="cannot be made"):
        plot(world.context(), x=("Steps", "1,2"))


def test_an_axis_without_values_gives_nothing_and_says_why(world: World) -> None:
    context = world.context()
    result = plot(context, x=("Steps", "1,2"), y=("Sampler", "Euler,DDIM"))
    assert (result.pictures, result.info["infotexts"], result.info["seed"]) == ([], [], -1)
    assert "the Y axis (Sampler) has no values" in context.notes[0]
    assert not world.painter.asked


def test_grids_are_saved_as_the_settings_want(world: World) -> None:
    given: dict[str, Any] = {"x": ("Steps", "1,2"), "z": ("Clip skip", "1,2"), "sub_grids": True}
    plot(world.context(), **given)
    assert world.keeping.kept == [("grid", True, "xyz_grid")] * 3
    plot(world.context(job="two"), dataclasses.replace(SMALL, do_not_save_grid=True), **given)
    plot(world.context(job="three", grid_save=False), **given)
    assert {saved for _, saved, _ in world.keeping.kept[3:]} == {False}


def test_a_legend_makes_room_for_itself(world: World) -> None:
    plain = plot(world.context(), x=("Steps", "1,2"), y=("CFG Scale", "1,2"))
    noted = plot(world.context(), x=("Steps", "1,2"), y=("CFG Scale", "1,2"), legend=True, margin=10)
    (width, height), (wider, higher) = (Image.open(each.pictures[0]["path"]).size for each in (plain, noted))
    assert (width, height) == (128, 128)
    assert wider == 128 + 48 + 10
    assert higher > 128 + 10


@pytest.mark.parametrize(
    ("given", "error", "part"),
    [
        ({"x": ("Steps", "many")}, BadRequest, "X values"),
        ({"x": ("Sampler", "Eular"), "text_mode": 1}, NotFound, "Euler"),
        ({"y": ("Size", "big")}, BadRequest, "512x768"),
        ({"z": ("[Hypertile] Unet Max Depth", ["9"])}, BadRequest, "0 to 3"),
        ({"x": ("Seed", "1-2000"), "y": ("Steps", "1-2000")}, BadRequest, "megapixels"),
    ],
)
def test_values_that_cannot_work_are_refused_when_the_request_comes(
    given: dict[str, Any], error: type[Exception], part: str
) -> None:
    script = xyz_plot.script(AXES)
    read = script.read("txt2img", menus(), arguments(**given))
    assert script.check is not None
    with pytest.raises(error, match=part):
        script.check("txt2img", menus(), {"img_max_size_mp": 200}, {**read, "request": {"width": 64, "height": 64}})


def test_an_extension_can_add_an_axis(world: World) -> None:
    axes = axis_rows.builtin()
    before = len(axes.of("txt2img"))
    remove = axes.add(
        Axis(label="[Mine] Shout", apply=lambda request, value, every: dataclasses.replace(request, prompt=value))
    )
    script = xyz_plot.script(axes)
    read = script.read("txt2img", menus(), [before, "HEY,HO", [], 0, "", [], 0, "", []])
    script.run(world.context(), SMALL, read)
    assert [request.prompt for request in world.painter.asked] == ["HEY", "HO"]
    remove()
    assert len(axes.of("txt2img")) == before


def test_a_setting_that_does_nothing_yet_is_told(world: World) -> None:
    context = world.context()
    plot(context, x=("Token merging ratio", "0,0.5"), y=("Clip skip", "1,2"))
    honoured = context.options.honours("token_merging_ratio")
    assert context.options.honours("CLIP_stop_at_last_layers")
    assert [("token_merging_ratio" in note) for note in context.notes] == ([] if honoured else [True])
