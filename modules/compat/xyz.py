"""The X/Y/Z plot as A1111's extensions find it: a module "xyz_grid.py" whose `axis_options` they add to.

What they add becomes types of axes of Easel's own plot. An axis changes a `p`; what it changes goes into the request of
a cell, attributes of its own under `extension_args`.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from modules.compat import processing, scripting
from modules.compat.room import Frame
from modules.generate.scripts.axes import Axis
from modules.generate.scripts.registry import TABS, Tab

if TYPE_CHECKING:
    from modules.compat.room import Room
    from modules.generate.request import Generation

ATTRIBUTES = "easel/p"
"""Key of `extension_args` for attributes that axes set on `p`."""
FILE = "xyz_grid.py"


class AxisOption:
    """A type of axis: type turns written values into real ones, apply(p, x, xs) uses one."""

    tabs: tuple[Tab, ...] = TABS

    def __init__(
        self,
        label: str,
        type: Any,
        apply: Any,
        format_value: Any = None,
        confirm: Any = None,
        cost: float = 0.0,
        choices: Any = None,
        prepare: Any = None,
    ) -> None:
        self.label, self.type, self.apply = label, type, apply
        self.format_value = format_value or format_value_add_label
        self.confirm, self.cost, self.choices, self.prepare = confirm, cost, choices, prepare


class AxisOptionImg2Img(AxisOption):
    tabs = ("img2img",)
    is_img2img = True


class AxisOptionTxt2Img(AxisOption):
    tabs = ("txt2img",)
    is_img2img = False


def apply_field(field: str) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, x: Any, xs: Any) -> None:
        setattr(p, field, x)

    return apply


def apply_override(field: str, boolean: bool = False) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, x: Any, xs: Any) -> None:
        p.override_settings[field] = str(x).lower() == "true" if boolean else x

    return apply


def apply_prompt(p: Any, x: Any, xs: Any) -> None:
    """Puts x in the place of the first value. Raises RuntimeError where that is in neither prompt."""
    if xs[0] not in p.prompt and xs[0] not in p.negative_prompt:
        raise RuntimeError(f"Prompt S/R did not find {xs[0]} in prompt or negative prompt.")
    p.prompt, p.negative_prompt = p.prompt.replace(xs[0], x), p.negative_prompt.replace(xs[0], x)


def boolean_choice(reverse: bool = False) -> Callable[[], list[str]]:
    return lambda: ["False", "True"] if reverse else ["True", "False"]


def format_value_add_label(p: Any, opt: AxisOption, x: Any) -> str:
    return f"{opt.label}: {round(x, 8) if isinstance(x, float) else x}"


def format_value(p: Any, opt: AxisOption, x: Any) -> Any:
    return round(x, 8) if isinstance(x, float) else x


def format_value_join_list(p: Any, opt: AxisOption, x: Any) -> str:
    return ", ".join(x)


def do_nothing(p: Any, x: Any, xs: Any) -> None: ...


def format_nothing(p: Any, opt: AxisOption, x: Any) -> str:
    return ""


def str_permutations(x: Any) -> Any:
    return x


def list_to_csv_string(data_list: list[Any]) -> str:
    return ",".join(str(each) for each in data_list)


def csv_string_to_list_strip(data_str: str) -> list[str]:
    return [each.strip() for each in data_str.split(",")]


class Script(scripting.Script):
    """Named for those who look for it; the plot itself is Easel's."""

    def title(self) -> str:
        return "X/Y/Z plot"

    def show(self, is_img2img: bool) -> Any:
        return False


class Options(list[Any]):
    """`axis_options`: what is added joins the program's own axes at once."""

    def __init__(self, room: Room) -> None:
        super().__init__(AxisOption(axis.label, str, do_nothing) for axis in room.app.axes.of("txt2img"))
        self._room = room

    def append(self, option: Any) -> None:
        super().append(option)
        self._join(option)

    def extend(self, options: Any) -> None:
        for each in list(options):
            self.append(each)

    def __iadd__(self, options: Any) -> Options:  # type: ignore[misc]
        self.extend(options)
        return self

    def insert(self, place: Any, option: Any) -> None:
        super().insert(place, option)
        self._join(option)

    def _join(self, option: Any) -> None:
        self._room.undo.append(self._room.app.axes.add(_axis(self._room, option)))


def install(room: Room) -> None:
    """Make the module and put it where extensions look."""
    module = types.ModuleType(FILE, __doc__)
    names = (
        AxisOption,
        AxisOptionImg2Img,
        AxisOptionTxt2Img,
        apply_field,
        apply_override,
        apply_prompt,
        boolean_choice,
    )
    more = (format_value_add_label, format_value, format_value_join_list, do_nothing, format_nothing, str_permutations)
    for each in (*names, *more, list_to_csv_string, csv_string_to_list_strip):
        setattr(module, each.__name__, each)
    kind = type("Script", (Script,), {"__module__": FILE})
    module.Script = kind  # type: ignore[attr-defined]
    module.axis_options = Options(room)  # type: ignore[attr-defined]
    path = str(room.app.paths.root / "scripts" / FILE)
    scripting.scripts_data.append(scripting.ScriptClassData(kind, path, str(room.app.paths.root), module))


def _axis(room: Room, option: Any) -> Axis:
    def apply(request: Generation, value: Any, values: Sequence[Any]) -> Generation:
        return applied(room, option, request, _read(option, value), [_read(option, each) for each in values])

    def shown(axis: Axis, value: Any) -> str:
        return str(option.format_value(None, option, _read(option, value)))

    return Axis(
        label=option.label,
        apply=apply,
        shown=shown,
        cost=float(option.cost or 0),
        choices=(lambda menus: [str(each) for each in option.choices()]) if option.choices else None,
        prepare=option.prepare,
        tabs=getattr(option, "tabs", TABS),
    )


def _read(option: Any, value: Any) -> Any:
    """A written value in the option's own type."""
    if option.type in (int, float):
        return option.type(value)
    return str(value) if option.type in (str, str_permutations) else option.type(value)


def applied(room: Room, option: Any, request: Generation, value: Any, values: list[Any]) -> Generation:
    """The request with what the option did to its `p`."""
    p = processing.of_request(room, request)
    for name, each in request.extension_args.get(ATTRIBUTES, {}).items():
        setattr(p, name, each)
    known = set(vars(p))
    before = {name: each for name, each in vars(p).items() if not name.startswith("_")}
    outer, room.thread.frame = room.thread.frame, Frame(p=p)
    try:
        option.apply(p, value, values)
        wrote = {key: each for key, each in room.thread.frame.options.items() if key in room.app.options.registry}
    finally:
        room.thread.frame = outer
    changed = {name: each for name, each in vars(p).items() if before.get(name, _NOTHING) is not each}
    fields = {field.name for field in dataclasses.fields(request)}
    own = {name: each for name, each in changed.items() if name not in fields and not name.startswith("_")}
    own |= {name: getattr(p, name) for name in vars(p) if name not in known and name not in fields}
    kept = {**request.extension_args.get(ATTRIBUTES, {}), **{key: each for key, each in own.items() if _plain(each)}}
    made = processing.to_request(room, p)
    settings = {**made.override_settings, **wrote}
    arguments = {**made.extension_args, ATTRIBUTES: kept} if kept else made.extension_args
    return dataclasses.replace(made, override_settings=settings, extension_args=arguments)


_NOTHING: Any = object()


def _plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
