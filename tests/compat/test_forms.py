"""Each Gradio-3 form that the count of real extensions names makes the widget, update or event that was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest

from modules.compat import gradio3
from modules.compat.components import ToolButton

Make = Callable[[], Any]


@pytest.fixture(autouse=True)
def while_a_page_is_built() -> Iterator[None]:
    gradio3.settle()
    with gradio3.speaking(), gr.Blocks():
        yield


KEYWORDS: dict[str, tuple[Make, dict[str, Any]]] = {
    "Image(source=)": (lambda: gr.Image(source="webcam"), {"sources": ["webcam"]}),
    "Image(tool=)": (lambda: gr.Image(source="upload", tool="editor"), {}),
    "Image(mirror_webcam=)": (lambda: gr.Image(source="webcam", mirror_webcam=False), {}),
    "Image(brush_color=)": (lambda: gr.Image(tool="color-sketch", brush_color="#ff0000"), {}),
    "Image(brush_radius=)": (lambda: gr.Image(tool="sketch", brush_radius=20), {}),
    "Image(shape=)": (lambda: gr.Image(shape=(64, 64), label="x"), {"label": "x"}),
    "ImageEditor(source=, tool=, mirror_webcam=)": (
        lambda: gr.ImageEditor(source="upload", tool="sketch", mirror_webcam=True, label="x"),
        {"label": "x"},
    ),
    "Video(source=)": (lambda: gr.Video(source="upload"), {"sources": ["upload"]}),
    "ToolButton(tooltip=, label=)": (lambda: ToolButton("x", tooltip="says", label="l"), {"value": "x"}),
    "Button(tooltip=)": (lambda: gr.Button("x", tooltip="says"), {"value": "x"}),
    "Checkbox(tooltip=, default=)": (lambda: gr.Checkbox(default=True, label="x", tooltip="says"), {"value": True}),
    "Dropdown(tooltip=, size=)": (lambda: gr.Dropdown(["a"], value="a", tooltip="says", size="sm"), {"value": "a"}),
    "Slider(min=, max=, default=, tooltip=)": (
        lambda: gr.Slider(min=1, max=5, default=3, tooltip="says"),
        {"minimum": 1, "maximum": 5, "value": 3},
    ),
    "Dataframe(max_rows=)": (lambda: gr.Dataframe(max_rows=3, headers=["a"]), {"headers": ["a"]}),
    "TabItem(open=)": (lambda: gr.TabItem("x", open=True), {"label": "x"}),
    "Textbox(show_copy_button=)": (lambda: gr.Textbox("x", show_copy_button=True), {"value": "x"}),
    "inputs.Slider": (lambda: gr.inputs.Slider(0, 5, default=2), {"value": 2}),
    "outputs.HTML": (lambda: gr.outputs.HTML(label="x"), {"label": "x"}),
}


@pytest.mark.parametrize("form", KEYWORDS)
def test_a_keyword_of_gradio_3_is_understood_or_dropped(form: str) -> None:
    make, wanted = KEYWORDS[form]
    made = make()
    assert {name: getattr(made, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "kind",
    [
        *(
            gr.Dropdown,
            gr.Slider,
            gr.Textbox,
            gr.Button,
            gr.Checkbox,
            gr.CheckboxGroup,
            gr.HTML,
            gr.Image,
            gr.Accordion,
        ),
        *(gr.File, gr.ImageEditor, gr.Radio, gr.Row, gr.Tabs),
    ],
)
def test_update_of_a_class_is_an_update(kind: Any) -> None:
    assert kind.update(visible=False) == gr.update(visible=False)


@pytest.mark.parametrize(
    "words",
    [
        *({"height": 100}, {"columns": 2, "height": 100}, {"container": False}, {"equal_height": True}),
        *({"equal_height": True, "variant": "panel"}, {"grid": 2, "height": "auto"}, {"full_width": True}),
    ],
)
def test_style_gives_the_widget_itself(words: dict[str, Any]) -> None:
    for made in (gr.Gallery(), gr.Textbox(), gr.Row(), gr.Button("x")):
        assert made.style(**words) is made


def test_names_that_are_gone_are_there() -> None:
    box = gr.Box()
    assert isinstance(box, gr.Group)
    assert issubclass(gr.Slider, gr.components.IOComponent)
    assert hasattr(gr.events, "Releaseable")
    assert gr.context.Context.block is not None


def test_a_class_of_their_own_is_given_what_has_no_name() -> None:
    class Wide(gr.Slider):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, elem_classes=["wide"], **kwargs)

    made = Wide(1, 9, 3, label="x")
    assert (made.minimum, made.maximum, made.value, made.label) == (1, 9, 3, "x")


def test_events_take_their_old_words() -> None:
    text, button = gr.Textbox(), gr.Button("x")
    for event in (button.click, text.change, text.select, text.submit, text.input, text.blur):
        made = event(
            fn=lambda given: given, inputs=[text], outputs=[text], _js="(x) => x", show_progress=False, queue=False
        )
        made.then(fn=None, _js="() => {}", inputs=[], outputs=[])
    gr.Slider().release(None, _js="() => {}", inputs=None, outputs=None)
    gr.File().upload(lambda given: None, inputs=[], outputs=[], postprocess=False)
    gr.Image().clear(lambda: None, inputs=[], outputs=[])
    events = gr.context.Context.root_block.get_config_file()["dependencies"]
    assert [each["js"] for each in events].count("(x) => x") == 6
    assert [each["js"] for each in events].count("() => {}") == 7
