"""Extensions that hang on the model itself: what they change is heard, and is gone when they let go."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.compat import scripting
from modules.compat.original import finder
from modules.core.errors import EaselError
from modules.generate.request import Txt2Img
from tests.compat.conftest import Program

REQUEST = Txt2Img(prompt="a red cat", steps=2, width=64, height=64, seed=5, sampler_name="Euler", cfg_scale=5)


def guest() -> ModuleType:
    found: ModuleType = next(each.module for each in scripting.scripts_data if each.path.endswith("inside.py"))
    return found


def made(program: Program, what: str, **changes: Any) -> np.ndarray:
    request = dataclasses.replace(REQUEST, extension_args={"inside": {"args": [what]}}, **changes)
    return np.asarray(Image.open(program.make(request)["pictures"][0]["path"]).convert("RGB"), np.int16)


@pytest.mark.parametrize("what", ["texts", "attention", "combining"])
def test_what_hangs_on_the_model_is_heard_and_then_gone(program: Program, what: str) -> None:
    plain = made(program, "")
    assert np.abs(made(program, what) - plain).max() > 2
    assert np.array_equal(made(program, ""), plain)


def test_prompts_are_read_as_an_extension_reads_them(program: Program) -> None:
    assert np.array_equal(made(program, "reading"), made(program, "", prompt="a red dog"))


def test_files_of_an_extension_are_served_to_its_scripts_and_no_others(program: Program, tmp_path: Path) -> None:
    client = TestClient(program.app.asgi)
    own = program.app.paths.extensions / "inside" / "scripts" / "inside.py"
    assert client.get(f"/file={own}").status_code == 200
    (hidden := own.parents[1] / ".git" / "config").parent.mkdir()
    hidden.write_text("url = https://user:password@example.org/inside")
    assert client.get(f"/file={hidden}").status_code in (403, 404)
    (tmp_path / "other.txt").write_text("secret")
    assert client.get(f"/file={tmp_path / 'other.txt'}").status_code in (403, 404)
    assert client.get(f"/file={program.app.paths.config}").status_code in (403, 404)


def test_a_network_of_an_extension_answers_while_the_setting_chooses_it(program: Program) -> None:
    from modules import shared_items  # type: ignore[attr-defined]

    plain = made(program, "")
    assert "Grey" in shared_items.sd_unet_items()
    other = made(program, "", override_settings={"sd_unet": "Grey"})
    assert np.abs(other - plain).max() > 2
    assert np.array_equal(made(program, ""), plain)
    assert "mine - an attention" in shared_items.list_crossattention_optimizers()


def test_the_train_tab_has_what_an_extension_adds(program: Program) -> None:
    shown = [each["props"] for each in program.room.demo.get_config_file()["components"]]
    (widget,) = [props for props in shown if props.get("elem_id") == "inside_training"]
    assert widget["label"] == "8 widgets"


def test_an_asked_text_field_begins_empty_and_networks_are_told(program: Program) -> None:
    made(program, "asked")
    assert guest().SEEN[-2:] == ["asked", []]
    script: Any = program.room.txt2img.script("Inside")
    assert program.room.txt2img.defaults()[script.args_from] == ""


def test_names_of_the_original_code_are_there_for_extensions_only(program: Program) -> None:
    assert (tuple(guest().RESIZED), len(guest().STEPS), guest().WORDS) == ((3, 4, 2), 4, "a cat ")
    own = finder.Finder(lambda file: False)
    assert all(own.find_spec(name) is None for name in finder.TABLE)
    for name, homes in finder.TABLE.items():
        module = ModuleType(name)
        finder.Finder(lambda file: True).exec_module(module)
        wanted = [each for names in homes.values() for each in names if not each.startswith("*")]
        assert all(hasattr(module, each) for each in wanted), name


def test_widgets_that_fail_leave_the_page_and_are_named(program: Program) -> None:
    (listed,) = [each for each in program.app.extensions.look() if each.name == "broken_widgets"]
    assert listed.state == "loaded"
    assert listed.error == "broken_widgets.py, ui: RuntimeError: no widgets today"
    assert 'raise RuntimeError("no widgets today")' in listed.traceback
    assert program.room.demo is not None


def test_model_classes_that_easel_does_not_have_say_so() -> None:
    from modules.compat.original import parts

    with pytest.raises(EaselError, match=r"take shared\.sd_model"):
        parts.DDIMSampler(None)
