"""Laws of the page: widgets in Gradio 3's words come to be, callbacks hear of them, tabs and routes are there."""

from __future__ import annotations

import functools
import json
from typing import Any

import gradio as gr
from starlette.testclient import TestClient

from modules.compat import gradio3, scripting
from tests.compat.conftest import Program


@functools.cache
def config(program: Program) -> dict[str, Any]:
    found: dict[str, Any] = program.room.demo.get_config_file()
    return found


def by_id(program: Program, elem_id: str) -> dict[str, Any]:
    return next(each for each in config(program)["components"] if each["props"].get("elem_id") == elem_id)


def test_a_tab_of_an_extension_is_on_the_page(program: Program) -> None:
    assert by_id(program, "tab_every_tab")["props"]["label"] == "Every"
    assert by_id(program, "every_fill")["type"] == "button"


def test_old_forms_of_widgets(program: Program) -> None:
    kinds = program.room.callbacks.of("ui_tabs")
    assert kinds
    assert by_id(program, "every_picture")["type"] == "imageeditor", 'gr.Image(tool="sketch")'
    assert by_id(program, "every_menu")["props"].get("value") is None, "a menu without a value has none"
    functions = config(program)["dependencies"]
    assert any(each.get("js") == "() => 'filled'" for each in functions), "_js="
    assert any(each.get("js") == "() => {}" for each in functions), ".then(_js=)"


def test_widgets_of_scripts_are_on_both_tabs(program: Program) -> None:
    for tab in ("txt2img", "img2img"):
        assert by_id(program, f"script_{tab}_every_hook_word")["props"]["label"] == "Word"
        assert by_id(program, f"script_{tab}_every_hook_hidden")["props"]["visible"] == "hidden"
        assert by_id(program, f"script_{tab}_twice_times")["props"]["maximum"] == 4


def test_names_that_gradio_lacks_are_added() -> None:
    gradio3.settle()
    assert gr.Dropdown.update(choices=["a"], value="a") == gr.update(choices=["a"], value="a")
    assert gr.Slider.update(3) == gr.update(value=3)
    with gr.Blocks():
        box = gr.Box()
        assert gr.Textbox().style(container=False) is not None
        assert gr.inputs.Slider(0, 5, default=2).value == 2
    assert isinstance(box, gr.Group)
    assert issubclass(gr.Textbox, gr.components.IOComponent)


def test_old_words_are_understood_only_while_a_page_is_built() -> None:
    with gradio3.speaking(), gr.Blocks():
        assert gr.Textbox(label="x", tooltip="gone").label == "x"
        assert gr.Slider(min=1, max=3).maximum == 3
    before = vars(gr.Textbox)["__init__"]
    with gradio3.speaking():
        assert vars(gr.Textbox)["__init__"] is not before
    assert vars(gr.Textbox)["__init__"] is before


def test_what_a_sketch_gives_is_what_it_was() -> None:
    import numpy as np
    from PIL import Image

    with gradio3.speaking(), gr.Blocks():
        assert isinstance(gr.Image(source="upload", tool="sketch", type="numpy"), gr.ImageEditor)
        assert isinstance(gr.Image(source="upload", type="pil"), gr.Image)
    picture = Image.new("RGBA", (4, 4), (9, 9, 9, 255))
    layer = Image.new("RGBA", (4, 4))
    layer.paste((255, 255, 255, 255), (0, 0, 2, 4))
    given = {"background": np.array(picture), "layers": [np.array(layer)], "composite": np.array(picture)}
    found = gradio3.sketched(given)
    assert found["image"].shape == (4, 4, 3)
    assert found["mask"][0, 0, 0] == 255
    assert found["mask"][0, 3, 0] == 0
    assert found["mask"].shape == (4, 4, 4)


def test_component_callbacks_hear_of_the_pages_own_widgets(program: Program) -> None:
    heard = [each[1] for each in program.guest.STARTED if each[0] == "on_after_component"]
    assert {"txt2img_prompt", "txt2img_generate", "img2img_generate"} <= set(heard)
    mine = [each[1] for each in program.guest.STARTED if each[0] == "after_component"]
    assert "txt2img_generate" in mine


def test_routes_of_extensions_answer(program: Program) -> None:
    client = TestClient(program.app.asgi)
    assert client.get("/every-hook").json() == {"mark": "beside the scripts"}


def test_scripts_are_listed_with_their_arguments(program: Program) -> None:
    client = TestClient(program.app.asgi)
    listed = client.get("/sdapi/v1/scripts").json()
    assert "every hook" in listed["txt2img"]
    assert "twice" in listed["img2img"]
    infos = client.get("/sdapi/v1/script-info").json()
    times = next(each for each in infos if each["name"] == "twice")["args"][0]
    assert (times["label"], times["minimum"], times["maximum"], times["value"]) == ("Times", 1, 4, 2)


def test_always_on_scripts_take_arguments_through_the_api(program: Program) -> None:
    client = TestClient(program.app.asgi)
    small = {"prompt": "a cat", "steps": 1, "width": 64, "height": 64, "seed": 5}
    body = {**small, "alwayson_scripts": {"Every Hook": {"args": [True, "from the API"]}}}
    answer = client.post("/sdapi/v1/txt2img", json=body)
    assert answer.status_code == 200
    assert "Every word: from the API" in json.loads(answer.json()["info"])["infotexts"][0]


