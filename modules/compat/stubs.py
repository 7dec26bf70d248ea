"""What is set right in the making of classes that extensions derive from Gradio's.

Keeps Gradio from writing a .pyi file beside every class that is made of its widgets: extensions' folders are theirs,
and a module that is not among sys.modules (as A1111 loads scripts) would make it fail. And a constructor that takes
whatever comes (`*args`), as A1111's ToolButton, is given it: Gradio 6 drops what is not named there.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from gradio import component_meta

_write, _updateable = component_meta.create_or_modify_pyi, component_meta.updateable


def _only_its_own(component_class: type, class_name: str, events: list[object]) -> None:
    if component_class.__module__.startswith("gradio."):
        _write(component_class, class_name, events)


component_meta.create_or_modify_pyi = _only_its_own


def _with_places(constructor: Callable[..., None]) -> Callable[..., None]:
    """Gradio's wrapper of a constructor, which knows arguments by name alone; those without one get the names that the
    next class above gives to their places.
    """
    made: Callable[..., None] = _updateable(constructor)
    own = inspect.getfullargspec(constructor)
    if own.varargs is None or own.args != ["self"]:
        return made

    @functools.wraps(constructor)
    def make(self: Any, *arguments: Any, **keywords: Any) -> None:
        above = (vars(each)["__init__"] for each in type(self).__mro__ if "__init__" in vars(each))
        places = next((spec.args[1:] for each in above if (spec := _signature(each)).varargs is None), [])
        made(self, **dict(zip(places, arguments, strict=False)), **keywords)

    return make


def _signature(constructor: Callable[..., None]) -> inspect.FullArgSpec:
    return inspect.getfullargspec(inspect.unwrap(constructor))


component_meta.updateable = _with_places
