"""`shared.opts` and `OptionInfo`: A1111's way to declare, read and write settings, over Easel's registry.

What an extension declares becomes an `Option` of the registry. What code writes while a job runs holds for that job
(no job writes a global); at any other time it is kept, as if the Settings page had been used.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modules.core.errors import EaselError
from modules.settings.options import Kind, Option

if TYPE_CHECKING:
    from modules.compat.room import Room

log = logging.getLogger(__name__)


class OptionInfo:
    """One setting as A1111's code declares it."""

    do_not_save = False

    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        onchange: Callable[[], Any] | None = None,
        section: tuple[Any, ...] | None = None,
        refresh: Callable[[], Any] | None = None,
        comment_before: str = "",
        comment_after: str = "",
        infotext: str | None = None,
        restrict_api: bool = False,
        category_id: str | None = None,
    ) -> None:
        self.default = default
        self.label = label
        self.component = component
        self.component_args = component_args
        self.onchange = onchange
        self.section = section
        self.category_id = category_id
        self.refresh = refresh
        self.comment_before = comment_before
        self.comment_after = comment_after
        self.infotext = infotext
        self.restrict_api = restrict_api

    def link(self, label: str, url: str) -> OptionInfo:
        self.comment_before += f"[<a href='{url}' target='_blank'>{label}</a>]"
        return self

    def js(self, label: str, js_func: str) -> OptionInfo:
        self.comment_before += f"[<a onclick='{js_func}(); return false'>{label}</a>]"
        return self

    def info(self, info: str) -> OptionInfo:
        self.comment_after += f"<span class='info'>({info})</span>"
        return self

    def html(self, html: str) -> OptionInfo:
        self.comment_after += html
        return self

    def needs_restart(self) -> OptionInfo:
        self.comment_after += " <span class='info'>(requires restart)</span>"
        return self

    def needs_reload_ui(self) -> OptionInfo:
        self.comment_after += " <span class='info'>(requires Reload UI)</span>"
        return self


class OptionHTML(OptionInfo):
    """A text between settings."""

    do_not_save = True

    def __init__(self, text: str) -> None:
        super().__init__(str(text).strip(), label="", component=_html)


def _html(**arguments: Any) -> Any:
    import gradio as gr

    return gr.HTML(elem_classes="settings-info", **arguments)


def options_section(section_identifier: tuple[Any, ...], options_dict: dict[str, OptionInfo]) -> dict[str, OptionInfo]:
    """The same options, each put into a section: (id, title) or (id, title, category)."""
    for info in options_dict.values():
        if len(section_identifier) == 2:
            info.section = section_identifier
        elif len(section_identifier) == 3:
            info.section, info.category_id = section_identifier[:2], section_identifier[2]
    return options_dict


@dataclasses.dataclass
class OptionsCategory:
    id: str
    label: str


class OptionsCategories:
    """Groups of sections; kept for who asks, Easel's page has none."""

    def __init__(self) -> None:
        self.mapping: dict[str, OptionsCategory] = {}

    def register_category(self, category_id: str, label: str) -> str:
        self.mapping.setdefault(category_id, OptionsCategory(category_id, label))
        return category_id


categories = OptionsCategories()


class Templates(dict[str, OptionInfo]):
    """`shared.options_templates`: what is put in becomes known at once."""

    def __init__(self, opts: Opts) -> None:
        super().__init__()
        self._opts = opts

    def __setitem__(self, key: str, info: OptionInfo) -> None:
        super().__setitem__(key, info)
        self._opts.add_option(key, info)

    def update(self, *others: Any, **more: Any) -> None:
        for key, info in dict(*others, **more).items():
            self[key] = info


