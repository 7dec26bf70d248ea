"""Units as requests, infotexts, the page and the routes have them."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from extensions.controlnet import infotext, page, routes, units
from extensions.controlnet.files import Files
from extensions.controlnet.units import Unit
from modules.core.errors import BadRequest, EaselError
from modules.generate.request import Txt2Img
from modules.prompts import importing
from tests.studio import MENUS, Bench


def encoded(size: tuple[int, int] = (32, 24), colour: object = "red") -> str:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, format="PNG")
    return base64.b64encode(target.getvalue()).decode()


def test_a_unit_is_read_in_every_spelling() -> None:
    unit = Unit.read({"input_image": None, "guidance": 0.5, "lowvram": True, "resize_mode": 2, "control_mode": 1})
    assert unit == Unit(guidance_end=0.5, low_vram=True, resize_mode="Resize and Fill", control_mode=units.PROMPT)
    assert Unit.read({"resize_mode": "Scale to Fit (Inner Fit)", "weight": "1.5"}) == Unit(weight=1.5)
    assert Unit.read({"is_ui": False, "model": "x"}) == Unit(model="x")
    assert Unit.read({"enabled": False}) is None
    assert Unit.read(None) is None


@pytest.mark.parametrize(
    "given",
    [
        lambda text, mask: {"image": text, "mask": mask},
        lambda text, mask: {"input_image": f"data:image/png;base64,{text}", "mask_image": mask},
        lambda text, mask: {"image": {"image": text, "mask": mask}},
        lambda text, mask: {"image": [text, mask]},
        lambda text, mask: {"image": [{"image": text, "mask": mask}]},
    ],
)
def test_pictures_become_names_in_the_inputs(controlled: Bench, given: Any) -> None:
    inputs = controlled.studio.inputs
    (unit,) = units.accepted([True, given(encoded(), encoded(colour="white"))], inputs)
    assert inputs.open(unit["image"], field="").getpixel((0, 0)) == (255, 0, 0)
    assert inputs.open(unit["mask"], field="").getpixel((0, 0)) == (255, 255, 255)
    assert units.accepted([unit], inputs) == [unit]


def test_what_is_no_picture_is_refused(controlled: Bench) -> None:
    inputs = controlled.studio.inputs
    for wrong in ({"image": "/etc/passwd"}, {"image": 3}, {"image": [1, 2, 3]}, {"ipadapter_input": ["gASV"]}, 7):
        with pytest.raises(BadRequest):
            units.accepted([wrong], inputs)
    with pytest.raises(BadRequest, match="at most"):
        units.accepted([{}] * 11, inputs)


def test_an_infotext_gives_the_unit_back() -> None:
    unit = {"module": "canny", "model": "net [12345678]", "weight": 0.75, "resize_mode": 0, "threshold_a": 90,
            "guidance_start": 0.1, "guidance_end": 0.9, "pixel_perfect": True, "control_mode": 2}  # fmt: skip
    text = infotext.write(unit)
    assert text is not None
    assert text.startswith(
        "Module: canny, Model: net [12345678], Weight: 0.75, Resize Mode: Just Resize, Processor Res: 512"
    )
    read = Unit.read(infotext.parse(text))
    expected = Unit.read(unit)
    assert expected is not None
    assert read == dataclasses.replace(expected, processor_res=512, threshold_b=200)
    assert infotext.write({"enabled": False}) is None
    assert infotext.parse("preprocessor: canny") is None


def test_a_jobs_infotext_is_pasted_into_the_widgets_of_its_unit(controlled: Bench, picture: str) -> None:
    unit = {"module": "canny", "model": "diffusers", "image": picture, "weight": 0.5, "processor_res": 64}
    job = Txt2Img(prompt="a cat", seed=1, subseed=1, width=64, height=64, steps=1)
    made = controlled.make(dataclasses.replace(job, extension_args={"controlnet": [None, unit]}))
    told = controlled.scripts.told(MENUS, "txt2img", importing.parse(made["info"]["infotexts"][0]))["controlnet"]
    row = next(each for each in controlled.scripts.always_on("txt2img") if each.key == "controlnet")
    assert row.spread is not None
    values = row.spread(told)
    width = len(page.FIELDS)
    assert (values[0], values[width], values[2 * width]) == (False, True, False)
    named = {name: values.get(width + place) for place, name in enumerate(page.FIELDS)}
    assert (named["module"], named["model"], named["weight"], named["threshold_a"]) == ("canny", "diffusers", 0.5, 100)
    assert row.spread({}) == {0: False, width: False, 2 * width: False}


def test_widgets_make_units(controlled: Bench, tmp_path: Any) -> None:
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "a.png")
    on = dict.fromkeys(page.FIELDS) | {
        "enabled": True, "image": str(tmp_path / "a.png"), "module": "canny", "model": "diffusers", "weight": 1,
    }  # fmt: skip
    off = dict.fromkeys(page.FIELDS) | {"enabled": False}
    inputs = controlled.studio.inputs
    none, unit = page.gather([*off.values(), *on.values(), *off.values()], inputs)
    assert none is None
    assert inputs.open(unit["image"], field="").size == (8, 8)
    assert Unit.read(unit) == Unit(module="canny", model="diffusers", image=unit["image"])


def test_the_page_has_the_units_widgets(controlled: Bench) -> None:
    import gradio as gr

    row = next(each for each in controlled.scripts.always_on("img2img") if each.key == "controlnet")
    assert row.build is not None
    with gr.Blocks() as blocks:
        found = row.build("img2img")
    assert len(found) == 3 * len(page.FIELDS)
    ids = {each.elem_id for each in blocks.blocks.values()}
    assert {f"img2img_controlnet_ControlNet-{n}_controlnet_enable_checkbox" for n in range(3)} <= ids


@pytest.fixture(scope="module")
def client(controlled: Bench) -> Iterator[TestClient]:
    app = FastAPI()
    files = Files(lambda: [controlled.folder / "models" / "ControlNet"], list)
    app.include_router(routes.router(files, lambda: 3))
    with TestClient(app) as made:
        yield made


def test_the_routes_answer_in_the_known_shapes(client: TestClient) -> None:
    assert client.get("/controlnet/version").json() == {"version": 3}
    assert client.get("/controlnet/settings").json() == {"control_net_unit_count": 3}
    names = client.get("/controlnet/model_list", params={"update": True}).json()["model_list"]
    assert names[0] == "None"
    assert any(name.startswith("ldm-canny [") for name in names)
    modules = client.get("/controlnet/module_list").json()
    assert "invert" in modules["module_list"]
    assert [each["name"] for each in modules["module_detail"]["canny"]["sliders"]] == [
        "Resolution", "Low Threshold", "High Threshold",
    ]  # fmt: skip
    assert modules["module_detail"]["reference_only"]["model_free"] is True
    aliases = client.get("/controlnet/module_list", params={"alias_names": True}).json()["module_list"]
    assert "invert (from white bg & black line)" in aliases
    types = client.get("/controlnet/control_types").json()["control_types"]
    assert types["Canny"]["default_option"] == "canny"
    assert types["Canny"]["default_model"].startswith("ldm-canny")
    assert types["All"]["default_model"] == "None"


def test_detect_gives_maps(client: TestClient) -> None:
    body = {"controlnet_module": "canny", "controlnet_input_images": [encoded()], "controlnet_processor_res": 64}
    answer = client.post("/controlnet/detect", json=body).json()
    assert answer["info"] == "Success"
    (image,) = answer["images"]
    assert Image.open(io.BytesIO(base64.b64decode(image))).size == (85, 64)


@pytest.mark.parametrize(
    ("module", "words"), [("ip-adapter-auto", "no picture"), ("inpaint_only", "mask"), ("mediapipe_face", "MediaPipe")]
)
def test_detect_says_what_it_cannot(module: str, words: str) -> None:
    with pytest.raises(EaselError, match=words):
        routes.detected(routes.Detect(controlnet_module=module, controlnet_input_images=[encoded()]))
