"""The whole way of a person: a page in a browser, a real server, a real model, A1111's picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.reference.cases import SHARED, SHIPPED, Case, comparable, psnr, read
from tests.server.running import Server, pixels
from tests.visitor import Visitor, expect, needs_chromium

pytestmark = needs_chromium


@pytest.fixture
def visitor(server: Server, chromium: Any) -> Iterator[Visitor]:
    opened = Visitor(chromium, f"http://127.0.0.1:{server.port}/")
    yield opened
    opened.context.close()


@pytest.fixture(scope="module")
def case() -> Case:
    """A1111's picture with the noise source that is Easel's default."""
    return next(case for case in read(SHARED) or read(SHIPPED) if case.name == "rng/nv-euler")


def fill(visitor: Visitor, case: Case, **changes: float) -> None:
    asked = {**case.request, **changes}
    visitor.find("txt2img_neg_prompt", "textarea").fill(asked["negative_prompt"])
    sampler = visitor.find("txt2img_sampling", "input")
    sampler.click()
    visitor.pick(asked["sampler_name"])
    expect(sampler).to_have_value(asked["sampler_name"])
    numbers = {name: asked[name] for name in ("steps", "width", "height", "seed", "cfg_scale")}
    visitor.ask(asked["prompt"], **numbers)


def jobs(server: Server) -> int:
    """How many there have been."""
    return len(server.client.get("/easel/v1/jobs", params={"limit": 1000}).raise_for_status().json()["jobs"])


def shown(visitor: Visitor) -> Image.Image:
    """The picture in the gallery, as the browser got it."""
    address = visitor.find("txt2img_gallery", "img").evaluate("image => image.src")
    return Image.open(io.BytesIO(visitor.context.request.get(address).body()))


def test_prompt_typed_generate_clicked_picture_seen_infotext_read(visitor: Visitor, case: Case) -> None:
    fill(visitor, case)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text(f"Seed: {case.request['seed']},")
    expect(visitor.find("html_log_txt2img")).to_contain_text("Time taken")
    assert psnr(shown(visitor), case.picture(0)) >= 60
    text = visitor.find("html_info_txt2img").inner_text()
    for line in comparable(case.info["infotexts"][0]).splitlines():
        assert line in comparable(text).replace("CFG scale: 7,", "CFG scale: 7.0,")
    assert visitor.foreign == []
    assert visitor.complaints == []


def test_a_closed_tab_stops_nothing(visitor: Visitor, server: Server, chromium: Any, case: Case) -> None:
    """Reopened, the page follows the job that runs, and shows its picture."""
    fill(visitor, case, steps=60, seed=99)
    before = jobs(server)
    visitor.find("txt2img_generate").click()
    visitor.until(lambda: jobs(server) > before, "the job in the queue")
    visitor.context.close()
    later = Visitor(chromium, visitor.address)
    try:
        expect(later.find("html_info_txt2img")).to_contain_text("Seed: 99,")
        assert shown(later).size == (128, 64)
    finally:
        later.context.close()


def test_a_dropped_picture_is_made_again(visitor: Visitor, case: Case, tmp_path: Path) -> None:
    """What it takes is in its file."""
    fill(visitor, case, seed=4321)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text("Seed: 4321,")
    first = shown(visitor)
    address = visitor.find("txt2img_gallery", "img").evaluate("image => image.src")
    (tmp_path / "dropped.png").write_bytes(visitor.context.request.get(address).body())
    visitor.ask("something else", steps=1, seed=5)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text("Seed: 5,")
    visitor.find("txt2img_prompt_image", "input[type=file]").set_input_files(tmp_path / "dropped.png")
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value(case.request["prompt"])
    expect(visitor.find("txt2img_seed", "input")).to_have_value("4321")
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text("Seed: 4321,")
    assert pixels(shown(visitor)) == pixels(first)
    assert visitor.complaints == []


def test_a_wrong_network_is_named_under_the_picture(visitor: Visitor) -> None:
    visitor.ask("a cat <lora:nobody:1>", steps=1)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_log_txt2img")).to_contain_text('LoRA "nobody" not found.')
    expect(visitor.find("html_info_txt2img")).to_contain_text("a cat <lora:nobody:1>")
    assert visitor.complaints == []


def test_a_plot_shows_its_grid(visitor: Visitor) -> None:
    visitor.ask("a cat", steps=1)
    visitor.find("txt2img_script_list", "input").click()
    visitor.pick("X/Y/Z plot")
    visitor.find("script_txt2img_xyz_plot_x_type", "input").click()
    visitor.pick("Steps")
    expect(visitor.find("script_txt2img_xyz_plot_x_type", "input")).to_have_value("Steps")
    visitor.find("script_txt2img_xyz_plot_x_values", ":is(textarea, input)").fill("1,2")
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text("Script: X/Y/Z plot")
    assert shown(visitor).width >= 2 * 64
    assert visitor.complaints == []


def test_a_server_that_is_killed_at_work_and_started_again_is_found_by_the_page(chromium: Any, tmp_path: Path) -> None:
    """The page says that nobody answers, then opens anew by itself: job, form and settings are as they were."""
    with Server(tmp_path) as server:
        visitor = Visitor(chromium, f"http://127.0.0.1:{server.port}/")
        visitor.tab("Settings")
        visitor.number("setting_jpeg_quality", 42)
        expect(visitor.find("settings_result")).to_contain_text("Saved")
        visitor.tab("txt2img")
        visitor.ask("kept over a kill", steps=90, batch_count=2, seed=11)
        visitor.find("txt2img_generate").click()
        expect(visitor.find("txt2img_progress")).to_contain_text("Step")
        server.kill()
        lost = visitor.page.get_by_text("The connection to Easel is lost")
        expect(lost).to_be_visible()
    with Server(tmp_path, port=server.port):
        expect(lost).to_be_hidden()
        expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("kept over a kill")
        expect(visitor.find("txt2img_steps", "input[type=number]")).to_have_value("90")
        expect(visitor.find("html_info_txt2img")).to_contain_text("kept over a kill")
        expect(visitor.find("txt2img_gallery", ".thumbnails button")).to_be_visible()
        assert shown(visitor).size == (128, 64)  # the grid of both pictures
        expect(visitor.find("txt2img_generate")).to_be_visible()
        visitor.tab("Settings")
        expect(visitor.find("setting_jpeg_quality", "input[type=number]")).to_have_value("42")
        visitor.context.close()