class Opts:
    """`shared.opts`. An attribute is a stored value, else a default; AttributeError where neither is there."""

    def __init__(self, room: Room) -> None:
        self.__dict__["_room"] = room
        self.__dict__["_listeners"] = {}
        self.__dict__["_loose"] = {}
        self.__dict__["_declared"] = {}
        self.__dict__["templates"] = Templates(self)
        room.app.options.on_change(self._tell)

    def __getattr__(self, name: str) -> Any:
        found = self.get(name, _NOTHING)
        if found is _NOTHING:
            raise AttributeError(f"'Options' object has no attribute '{name}'")
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of now: of this job, as kept, or the default."""
        frame = self._room.frame
        while frame is not None:
            if name in frame.options:
                return frame.options[name]
            if frame.plan is not None and name in frame.plan.options:
                return frame.plan.options[name]
            frame = frame.parent
        if name in self._loose:
            return self._loose[name]
        kept = self._room.app.options.snapshot()
        if name in kept:
            return kept[name]
        return self._declared[name].default if name in self._declared else default

    def set(self, key: str, value: Any, is_api: bool = False, run_callbacks: bool = True) -> bool:
        """Change one -> whether it is another now. What the registry refuses stays with the extensions alone."""
        before = self.get(key, _NOTHING)
        frame = self._room.frame
        if frame is not None:
            frame.options[key] = value
            return bool(before is _NOTHING or before != value)
        if key not in self._room.app.options.registry:
            self._loose[key] = value
            return bool(before is _NOTHING or before != value)
        try:
            return bool(self._room.app.options.set({key: value}))
        except EaselError as error:
            log.warning("An extension's setting %s was not kept: %s", key, error)
            self._loose[key] = value
            return True

    def get_default(self, key: str) -> Any:
        if key in self._declared:
            return self._declared[key].default
        registry = self._room.app.options.registry
        return registry[key].default if key in registry else None

    @property
    def data(self) -> _Data:
        """key -> value, live in both directions."""
        return _Data(self)

    @property
    def data_labels(self) -> dict[str, OptionInfo]:
        """key -> how it was declared."""
        own = {option.key: _info(option) for option in self._room.app.options.registry.options()}
        return {**own, **self._declared}

    def add_option(self, key: str, info: OptionInfo) -> None:
        """Declare one; a key that exists keeps its first declaration."""
        registry = self._room.app.options.registry
        self._declared[key] = info
        if info.onchange is not None:
            self.onchange(key, info.onchange, call=False)
        if key in registry:
            return
        try:
            registry.add(declared(key, info), title=str(info.section[1]) if info.section else "")
        except (EaselError, ValueError) as error:
            log.debug("The setting %s is kept by its extension alone: %s", key, error)

    def onchange(self, key: str, func: Callable[[], Any], call: bool = True) -> None:
        """Call func after each change of the setting; call: and now."""
        self._listeners.setdefault(key, []).append(func)
        if call:
            func()

    def _tell(self, changed: list[str]) -> None:
        for key in changed:
            for listener in self._listeners.get(key, ()):
                try:
                    listener()
                except Exception:
                    log.exception("What an extension does when the setting %s changes failed.", key)

    def save(self, filename: str = "") -> None:
        """Settings are on the disk already when they are set."""

    def load(self, filename: str = "") -> None:
        """Settings are read when the program starts."""

    def reorder(self) -> None:
        """Sections stay in the order of their declaration."""

    def dumpjson(self) -> str:
        return json.dumps({key: self.get(key) for key in self.data_labels}, default=str)

    def cast_value(self, key: str, value: Any) -> Any:
        registry = self._room.app.options.registry
        return registry.check(key, value) if key in registry else value

    def same_type(self, x: Any, y: Any) -> bool:
        return x is None or y is None or type(x) is type(y)


class _Data(Mapping[str, Any]):
    """`opts.data`: the values that are stored."""

    def __init__(self, opts: Opts) -> None:
        self._opts = opts

    def _all(self) -> dict[str, Any]:
        kept = dict(self._opts._room.app.options.snapshot())
        kept |= {key: info.default for key, info in self._opts._declared.items() if key not in kept}
        frame = self._opts._room.frame
        return kept | self._opts._loose | (frame.options if frame else {})

    def __getitem__(self, key: str) -> Any:
        found = self._opts.get(key, _NOTHING)
        if found is _NOTHING:
            raise KeyError(key)
        return found

    def __setitem__(self, key: str, value: Any) -> None:
        self._opts.set(key, value)

    def __iter__(self) -> Any:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def pop(self, key: str, default: Any = None) -> Any:
        found = self._opts.get(key, default)
        self._opts._loose.pop(key, None)
        return found

    def setdefault(self, key: str, value: Any) -> Any:
        found = self._opts.get(key, _NOTHING)
        if found is _NOTHING:
            self._opts.set(key, value)
            return value
        return found

    def update(self, more: Mapping[str, Any]) -> None:
        for key, value in more.items():
            self._opts.set(key, value)


_NOTHING: Any = object()

_KINDS: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "text", list: "choices"}


def declared(key: str, info: OptionInfo) -> Option:
    """The option that A1111's declaration means. Raises ValueError for a default that fits no kind of setting."""
    arguments = info.component_args() if callable(info.component_args) else info.component_args or {}
    widget = getattr(info.component, "__name__", "")
    default = info.default
    if isinstance(info, OptionHTML):
        return Option(key=key, default=default, section=_section(info), kind="html", works=True)
    kind: Kind = _KINDS.get(type(default), "text")
    if widget in ("Slider", "Number") and isinstance(default, int) and not _whole(arguments):
        kind, default = "float", float(default)
    names = [each[0] if isinstance(each, list | tuple) else each for each in arguments.get("choices") or ()]
    choices = tuple(str(each) for each in names) or None
    if choices and kind == "text":
        kind = "choice"
    if kind not in ("choice", "choices"):
        choices = None
    return Option(
        key=key,
        default=default,
        label=info.label or key,
        section=_section(info),
        kind=kind,
        choices=choices,
        open=True,
        minimum=arguments.get("minimum") if kind in ("int", "float") else None,
        maximum=arguments.get("maximum") if kind in ("int", "float") else None,
        step=arguments.get("step"),
        works=True,
        infotext=info.infotext or "",
    )


def _whole(arguments: Mapping[str, Any]) -> bool:
    return all(isinstance(arguments.get(name, 1), int) for name in ("step", "minimum", "maximum"))


def _section(info: OptionInfo) -> str:
    return str(info.section[0]) if info.section and info.section[0] else "uncategorized"


def _info(option: Option) -> OptionInfo:
    arguments: dict[str, Any] = {"choices": list(option.choices)} if option.choices else {}
    ends = {"minimum": option.minimum, "maximum": option.maximum, "step": option.step}
    arguments |= {name: value for name, value in ends.items() if value is not None}
    section = (option.section, option.section)
    return OptionInfo(
        option.default,
        option.label or option.key,
        component_args=arguments,
        section=section,
        infotext=option.infotext or None,
    )