def test_settings_of_extensions_are_settings(program: Program) -> None:
    client = TestClient(program.app.asgi)
    assert client.get("/sdapi/v1/options").json()["every_number"] == 3
    assert client.post("/sdapi/v1/options", json={"every_number": 4}).status_code == 200
    assert program.room.opts.every_number == 4
    assert client.post("/sdapi/v1/options", json={"every_number": 40}).status_code == 422


def test_files_for_the_page(program: Program) -> None:
    names = {each.path.name for each in program.app.additions.files.all()}
    assert {"every.js", "style.css"} <= names


def test_a_failing_extension_is_named_and_the_program_is_there(program: Program) -> None:
    broken = next(each for each in program.room.loaded if each.name == "broken")
    assert "broken on purpose" in broken.error
    assert "Traceback" in broken.traceback


def test_a_pasted_infotext_fills_the_widgets_of_scripts(program: Program) -> None:
    row = next(each for each in program.app.scripts.always_on("txt2img") if each.key == "every hook")
    assert row.pasting is not None
    found = row.pasting.spread({"Every word": "told", "Every change": "yes"})
    assert found == {0: True, 1: "told", 2: gr.update(value="noise")}, "by label, by function, by an update"
    assert row.pasting.spread({"Steps": "2"}) == {0: False}, "a widget that the text does not name stays"
    assert row.pasting.arguments({"Every word": "told", "Every change": "yes"}) == [True, "told", "noise"]
    heard: dict[str, Any] = {}
    for each in program.app.additions.heard.all():
        each("a cat", heard)
    assert heard == {"Every word": "pasted"}, "on_infotext_pasted changes what was parsed"


def test_the_infotext_of_a_request_reaches_scripts(program: Program) -> None:
    text = "a cat\nSteps: 1, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64, Every word: from the text"
    answer = TestClient(program.app.asgi).post("/sdapi/v1/txt2img", json={"infotext": text})
    assert answer.status_code == 200
    assert "Every word: from the text" in json.loads(answer.json()["info"])["infotexts"][0]


def events(program: Program, elem_id: str) -> list[dict[str, Any]]:
    """What a click on a widget does, in order."""
    found, id = config(program), by_id(program, elem_id)["id"]
    return [each for each in found["dependencies"] if [id, "click"] in [list(target) for target in each["targets"]]]


def ids(program: Program, *elem_ids: str) -> list[int]:
    return [by_id(program, elem_id)["id"] for elem_id in elem_ids]


def test_forms_of_older_extensions(program: Program) -> None:
    old = next(each for each in program.room.loaded if each.name == "old_forms")
    assert old.error == ""
    assert by_id(program, "old_forms_early")["props"]["value"] == "b", "made with the script, before its ui()"
    menu = by_id(program, "old_forms_override_settings")["props"]
    assert (menu["multiselect"], menu["visible"]) == (True, "hidden")
    module = next(each.module for each in scripting.scripts_data if each.path.endswith("old_forms.py"))
    assert module.CATEGORIES[:2] == ["prompt", "image"]
    assert "128x64" in module.SIZES


def test_an_extension_writes_into_the_pages_prompts(program: Program) -> None:
    (write,) = events(program, "old_forms_write")
    assert write["outputs"] == ids(program, "txt2img_prompt", "txt2img_neg_prompt")


def test_buttons_of_extensions_send_to_tabs(program: Program) -> None:
    """A picture with its size, a text into the fields it names, one tab's settings into another; then the tab opens."""
    picture, text, shown = events(program, "old_forms_to_img2img")
    assert picture["inputs"] == ids(program, "old_forms_picture")
    assert picture["outputs"] == ids(program, "img2img_image", "img2img_width", "img2img_height")
    assert ids(program, "img2img_prompt", "img2img_neg_prompt") == text["outputs"][:2]
    assert "switch_to_img2img()" in shown["js"]
    paste = program.room.demo.fns[text["id"]].fn
    pasted = paste("a cat\nSteps: 3, Sampler: Euler, CFG scale: 5")
    assert [each.get("value") for each in pasted[:3]] == ["a cat", "", 3]
    across, _ = events(program, "old_forms_across")
    assert across["inputs"][0] in ids(program, "txt2img_prompt")
    assert across["outputs"][0] in ids(program, "img2img_prompt")
    assert len(across["inputs"]) == len(across["outputs"])
    assert not [each for each in events(program, "old_forms_to_txt2img") if each["inputs"] == picture["inputs"]]


def test_a_callback_changes_what_the_token_counter_counts(program: Program) -> None:
    from modules import script_callbacks  # type: ignore[attr-defined]

    count = program.room.demo.fns[events(program, "txt2img_token_button")[0]["id"]].fn
    plain, longer = count("a cat", []), count("a cat on a mat", [])
    assert plain != longer

    def write(params: Any) -> None:
        assert (params.is_positive, params.styles) == (True, [])
        params.prompt = params.prompt.replace("{on}", "a cat on a mat")

    script_callbacks.on_before_token_counter(write)
    try:
        assert count("{on}", []) == longer
    finally:
        script_callbacks.remove_callbacks_for_function(write)
