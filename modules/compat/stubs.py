"""Keeps Gradio from writing a .pyi file beside every class that is made of its widgets: extensions' folders are theirs,
and a module that is not among sys.modules (as A1111 loads scripts) would make it fail.
"""

from __future__ import annotations

from gradio import component_meta

_write = component_meta.create_or_modify_pyi


def _only_its_own(component_class: type, class_name: str, events: list[object]) -> None:
    if component_class.__module__.startswith("gradio."):
        _write(component_class, class_name, events)


component_meta.create_or_modify_pyi = _only_its_own
