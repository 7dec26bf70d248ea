"""Steps of the Extras tab: their own widgets are on the page, and what those say reaches `process`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.core.errors import BadRequest
from modules.web.ui import extras
from tests.compat.conftest import Program
from tests.compat.test_page import by_id


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    Image.new("RGB", (32, 16), (200, 0, 0)).save(path)
    return str(path)


def tab_of(program: Program) -> extras.Tab:
    import gradio as gr

    with gr.Blocks(analytics_enabled=False):
        return extras.build(program.app.services)


def pressed(program: Program, file: str, **given: Any) -> Image.Image:
    """The picture that comes of these values of the step's widgets."""
    tab = tab_of(program)
    values: Mapping[Any, Any] = {widget: widget.value for widget in tab.inputs}
    stamp = {tab.steps[f"Stamp/{name}"]: value for name, value in given.items()}
    size = {tab.steps["Upscale/upscale_mode"]: 0, tab.steps["Upscale/upscaler_1_name"]: "None"}
    id = tab.submit({**values, **size, tab.image: file, **stamp})
    job = program.app.queue.wait(id, timeout=60)
    assert job.result is not None, job.error
    return Image.open(job.result["pictures"][0]["path"])


def test_its_widgets_are_on_the_page(program: Program) -> None:
    assert by_id(program, "every_step_level")["props"]["step"] == 5
    assert by_id(program, "every_step_stamp")["type"] == "accordion"


def test_what_they_say_is_done(program: Program, file: str) -> None:
    assert pressed(program, file, enable=False, corner=0).getpixel((0, 0)) == (200, 0, 0)
    made = pressed(program, file, enable=True, corner=1, level=35)
    assert (made.getpixel((0, 0)), made.getpixel((31, 0))) == ((200, 0, 0), (35, 35, 35))
    assert "Stamp: 35" in made.info["postprocessing"]


def test_a_picture_among_them_reaches_it(program: Program, file: str) -> None:
    blue = Image.new("RGB", (4, 4), (0, 0, 250))
    assert pressed(program, file, enable=True, corner=0, picture=blue).getpixel((1, 1)) == (0, 0, 250)


def test_the_api_asks_for_it_by_name(program: Program, file: str) -> None:
    from modules.generate.extras import Extras
    from modules.generate.extras_jobs import Upload

    uploads = [Upload(data=Path(file).read_bytes(), name="picture.png")]
    asked = Extras(steps={"Stamp": {"enable": True, "corner": 0, "level": 90}}, save=False)
    job = program.app.queue.wait(program.app.services.submit_extras(asked, uploads), timeout=60)
    assert job.result is not None
    assert Image.open(job.result["pictures"][0]["path"]).getpixel((0, 0)) == (90, 90, 90)
    with pytest.raises(BadRequest):
        program.app.services.submit_extras(Extras(steps={"Stamp": 3}), uploads)  # type: ignore[dict-item]


def test_the_settings_of_one_are_known(program: Program) -> None:
    found = {each.name: each.settings for each in program.app.extensions.all()}
    assert found["every_hook"]
    assert found["every_step"] == ()
