"""The table of scripts: names, arguments in A1111's order, what they run. Imports no torch: the web lists it.

`builtin.scripts()` fills it; extensions add rows; the API reads /scripts and /script-info from it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, TypeAlias

from modules.core.errors import BadRequest, NotFound, unknown

if TYPE_CHECKING:
    from PIL.Image import Image

    from modules.generate.scripts.context import Context, Request, Result
    from modules.generate.studio import Studio

Tab: TypeAlias = Literal["txt2img", "img2img"]
TABS: tuple[Tab, ...] = ("txt2img", "img2img")

Work: TypeAlias = "Callable[[Mapping[str, Any], Studio, Request], object | None]"
"""(values by name, studio, request) -> an object whose methods are named after moments."""
Build: TypeAlias = Callable[["Tab"], Sequence[Any]]
Encode: TypeAlias = Callable[[Any], Any]

Kind: TypeAlias = Literal["bool", "int", "float", "text", "choice", "index", "choices", "note", "value"]


def _nobody_describes(*asked: object) -> NoReturn:
    raise BadRequest("nothing here describes pictures.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Menus:
    """The names that there are to choose from, each asked anew. `find_checkpoint` gives the name that settings take,
    `find_sampler` knows every spelling of a sampler; both raise NotFound. `describe` gives words for a picture, by a
    describer's name (`loading.describers`) and the options; `check_describer` raises BadRequest where it cannot.
    """

    samplers: Callable[[], Sequence[str]]
    schedulers: Callable[[], Sequence[str]]
    checkpoints: Callable[[], Sequence[str]]
    find_checkpoint: Callable[[str], str]
    find_sampler: Callable[[str], object] | None = None
    styles: Callable[[], Sequence[str]] = tuple
    vaes: Callable[[], Sequence[str]] = tuple
    upscalers: Callable[[], Sequence[str]] = lambda: ("None", "Lanczos", "Nearest")
    latent_upscalers: Callable[[], Sequence[str]] = tuple
    check_describer: Callable[[str], None] = _nobody_describes
    describe: Callable[[Image, str, Mapping[str, Any]], str] = _nobody_describes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Argument:
    """One place of `script_args`: what it is called, its widget's facts, what may stand there.

    kind "index" is a number into the choices (their label does as well), "choices" a list of some of them, "note" a
    text of the page whose value nobody reads, "value" anything that JSON holds, which the script reads itself. name:
    the key under which the script reads it. follows: (name of another argument, its value -> choices): the page offers
    those while the other has that value. infotext: its label there, "" for none; said, heard: its value as infotexts
    have it (None: they do not), and back; help: a line below the widget.
    """

    name: str
    label: str
    kind: Kind
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] | None = None
    follows: tuple[str, Callable[[Any], Sequence[str]]] | None = None
    infotext: str = ""
    said: Callable[[Any], Any] = lambda value: value
    heard: Callable[[str], Any] = lambda text: text
    help: str = ""

    def read(self, value: Any, *, field: str) -> Any:
        """The value in the argument's own type; None is the default. Raises BadRequest naming `field`."""
        if value is None:
            return self.index_of_default() if self.kind == "index" else self.default
        try:
            return _READERS[self.kind](self, value)
        except (ValueError, TypeError, OverflowError) as error:
            raise BadRequest(f'{field}: "{self.label or self.name}" {error}', field=field) from None

    def within(self, value: Any, *, field: str) -> Any:
        """`read`, and no number below the least or above the greatest; whole ones stay whole. Raises BadRequest."""
        found = self.read(value, field=field)
        if self.kind not in ("int", "float"):
            return found
        for end, wrong, word in (
            (self.minimum, self.minimum is not None and found < self.minimum, "least"),
            (self.maximum, self.maximum is not None and found > self.maximum, "most"),
        ):
            if wrong:
                raise BadRequest(f"{field}: {self.label} must be at {word} {end:g}, not {found:g}.", field=field)
        whole = isinstance(value, int) or (isinstance(value, str) and value.strip().lstrip("+-").isdigit())
        return int(found) if whole else found  # infotexts show whole numbers as they came

    def index_of_default(self) -> int:
        return (self.choices or ()).index(self.default) if self.default in (self.choices or ()) else 0


def _bool(argument: Argument, value: Any) -> bool:
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"wants true or false, got {_short(value)}.")


def _int(argument: Argument, value: Any) -> int:
    number = _float(argument, value)
    if number != int(number):
        raise ValueError(f"wants a whole number, got {_short(value)}.")
    return int(number)


def _float(argument: Argument, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"wants a number, got {_short(value)}.")
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"wants a number, got {_short(value)}.") from None
    if not abs(number) < 1e15:
        raise ValueError("is too large or no number.")
    return number


def _text(argument: Argument, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"wants text, got {_short(value)}.")
    return value


def _choice(argument: Argument, value: Any) -> str:
    """A label in any case; a number is taken as an index, as A1111's own page sends some of them."""
    choices = argument.choices or ()
    if isinstance(value, int) and not isinstance(value, bool):
        return choices[_index(argument, value)]
    folded = {choice.casefold(): choice for choice in choices}
    if _text(argument, value).casefold() not in folded:
        raise ValueError(f"is unknown. {unknown('Choice', value, choices)}")
    return folded[value.casefold()]


