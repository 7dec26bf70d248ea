"""Settings: what an option is (Option), which exist (Registry), their values at one moment (Snapshot), and the kept
ones (Options, a JSON file).

Every layer reads a `Snapshot`; the Settings page and `/sdapi/v1/options` write through `Options.set`; a request's
`override_settings` are an `overlay` that nobody else sees. A value enters only through `Option.check`, so what a
snapshot holds has the right type and lies in its range. Files of A1111 are read as they are: unknown keys are kept.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from modules.core.errors import BadRequest, EaselError, NotFound, unknown
from modules.core.store import write_atomically
from modules.core.types import Json, JsonObject

Kind: TypeAlias = Literal["bool", "int", "float", "text", "choice", "choices", "color", "html"]

log = logging.getLogger(__name__)

INT_LIMIT = 2**63 - 1
TEXT_LIMIT = 100_000
_WORDS = {"true": True, "false": False}
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
_NUMERAL = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_RGB = re.compile(r"rgba?\(\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)\s*(?:,\s*[\d.]+\s*)?\)")


@dataclass(frozen=True, kw_only=True)
class Option:
    """One setting.

    section is A1111's section id; choices None means "any text" (checked by whoever knows the names, as the library
    does for sd_model_checkpoint); `also` are values accepted but not offered; `open` accepts every text beside the
    choices; minimum and maximum are inclusive; works says whether Easel honours the option yet; infotext is its label
    in generation parameters ("" if it has none). An option whose default is None may be None.
    """

    key: str
    default: Any
    label: str = ""
    section: str = ""
    kind: Kind = "text"
    choices: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    help: str = ""
    works: bool = False
    infotext: str = ""
    also: tuple[str, ...] = ()
    open: bool = False

    def __post_init__(self) -> None:
        if self.kind != "html" and self.check(self.default) != self.default:
            raise ValueError(f"option {self.key}: the default {self.default!r} is not a value of kind {self.kind}")

    def check(self, value: object, *, field: str = "") -> Any:
        """The value in the option's own type ("80" and 80.0 -> 80). Raises BadRequest naming `field`."""
        if value is None and self.default is None:
            return None
        try:
            return _CHECKS[self.kind](self, value)
        except ValueError as error:
            name = field or self.key
            raise BadRequest(f"{name}: {error}", field=name) from None


def plain_text(value: object) -> str:
    """A string that can be written to a file and used in a path: no NUL, no lone surrogate. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"wants text, got {_short(value)}")
    if len(value) > TEXT_LIMIT:
        raise ValueError(f"is longer than {TEXT_LIMIT} characters")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("holds a character that cannot be stored (NUL or half of a surrogate pair)")
    return value


def _short(value: object) -> str:
    """A value for a message, at most 60 characters; never the digits of a huge number."""
    text = ascii(value) if isinstance(value, str | bool | float) or value is None else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


def _bool(option: Option, value: object) -> bool:
    if isinstance(value, str) and value.strip().casefold() in _WORDS:
        return _WORDS[value.strip().casefold()]
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise ValueError(f"wants true or false, got {_short(value)}")


def _number(value: object) -> int | float:
    """int, finite float, or text that spells one; bool is no number."""
    if isinstance(value, str) and _NUMERAL.fullmatch(value.strip()) and len(value) <= 40:
        value = float(value) if any(mark in value for mark in ".eE") else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"wants a number, got {_short(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("wants a finite number")
    return value


def _in_range(option: Option, number: int | float) -> None:
    low, high = option.minimum, option.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = [f"at least {low:g}"] if low is not None else []
        bounds += [f"at most {high:g}"] if high is not None else []
        raise ValueError(f"must be {' and '.join(bounds)}")


def _int(option: Option, value: object) -> int:
    number = _number(value)
    if number != math.floor(number):
        raise ValueError(f"wants a whole number, got {_short(value)}")
    if abs(number) > INT_LIMIT:
        raise ValueError("is too large")
    _in_range(option, number)
    return int(number)


def _float(option: Option, value: object) -> float:
    number = _number(value)
    if abs(number) > 1e300:
        raise ValueError("is too large")
    _in_range(option, number)
    return float(number)


def _text(option: Option, value: object) -> str:
    return plain_text(value)


def _choice(option: Option, value: object) -> str:
    """The choice as it is written in the table, whatever the case of `value`."""
    text = plain_text(value)
    if option.choices is None:
        return text
    known = (*option.choices, *option.also)
    if text in known:
        return text
    folded = {choice.casefold(): choice for choice in known}
    if text.casefold() in folded:
        return folded[text.casefold()]
    if option.open:
        return text
    raise ValueError(unknown("Value", _short(text)[1:-1], option.choices))


def _choices(option: Option, value: object) -> list[str]:
    """Each once, in the order given."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"wants a list of texts, got {_short(value)}")
    return list(dict.fromkeys(_choice(option, item) for item in value))


