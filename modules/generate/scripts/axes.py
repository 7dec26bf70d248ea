"""What an axis of an X/Y/Z plot is. Extensions add types with `Axes.add`; A1111's own are in `axis_rows`.

An axis changes the request of a cell: a field of its own, or an entry of its `override_settings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from modules.core.errors import BadRequest
from modules.generate.scripts.registry import TABS, Menus, Tab
from modules.generate.scripts.values import Kind

if TYPE_CHECKING:
    from modules.generate.scripts.context import Request

FIELD = "script_args"

Apply: TypeAlias = "Callable[[Request, Any, Sequence[Any]], Request]"
Check: TypeAlias = Callable[[Menus, Sequence[Any]], None]
Choices: TypeAlias = Callable[[Menus], Sequence[str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """One type of axis. apply(request, value, all values) -> the request of a cell; shown: a value's legend.

    cost: how dear it is to change, 0..1: the dearest axis changes least often. check raises BadRequest or NotFound for
    values that cannot work. choices make the page offer a menu; prepare splits written values in a way of its own.
    """

    label: str
    apply: Apply
    kind: Kind = "text"
    shown: Callable[[Axis, Any], str] = lambda axis, value: f"{axis.label}: {rounded(value)}"
    check: Check | None = None
    cost: float = 0.0
    choices: Choices | None = None
    prepare: Callable[[str], list[str]] | None = None
    tabs: tuple[Tab, ...] = TABS

    @property
    def is_nothing(self) -> bool:
        return self.label == NOTHING

    @property
    def is_seed(self) -> bool:
        return self.label in ("Seed", "Var. seed")

    def legend(self, value: Any) -> str:
        return self.shown(self, value)


NOTHING = "Nothing"


def rounded(value: Any) -> Any:
    """Numbers as legends show them: without the noise of binary fractions."""
    return round(value, 8) if isinstance(value, float) else value


class Axes:
    """The axis types in the order in which A1111's menus and script_args count them, for each tab anew."""

    def __init__(self, rows: Iterable[Axis]) -> None:
        self._rows = tuple(rows)

    def add(self, axis: Axis) -> Callable[[], None]:
        """One more type at the end of the menus -> a function that takes it out again."""
        self._rows = (*self._rows, axis)

        def remove() -> None:
            self._rows = tuple(other for other in self._rows if other is not axis)

        return remove

    def of(self, tab: Tab) -> tuple[Axis, ...]:
        return tuple(axis for axis in self._rows if tab in axis.tabs)


def with_field(request: Request, name: str, value: Any) -> Request:
    """Raises BadRequest where this kind of request has no such field."""
    if name not in {field.name for field in dataclasses.fields(request)}:
        raise BadRequest(f"{FIELD}: this Easel cannot vary {name} here.", field=FIELD)
    return dataclasses.replace(request, **{name: value})


def with_setting(request: Request, key: str, value: Any) -> Request:
    return dataclasses.replace(request, override_settings={**request.override_settings, key: value})


def in_range(label: str, least: float, most: float) -> Check:
    """For axes of numbers: each value in least..most."""

    def check(menus: Menus, values: Sequence[float]) -> None:
        for value in values:
            if not least <= value <= most:
                raise BadRequest(f"{FIELD}: {label} must be {least:g} to {most:g}, not {value:g}.", field=FIELD)

    return check
