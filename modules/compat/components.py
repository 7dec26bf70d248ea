"""`ui_components`: A1111's own widgets on Gradio 6."""

from __future__ import annotations

import itertools
from typing import Any

import gradio as gr
from gradio.components.base import FormComponent

from modules.compat import stubs  # noqa: F401  (before any class is made of Gradio's)

_numbers = itertools.count()


def _classes(keywords: dict[str, Any], *more: str) -> dict[str, Any]:
    given = keywords.pop("elem_classes", None) or []
    return {**keywords, "elem_classes": [*([given] if isinstance(given, str) else given), *more]}


class ToolButton(gr.Button, FormComponent):
    """A button as small as its symbol."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from modules.compat.gradio3 import translated

        kwargs.pop("label", None)
        kwargs = translated(gr.Button, _classes(kwargs, "tool"))
        kwargs.setdefault("scale", 0)
        kwargs.setdefault("min_width", 40)
        super().__init__(*args, **kwargs)

    def get_block_name(self) -> str:
        return "button"


class Box(gr.Group):
    """Gradio 3's group with a border."""

    is_template = True


class ResizeHandleRow(gr.Row):
    """A row of two columns."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**_classes(kwargs, "resize-handle-row"))

    def get_block_name(self) -> str:
        return "row"


class FormRow(gr.Row):
    def get_block_name(self) -> str:
        return "row"


class FormColumn(gr.Column):
    def get_block_name(self) -> str:
        return "column"


class FormGroup(gr.Group):
    def get_block_name(self) -> str:
        return "group"


class FormHTML(gr.HTML):
    def get_block_name(self) -> str:
        return "html"


class FormColorPicker(gr.ColorPicker):
    def get_block_name(self) -> str:
        return "colorpicker"


class DropdownMulti(gr.Dropdown):
    """A menu of which several may be chosen."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("multiselect", True)
        super().__init__(*args, **kwargs)

    def get_block_name(self) -> str:
        return "dropdown"


class DropdownEditable(gr.Dropdown):
    """A menu that takes any text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_custom_value", True)
        super().__init__(*args, **kwargs)

    def get_block_name(self) -> str:
        return "dropdown"


class InputAccordion(gr.Checkbox):
    """A checkbox and an accordion that is open while it is ticked: `with InputAccordion(False, label=…) as on:`."""

    global_index = 0

    def __init__(self, value: bool, **kwargs: Any) -> None:
        label = kwargs.pop("label", None) or kwargs.pop("name", None) or "Accordion"
        own = kwargs.pop("elem_id", None) or f"input-accordion-{next(_numbers)}"
        InputAccordion.global_index += 1
        self.accordion_id = own
        inner: dict[str, Any] = {key: kwargs.pop(key) for key in ("visible", "elem_classes") if key in kwargs}
        kwargs.pop("tooltip", None)
        kwargs["visible"] = "hidden"  # it is ticked while the accordion is open
        super().__init__(value=value, label=f"Use {label}", elem_id=f"{own}-checkbox", **kwargs)
        inner = _classes(inner, "input-accordion")
        self.accordion = gr.Accordion(label, open=bool(value), elem_id=own, **inner)
        self.change(_opened, [self], [self.accordion], show_progress="hidden", api_visibility="private")
        self.accordion.expand(lambda: True, None, [self], show_progress="hidden", api_visibility="private")
        self.accordion.collapse(lambda: False, None, [self], show_progress="hidden", api_visibility="private")

    def extra(self) -> Any:
        """Room beside the label; here it is the first row inside."""
        return gr.Column(elem_id=f"{self.accordion_id}-extra", elem_classes=["input-accordion-extra"], min_width=0)

    def __enter__(self) -> InputAccordion:
        self.accordion.__enter__()
        return self

    def __exit__(self, *arguments: Any) -> None:
        self.accordion.__exit__(*arguments)

    def get_block_name(self) -> str:
        return "checkbox"


def _opened(ticked: bool) -> Any:
    return gr.update(open=bool(ticked))