def _color(option: Option, value: object) -> str:
    """#rrggbb; the rgb(...) and rgba(...) that a colour picker sends are turned into it, without the alpha."""
    text = plain_text(value).strip().lower()
    if _HEX.fullmatch(text):
        return text if len(text) == 7 else "#" + "".join(digit * 2 for digit in text[1:])
    match = _RGB.fullmatch(text)
    if match is None:
        raise ValueError(f"wants a colour such as #ff8800, got {_short(value)}")
    parts = [_number(part) for part in match.groups()]
    return "#" + "".join(f"{min(255, round(part)):02x}" for part in parts)


def _html(option: Option, value: object) -> Any:
    """Explanations are no settings: a client that sends back what it got may, and changes nothing."""
    plain_text(value)
    return option.default


_CHECKS: dict[str, Callable[[Option, object], Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "text": _text,
    "choice": _choice,
    "choices": _choices,
    "color": _color,
    "html": _html,
}


class Registry:
    """The options that exist, in the order of the Settings page; extensions add theirs. changes counts up with each."""

    def __init__(self) -> None:
        self._options: dict[str, Option] = {}
        self._titles: dict[str, str] = {}
        self.changes = 0

    def add(self, option: Option, *, title: str = "") -> None:
        """Make an option known; `title` names its section on the page. A key that exists raises ValueError."""
        if option.key in self._options:
            raise ValueError(f'option "{option.key}" exists already')
        if title:
            self._titles[option.section] = title
        self._options = {**self._options, option.key: option}
        self.changes += 1

    def replace(self, option: Option) -> None:
        """Another one in the place of the one with its key. Raises KeyError for a key that does not exist."""
        self._options = {**self._options, self._options[option.key].key: option}
        self.changes += 1

    def remove(self, key: str) -> None:
        """Forget an option (its extension is unloaded); a value in the file stays there. One that is not there is
        no error.
        """
        self._options = {known: option for known, option in self._options.items() if known != key}
        self.changes += 1

    def __getitem__(self, key: str) -> Option:
        return self._options[key]

    def __contains__(self, key: object) -> bool:
        return key in self._options

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def options(self) -> list[Option]:
        """All of them, in order."""
        return list(self._options.values())

    def sections(self) -> list[tuple[str, str, list[Option]]]:
        """(section id, title, its options), in the order in which the sections first appear."""
        grouped: dict[str, list[Option]] = {}
        for option in self._options.values():
            grouped.setdefault(option.section, []).append(option)
        return [(section, self._titles.get(section, section), options) for section, options in grouped.items()]

    def labels(self) -> dict[str, str]:
        """Infotext label -> key, for those options that have one."""
        return {option.infotext: option.key for option in self._options.values() if option.infotext}

    def check(self, key: str, value: object, *, field: str = "") -> Any:
        """The value in the option's own type. Raises NotFound (unknown key) or BadRequest (a value it cannot take)."""
        if key not in self._options:
            raise NotFound("Option", key, self._options, field=field or key)
        return self._options[key].check(value, field=field or key)


class Snapshot(Mapping[str, Any]):
    """All values at one moment, by key; nothing changes it. Two are equal when all their values are."""

    __slots__ = ("_registry", "_values")

    def __init__(self, registry: Registry, values: Mapping[str, Any] | None = None) -> None:
        """`values` are those that were set, checked already; every other option has its default."""
        self._registry = registry
        self._values = dict(values or {})

    def __getitem__(self, key: str) -> Any:
        value = self._values[key] if key in self._values else self._registry[key].default
        return list(value) if isinstance(value, list) else value

    def __contains__(self, key: object) -> bool:
        return key in self._registry

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)

    def overlay(self, changes: Mapping[str, Any]) -> Snapshot:
        """This one with some values replaced. Raises NotFound, BadRequest with field "override_settings.<key>"."""
        checked = {
            key: self._registry.check(key, value, field=f"override_settings.{key}") for key, value in changes.items()
        }
        return Snapshot(self._registry, {**self._values, **checked})

    def honours(self, key: str) -> bool:
        """Whether Easel does anything with the option yet."""
        return key in self._registry and self._registry[key].works

    def without(self, keys: Collection[str]) -> Snapshot:
        """This one with some options at their defaults; unknown keys say nothing."""
        return Snapshot(self._registry, {key: value for key, value in self._values.items() if key not in keys})

    def changed(self) -> JsonObject:
        """The values that differ from their defaults, ready for JSON; `Snapshot(registry).overlay` takes it back."""
        own = [key for key in self if key in self._values]
        return {key: self[key] for key in own if self[key] != self._registry[key].default}


Guard: TypeAlias = "Callable[[Mapping[str, Any], Mapping[str, Any]], None]"
"""(changes, the values now) -> None. Raises BadRequest."""


