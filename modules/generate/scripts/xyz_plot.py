"""X/Y/Z plot: a grid of pictures whose columns, rows and further grids vary one thing each.

The story: read the axes, make the cells in the order that changes dear things least, join them. What axes there are
says `axes`; what their values may look like says `values`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from modules.core.errors import BadRequest, EaselError
from modules.core.types import JsonObject
from modules.generate.scripts import info, values
from modules.generate.scripts.axes import FIELD, Axes, Axis
from modules.generate.scripts.context import RANDOM_SEEDS, Change, Context, Made, Request, Result
from modules.generate.scripts.registry import Argument, Menus, Script, Tab
from modules.imaging import grids
from modules.imaging.annotations import Look, Note, annotate
from modules.imaging.policy import SavePolicy

TITLE = "X/Y/Z plot"
LETTERS = ("x", "y", "z")
TEXT_MODE = "Use text inputs instead of dropdowns"


def script(axes: Axes) -> Script:
    """The row of the table of scripts; axes: the types that its menus offer."""
    return Script(
        title=TITLE,
        run=functools.partial(run, axes),
        arguments=functools.partial(arguments, axes),
        check=lambda tab, menus, options, given: _refuse_size(
            axes_of(axes, tab, menus, given), options, given["request"]
        ),
    )


def arguments(axes: Axes, tab: Tab, menus: Menus) -> list[Argument]:
    """A1111's script_args, in its order."""
    labels = tuple(axis.label for axis in axes.of(tab))
    found = []
    for letter, default in zip(LETTERS, ("Seed", "Nothing", "Nothing"), strict=True):
        big = letter.upper()
        found += [
            Argument(name=f"{letter}_type", label=f"{big} type", kind="index", default=default, choices=labels),
            Argument(name=f"{letter}_values", label=f"{big} values", kind="text", default=""),
            Argument(
                name=f"{letter}_menu",
                label=f"{big} values",
                kind="choices",
                choices=(),
                follows=(f"{letter}_type", functools.partial(_offered, axes, tab, menus)),
            ),
        ]
    switches = {
        "legend": "Draw legend",
        "pictures": "Include Sub Images",
        "sub_grids": "Include Sub Grids",
        "keep_seeds": "Keep -1 for seeds",
        "vary_x": "Vary seeds for X",
        "vary_y": "Vary seeds for Y",
        "vary_z": "Vary seeds for Z",
    }
    found += [
        Argument(name=name, label=label, kind="bool", default=name == "legend") for name, label in switches.items()
    ]
    return [
        *found,
        Argument(name="margin", label="Grid margins (px)", kind="int", default=0, minimum=0, maximum=500, step=2),
        Argument(name="text_mode", label=TEXT_MODE, kind="bool", default=False),
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One axis of a plot: its type, its values, and the values as they were written."""

    letter: str
    axis: Axis
    values: tuple[Any, ...]
    written: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def notes(self) -> list[list[Note]]:
        return [[Note(self.axis.legend(value))] for value in self.values]

    def facts(self, *, seeds_kept: bool) -> dict[str, Any]:
        """What the infotext of a grid says of this axis."""
        if self.axis.is_nothing:
            return {}
        big = self.letter.upper()
        facts = {f"{big} Type": self.axis.label, f"{big} Values": self.written}
        if self.axis.is_seed and not seeds_kept:
            facts[f"Fixed {big} Values"] = ", ".join(str(value) for value in self.values)
        return facts


def _offered(axes: Axes, tab: Tab, menus: Menus, label: str) -> Sequence[str]:
    """The values that the page offers for a type of axis."""
    chosen = next((axis for axis in axes.of(tab) if axis.label == label), None)
    return list(chosen.choices(menus)) if chosen and chosen.choices else []


def axes_of(axes: Axes, tab: Tab, menus: Menus, given: Mapping[str, Any]) -> tuple[Side, Side, Side]:
    """The three axes of the arguments. Raises BadRequest, NotFound for values that cannot work."""
    x, y, z = (_side(letter, axes.of(tab), menus, given) for letter in LETTERS)
    return x, y, z


def _side(letter: str, types: Sequence[Axis], menus: Menus, given: Mapping[str, Any]) -> Side:
    axis = types[given[f"{letter}_type"]]
    if axis.is_nothing:
        return Side(letter=letter, axis=axis, values=(0,))
    text, menu = given[f"{letter}_values"], given[f"{letter}_menu"] or ()
    chosen = axis.choices is not None and not given["text_mode"]
    try:
        if chosen:
            text = values.join(menu)
        split = list(menu) if chosen else axis.prepare(text) if axis.prepare else values.split(text)
        found = tuple(values.expand(split, axis.kind))
    except ValueError as error:
        raise BadRequest(f"{FIELD}: the {letter.upper()} values ({axis.label}) {error}.", field=FIELD) from error
    if axis.check is not None:
        axis.check(menus, found)
    return Side(letter=letter, axis=axis, values=found, written=text)


def _refuse_size(sides: Sequence[Side], options: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """The option img_max_size_mp limits the whole picture."""
    megapixels = round(math.prod(map(len, sides)) * request["width"] * request["height"] / 1_000_000)
    most = options["img_max_size_mp"]
    if megapixels >= most:
        message = f"{FIELD}: the grid would have {megapixels} megapixels; the setting img_max_size_mp allows {most}."
        raise BadRequest(message, field=FIELD)


def order(costs: tuple[float, float, float]) -> tuple[int, int, int]:
    """The axes (0 = x, 1 = y, 2 = z) from the outermost loop to the innermost: the one dearest axis changes least.

    Without one that is dearer than both others it is z, y, x, as in A1111.
    """
    usual = (2, 1, 0)
    dearest = max(costs)
    if costs.count(dearest) > 1:
        return usual
    first, second, third = sorted(usual, key=lambda axis: -costs[axis])
    return first, second, third


def run(axes: Axes, context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """Make the plot: [the grid of all, its grids by Z, the cells], as the switches want."""
    sides: Sequence[Side] = axes_of(axes, context.tab, context.menus, given)
    sizes = {"width": request.width, "height": request.height}
    _refuse_size(sides, context.options, sizes)
    if not context.options["return_grid"]:
        request = dataclasses.replace(request, batch_size=1)
    if not given["keep_seeds"]:
        request = context.seeded(request)
        sides = [_seeded(side, context) for side in sides]
    plot = _Plot(context, request, given, sides)
    plot.make_all()
    if not plot.cells:
        context.notes.append(_why_nothing(sides))
        return Result(pictures=[], info=info.bare(context, request))
    return plot.joined()


def _seeded(side: Side, context: Context) -> Side:
    """Seeds of -1 on an axis become random ones."""
    if not side.axis.is_seed:
        return side
    fixed = tuple(context.random.randrange(RANDOM_SEEDS) if value == -1 else value for value in side.values)
    return dataclasses.replace(side, values=fixed)


def _why_nothing(sides: Sequence[Side]) -> str:
    for side in sides:
        if not side.values:
            way = (
                "choose some in its menu, or set “Use text inputs instead of dropdowns”"
                if side.axis.choices
                else "write some"
            )
            return f"{TITLE}: the {side.letter.upper()} axis ({side.axis.label}) has no values: {way}."
    return f"{TITLE}: no cell was made."


class _Plot:
    """The work on one plot. cells: what was made, by index in the answer (x runs fastest, z slowest)."""

    def __init__(self, context: Context, request: Request, given: Mapping[str, Any], sides: Sequence[Side]) -> None:
        self.context = context
        self.request = request
        self.given = given
        self.x, self.y, self.z = sides
        self.cells: dict[int, Made] = {}
        self.requests: dict[int, Request] = {}
        self.first: Made | None = None
        self.failure: EaselError | None = None

    @property
    def count(self) -> int:
        return len(self.x) * len(self.y) * len(self.z)

    def make_all(self) -> None:
        """Every cell, dear changes seldom. Raises the first cell's error when none can be made."""
        sides = (self.x, self.y, self.z)
        loops = order((self.x.axis.cost, self.y.axis.cost, self.z.axis.cost))
        self.context.expect(self.count, batches=self.request.n_iter)
        for place in itertools.product(*(range(len(sides[axis])) for axis in loops)):
            at = dict(zip(loops, place, strict=True))
            self._make(at[0], at[1], at[2])
        if self.failure is not None and not self.cells:
            raise self.failure
        self._tell_what_changes_nothing()

    def _make(self, ix: int, iy: int, iz: int) -> None:
        if self.context.interrupted:
            return
        index = ix + len(self.x) * (iy + len(self.y) * iz)
        request = self._request(ix, iy, iz)
        text = f"{index + 1} out of {self.count}"
        try:
            made = self.context.make(request, Change(titles=self._titles(ix, iy)), text=text)
        except EaselError as error:
            self.failure = self.failure or error
            self.context.notes.append(f"{TITLE}, cell {index + 1}: {error}")
            return
        if made.pictures:
            self.first = self.first or made
            self.cells[index], self.requests[index] = made, request

    def _tell_what_changes_nothing(self) -> None:
        """A remark for each setting that an axis varies in vain."""
        own = {key for request in self.requests.values() for key in request.override_settings}
        for key in sorted(own - set(self.request.override_settings)):
            if not self.context.options.honours(key):
                self.context.notes.append(f"{TITLE}: the setting {key} changes nothing in this version of Easel.")

    def _request(self, ix: int, iy: int, iz: int) -> Request:
        request = self.request
        for side, index in ((self.x, ix), (self.y, iy), (self.z, iz)):
            request = side.axis.apply(request, side.values[index], side.values)
        wide = len(self.x) if self.given["vary_x"] else 1
        high = len(self.y) if self.given["vary_y"] else 1
        steps = (("vary_x", ix), ("vary_y", iy * wide), ("vary_z", iz * wide * high))
        more = sum(step for name, step in steps if self.given[name])
        return dataclasses.replace(request, seed=request.seed + more)

    def _titles(self, ix: int, iy: int) -> dict[str, dict[str, Any]]:
        """The texts of grids are those of their first cells."""
        if (ix, iy) != (0, 0):
            return {}
        kept: bool = self.given["keep_seeds"]
        part = {"Script": TITLE, **self.x.facts(seeds_kept=kept), **self.y.facts(seeds_kept=kept)}
        return {"part": part, "whole": {**part, **self.z.facts(seeds_kept=kept)}}

    # --- joining

    def joined(self) -> Result:
        """The grids and, if wanted, the cells."""
        images = [self._image(index) for index in range(self.count)]
        per_part = len(self.x) * len(self.y)
        parts = [self._part(images[start : start + per_part]) for start in range(0, self.count, per_part)]
        whole = self._whole(parts)
        entries = [self._kept(whole, 0, "whole", saved=None)]
        if self.given["sub_grids"]:
            several = None if len(parts) > 1 else False
            entries += [self._kept(part, number * per_part, "part", saved=several) for number, part in enumerate(parts)]
        lone = [self._entry(index, images[index]) for index in range(self.count)]
        pictures = entries + lone if self.given["pictures"] else entries
        return Result(pictures=pictures, info=self._info(entries, lone))

    def _image(self, index: int) -> Image.Image:
        """A cell's picture (of a batch, its grid); black where there is none."""
        if index in self.cells:
            return self.cells[index].image()
        first = next(iter(self.cells.values()))
        return Image.new("RGB", (first.pictures[0]["width"], first.pictures[0]["height"]))

    def _part(self, images: Sequence[Image.Image]) -> Image.Image:
        grid = self._grid(images, rows=len(self.y))
        if not self.given["legend"]:
            return grid
        return annotate(
            grid,
            cell=_largest(images),
            columns=self.x.notes(),
            rows=self.y.notes(),
            margin=self.given["margin"],
            look=Look.of(self.context.options),
        )

    def _whole(self, parts: Sequence[Image.Image]) -> Image.Image:
        grid = self._grid(parts, rows=1)
        if not self.given["legend"]:
            return grid
        look = Look.of(self.context.options)
        return annotate(grid, cell=_largest(parts), columns=self.z.notes(), rows=[[Note()]], look=look)

    def _grid(self, images: Sequence[Image.Image], *, rows: int) -> Image.Image:
        return grids.grid(images, rows=rows, policy=_policy(self.context))

    def _kept(self, image: Image.Image, index: int, title: str, *, saved: bool | None) -> JsonObject:
        """Write a grid whose first cell is `index`; its facts are that cell's, or those of any that was made."""
        made = self.cells.get(index)
        text = made.title(title) if made is not None else ""
        told = made or next(iter(self.cells.values()))
        return self.context.keep(image, text, made=told, request=self.request, saved=saved, basename="xyz_grid")

    def _entry(self, index: int, image: Image.Image) -> JsonObject:
        made = self.cells.get(index)
        if made is not None:
            return made.pictures[0]
        if not self.given["pictures"]:
            return {"infotext": ""}
        told = next(iter(self.cells.values()))
        return self.context.keep(image, "", made=told, request=self.request, kind="sample", saved=False)

    def _info(self, grids_kept: Sequence[JsonObject], lone: Sequence[JsonObject]) -> JsonObject:
        """The first cell's info with the prompts and seeds of all; A1111 lists them for the cells and, where they are
        included, the grids by Z, but not for the whole."""
        template = self.first or next(iter(self.cells.values()))
        firsts = [number * len(self.x) * len(self.y) for number in range(len(self.z))] if len(grids_kept) > 1 else []
        listed = [*firsts, *range(self.count)]
        prompts = [self.requests[index].prompt if index in self.cells else "" for index in listed]
        return {
            **template.info,
            "prompt": prompts[0],
            "all_prompts": prompts,
            "all_seeds": [self.cells[index].seed if index in self.cells else -1 for index in listed],
            "index_of_first_image": 1,
            "infotexts": [entry["infotext"] for entry in (*grids_kept, *lone)],
        }


def _policy(context: Context) -> SavePolicy:
    return SavePolicy.of(context.options, kind="grid", tab=context.tab)


def _largest(images: Sequence[Image.Image]) -> tuple[int, int]:
    return max(image.width for image in images), max(image.height for image in images)