def _index(argument: Argument, value: Any) -> int:
    choices = argument.choices or ()
    if isinstance(value, str):
        return choices.index(_choice(argument, value))
    number = _int(argument, value)
    if not 0 <= number < len(choices):
        raise ValueError(f"wants a number from 0 to {len(choices) - 1} ({', '.join(choices[:6])} …), got {number}.")
    return number


def _several(argument: Argument, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"wants a list, got {_short(value)}.")
    if not argument.choices:  # a menu whose entries come with another argument's value
        return tuple(_text(argument, each) for each in value)
    return tuple(_choice(argument, each) for each in value)


def _note(argument: Argument, value: Any) -> None:
    return None


def _value(argument: Argument, value: Any) -> Any:
    return value


_READERS: Mapping[Kind, Callable[[Argument, Any], Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "text": _text,
    "choice": _choice,
    "index": _index,
    "choices": _several,
    "note": _note,
    "value": _value,
}


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pasting:
    """What a script with widgets of its own reads from a parsed infotext. spread: label -> value, into values (or
    Gradio's updates) of its widgets by number; arguments: the same as all its arguments in order, [] where the text
    says nothing of it. Values of the parsed text are mostly texts; both leave out what they cannot use.
    """

    spread: Callable[[Mapping[str, Any]], Mapping[int, Any]]
    arguments: Callable[[Mapping[str, Any]], list[Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
    """A script that a request can choose. title is A1111's; requests name it in any case.

    arguments: given a tab and the menus; run: the work; check: raises BadRequest or NotFound for values that cannot
    work, when the request comes in; refusal: why it cannot be used here at all, "" if it can. build, encode,
    pasting: see `AlwaysOn`.
    """

    title: str
    run: Callable[[Context, Request, Mapping[str, Any]], Result]
    arguments: Callable[[Tab, Menus], Sequence[Argument]] = lambda tab, menus: ()
    tabs: tuple[Tab, ...] = TABS
    check: Callable[[Tab, Menus, Mapping[str, Any], Mapping[str, Any]], None] | None = None
    refusal: str = ""
    build: Build | None = None
    encode: Encode | None = None
    pasting: Pasting | None = None

    @property
    def name(self) -> str:
        return self.title.lower()

    @property
    def place(self) -> str:
        """Where the names of its widgets in a form begin."""
        return f"script/{self.title}"

    def read(self, tab: Tab, menus: Menus, values: Sequence[Any]) -> dict[str, Any]:
        """`script_args` as they came -> name -> value; what is left out at the end has its default. BadRequest."""
        arguments = self.arguments(tab, menus)
        if len(values) > len(arguments):
            message = f"script_args: {self.title} takes {len(arguments)} arguments, got {len(values)}."
            raise BadRequest(message, field="script_args")
        filled = [*values, *[None] * (len(arguments) - len(values))]
        return {
            argument.name: argument.read(value, field=f"script_args.{place}")
            for place, (argument, value) in enumerate(zip(arguments, filled, strict=True))
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlwaysOn:
    """A script that A1111 runs with every request; a request may bring it arguments under `alwayson_scripts`.

    arguments None: it has no widgets at all. check: raises BadRequest for arguments that ask for what there is not;
    None accepts whatever comes, as A1111 does for what the request's own fields say.
    work: begins its part in a job (it may give None: no part in this one); methods of what it returns that are named
    after moments are called in this job alone (see `generate.attending`); None: it does nothing by itself. wanted:
    whether these values ask for that. owner: the extension it belongs to. build: makes its own widgets inside the open
    page -> input components in the order of the arguments; encode: makes of a widget's value what JSON can hold.
    accept: arguments as a request brings them -> as a job keeps them; gather: the values of all widgets that build
    made -> arguments; spread: values of arguments by name -> values of widgets by number. All may raise BadRequest.
    pasting: how it reads infotexts itself, in place of its arguments' labels.
    """

    title: str
    name: str
    arguments: Callable[[Tab, Menus], Sequence[Argument]] | None = lambda tab, menus: ()
    tabs: tuple[Tab, ...] = TABS
    check: Callable[[Sequence[Any]], None] | None = None
    work: Work | None = None
    wanted: Callable[[Mapping[str, Any]], bool] = lambda values: bool(values.get("enabled", True))
    owner: str = ""
    build: Build | None = None
    encode: Encode | None = None
    accept: Callable[[list[Any]], list[Any]] = lambda values: values
    gather: Callable[[list[Any]], list[Any]] | None = None
    spread: Callable[[Mapping[str, Any]], Mapping[int, Any]] | None = None
    pasting: Pasting | None = None

    @property
    def place(self) -> str:
        """Where the names of its widgets in a form begin."""
        return f"always/{self.key}"

    @property
    def key(self) -> str:
        """Under which `Generation.extension_args` has its arguments."""
        return self.name.strip().lower()

    def read(self, tab: Tab, menus: Menus, values: Sequence[Any], *, field: str = "alwayson_scripts") -> dict[str, Any]:
        """Arguments as they came -> name -> value; what is left out at the end has its default. Raises BadRequest."""
        arguments = self.arguments(tab, menus) if self.arguments else ()
        if len(values) > len(arguments):
            message = f"{field}: {self.title} takes {len(arguments)} arguments, got {len(values)}."
            raise BadRequest(message, field=field)
        filled = [*values, *[None] * (len(arguments) - len(values))]
        return {each.name: each.within(value, field=field) for each, value in zip(arguments, filled, strict=True)}

    def facts(self, tab: Tab, menus: Menus, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the infotext says of these values: label -> value."""
        arguments = self.arguments(tab, menus) if self.arguments else ()
        told = {each.infotext: each.said(values[each.name]) for each in arguments if each.infotext}
        return {label: value for label, value in told.items() if value is not None}


class Asked(NamedTuple):
    """An always-on script that takes part in a request: its values by name, and what the infotext says of them."""

    script: AlwaysOn
    values: Mapping[str, Any]
    facts: Mapping[str, Any]


class Scripts:
    """The scripts there are, in the order of adding. Names are found in any case."""

    def __init__(self) -> None:
        self._scripts: tuple[Script, ...] = ()
        self._always_on: tuple[AlwaysOn, ...] = ()

    def add(self, script: Script) -> Callable[[], None]:
        """One more script -> a function that takes it out again. Raises ValueError for a name that is taken."""
        if any(other.name == script.name and set(other.tabs) & set(script.tabs) for other in self._scripts):
            raise ValueError(f'there is a script "{script.title}" already')
        self._scripts = (*self._scripts, script)

        def remove() -> None:
            self._scripts = tuple(other for other in self._scripts if other is not script)

        return remove

    def add_always_on(self, script: AlwaysOn) -> Callable[[], None]:
        """One more script that runs with every request -> a function that takes it out again."""
        self._always_on = (*self._always_on, script)

        def remove() -> None:
            self._always_on = tuple(other for other in self._always_on if other is not script)

        return remove

    def of(self, tab: Tab) -> list[Script]:
        """What can be chosen on a tab: what is refused here is not offered."""
        return [script for script in self._scripts if tab in script.tabs and not script.refusal]

    def always_on(self, tab: Tab) -> list[AlwaysOn]:
        return [script for script in self._always_on if tab in script.tabs]

    def asked(self, menus: Menus, kind: str, given: Mapping[str, Any]) -> list[Asked]:
        """The always-on scripts that take part in a request, with their values. Raises BadRequest."""
        tab: Tab = "img2img" if kind == "img2img" else "txt2img"
        found: list[Asked] = []
        for script in self.always_on(tab):
            if script.work is not None:
                values = script.read(tab, menus, given.get(script.key, ()))
                if script.wanted(values):
                    found.append(Asked(script, values, script.facts(tab, menus, values)))
        return found

    def told(self, menus: Menus, tab: Tab, parsed: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """What an infotext says of always-on scripts: key -> values by name, of those that it names at all."""
        found: dict[str, dict[str, Any]] = {}
        for script in self.always_on(tab):
            for each in script.arguments(tab, menus) if script.arguments else ():
                if each.infotext in parsed:
                    with contextlib.suppress(BadRequest):
                        value = each.within(each.heard(parsed[each.infotext]), field=each.infotext)
                        found.setdefault(script.key, {})[each.name] = value
        return found

    def find(self, name: str, tab: Tab, *, field: str = "script_name") -> Script:
        """By title, in any case. Raises NotFound with the nearest, BadRequest where the script is refused."""
        for script in self._scripts:
            if script.name == name.strip().lower() and tab in script.tabs:
                if script.refusal:
                    raise BadRequest(f"{field}: {script.refusal}", field=field)
                return script
        raise NotFound("Script", name, [script.title for script in self.of(tab)], field=field)

    def check_always_on(self, asked: Mapping[str, Any], tab: Tab, menus: Menus) -> dict[str, list[Any]]:
        """`alwayson_scripts` -> `Generation.extension_args`. Raises NotFound or BadRequest for a name that is none of
        them, or for arguments that cannot be honoured.
        """
        arguments: dict[str, list[Any]] = {}
        field = "alwayson_scripts"
        known = {spelling.lower(): script for script in self.always_on(tab) for spelling in (script.name, script.title)}
        for name, body in asked.items():
            found = known.get(name.strip().lower())
            if found is None:
                if any(script.name == name.strip().lower() for script in self.of(tab)):
                    raise BadRequest(f'{field}: "{name}" is chosen with script_name and script_args.', field=field)
                raise NotFound("Script", name, [script.title for script in self.always_on(tab)], field=field)
            values = body.get("args", []) if isinstance(body, dict) else None
            if not isinstance(values, list):
                raise BadRequest(f'{field}: "{name}" wants {{"args": [...]}}.', field=field)
            values = found.accept(values)
            if found.work is not None:
                found.read(tab, menus, values)
            if found.check is not None:
                found.check(values)
            arguments[found.key] = values
        return arguments