class Options:
    """The kept settings: one JSON file in A1111's form (key -> value), read once, replaced whole at every change.

    `snapshot()` takes no lock and never waits for a writer.
    """

    def __init__(
        self, registry: Registry, path: Path, *, frozen: Collection[str] = (), guard: Guard = lambda changes, now: None
    ) -> None:
        """Reads `path` if it is there; a file that is no JSON object is moved aside. Raises EaselError if unreadable.

        frozen: keys that `set` refuses to change (see `frozen_keys`); guard: raises for values that no visitor may set.
        """
        self.registry = registry
        self.path = path
        self.frozen = frozenset(frozen)
        self._guard = guard
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[list[str]], None], ...] = ()
        self._stored = _read(path)
        self._known: dict[str, Option] = {}
        self._seen = -1
        self._snapshot = Snapshot(registry)
        self._adopt()

    def snapshot(self) -> Snapshot:
        """The values now."""
        if self._seen != self.registry.changes:
            with self._lock:
                self._adopt()
        return self._snapshot

    def set(self, changes: Mapping[str, Any], *, even_frozen: bool = False) -> list[str]:
        """Change some values, all or none, on disk before in memory -> the keys whose value is another now.

        even_frozen: the program's owner asks (a flag), not a visitor. Raises NotFound (unknown key), BadRequest (a
        value the option cannot take; a frozen option), EaselError (the file cannot be written); then nothing has
        changed. Listeners are told afterwards.
        """
        with self._lock:
            self._adopt()
            before = self._snapshot
            values = {key: self.registry.check(key, value) for key, value in changes.items()}
            changed = [key for key, value in values.items() if before[key] != value]
            if not even_frozen:
                self._refuse_frozen(changed)
                self._guard(values, before)
            stored = {**self._stored, **values}
            if stored != self._stored:
                write_atomically(self.path, _encode(stored))
            self._stored = stored
            self._snapshot = Snapshot(self.registry, {**before._values, **values})
        if changed:
            self._tell(changed)
        return changed

    def on_change(self, listener: Callable[[list[str]], None]) -> Callable[[], None]:
        """Call `listener(changed keys)` after every change, in the thread that made it -> a function that stops it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def remove() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return remove

    def _adopt(self) -> None:
        """Take from the file what became known since, at the start or by an extension; forget what is gone."""
        if self._seen == self.registry.changes:
            return
        self._seen = self.registry.changes
        there = {option.key: option for option in self.registry.options()}
        gone = [key for key, option in self._known.items() if there.get(key) is not option]
        new = [key for key, option in there.items() if self._known.get(key) is not option]
        values = {}
        for key in new:
            if key in self._stored:
                try:
                    values[key] = self.registry.check(key, self._stored[key])
                except BadRequest as error:
                    log.warning("%s: %s The default is used.", self.path.name, error)
        self._snapshot = Snapshot(self.registry, {**self._snapshot.without(gone)._values, **values})
        self._known = there

    def _refuse_frozen(self, changed: Iterable[str]) -> None:
        for key in changed:
            if key in self.frozen:
                raise BadRequest(f"{key}: this setting is frozen (--freeze-settings and its kin).", field=key)

    def _tell(self, changed: list[str]) -> None:
        """The change is on disk: a listener that fails is logged and the others still hear of it."""
        for listener in self._listeners:
            try:
                listener(list(changed))
            except Exception:
                log.exception("A listener failed after the settings %s changed.", ", ".join(changed))


def frozen_keys(
    registry: Registry, *, everything: bool = False, sections: Iterable[str] = (), keys: Iterable[str] = ()
) -> frozenset[str]:
    """The keys that --freeze-settings, --freeze-settings-in-sections and --freeze-specific-settings name together.

    Sections are ids. Raises NotFound for a section or key that does not exist.
    """
    if everything:
        return frozenset(registry)
    known = {section: options for section, _, options in registry.sections()}
    frozen: set[str] = set()
    for section in sections:
        if section not in known:
            raise NotFound("Settings section", section, known, field="freeze_settings_in_sections")
        frozen.update(option.key for option in known[section])
    for key in keys:
        if key not in registry:
            raise NotFound("Option", key, registry, field="freeze_specific_settings")
        frozen.add(key)
    return frozenset(frozen)


def _encode(stored: Mapping[str, Json]) -> bytes:
    return json.dumps(stored, indent=4, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _read(path: Path) -> JsonObject:
    """The file's object; {} when there is none, and when it is damaged (it is kept under another name then)."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EaselError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    try:
        stored = json.loads(data)
    except (ValueError, RecursionError) as error:
        return _move_aside(path, str(error))
    return stored if isinstance(stored, dict) else _move_aside(path, "it holds no JSON object")


def _move_aside(path: Path, reason: str) -> JsonObject:
    """Rename a damaged file to <name>.broken-<n>, so that nothing of it is lost, and begin with no settings."""
    number = 1
    while (target := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    try:
        path.rename(target)
    except OSError as error:
        raise EaselError(f"{path} is damaged ({reason}) and cannot be renamed: {error.strerror}.") from error
    log.error("The settings file %s is damaged (%s): it is kept as %s, defaults are used.", path, reason, target.name)
    return {}
