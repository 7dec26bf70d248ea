"""The page in a real browser, against the small program of fakes.py on a free port of 127.0.0.1."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from modules.generate.request import Img2Img
from tests.visitor import Visitor, expect, needs_chromium
from tests.web.ui.fakes import FakeCheckpoint, World
from tests.web.ui.serving import Open

pytestmark = needs_chromium


def test_prompt_typed_generate_clicked_picture_seen_infotext_read(opened: Callable[..., tuple[World, Open]]) -> None:
    world, visit = opened()
    visitor = visit()
    visitor.ask("a cat in a <garden>", steps=5, seed=7, batch_count=2)
    expect(visitor.find("txt2img_token_counter")).to_have_text("5/75")
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text("a cat in a <garden>")
    expect(visitor.find("html_info_txt2img")).to_contain_text("Steps: 5, Sampler: DPM++ 2M")
    expect(visitor.find("html_info_txt2img")).to_contain_text("Seed: 7,")
    expect(visitor.find("html_log_txt2img")).to_contain_text("Time taken")
    picture = visitor.find("txt2img_gallery", "img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    expect(visitor.find("txt2img_generate")).to_be_visible()
    assert world.requests[0].batch_size == 1
    assert world.requests[0].n_iter == 2
    visitor.find("html_info_txt2img", ".easel-copy").click()
    copied = "text => text.startsWith('a cat in a <garden>\\nSteps: 5')"
    visitor.page.wait_for_function(f"navigator.clipboard.readText().then({copied})")
    visitor.find("txt2img_gallery", ".thumbnails button:nth-of-type(2)").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text("Seed: 8,")
    visitor.find("txt2img_reuse_seed").click()
    expect(visitor.find("txt2img_seed", "input")).to_have_value("8")
    assert visitor.foreign == []
    assert visitor.complaints == []


def test_the_running_job_is_seen_by_a_page_opened_later_and_ends_without_any(
    opened: Callable[..., tuple[World, Open]],
) -> None:
    world, visit = opened(pace=0.02)
    world.painter.gate.clear()
    first = visit()
    first.ask("a long job", steps=20)
    first.find("txt2img_prompt", "textarea").press("Control+Enter")
    expect(first.find("txt2img_interrupt")).to_be_visible()
    expect(first.find("txt2img_generate")).to_be_hidden()
    first.context.close()
    second, third = visit(), visit()
    for visitor in (second, third):
        expect(visitor.find("txt2img_interrupt")).to_be_visible()
        expect(visitor.find("txt2img_progress", ".progressDiv")).to_be_visible()
    expect(second.page).to_have_title(re.compile(r"^\[\d+%.*Easel$"))
    expect(second.find("txt2img_live_preview", "img.livePreview")).to_be_visible()
    world.painter.gate.set()
    for visitor in (second, third):
        expect(visitor.find("html_info_txt2img")).to_contain_text("a long job")
        expect(visitor.find("txt2img_generate")).to_be_visible()
        expect(visitor.page).to_have_title("Easel")
        assert visitor.complaints == []
    assert len(world.requests) == 1
    late = visit()
    expect(late.find("html_info_txt2img")).to_contain_text("a long job")
    expect(late.find("txt2img_gallery", "img")).to_be_visible()


def test_interrupt_and_skip(opened: Callable[..., tuple[World, Open]]) -> None:
    world, visit = opened()
    world.painter.gate.clear()
    visitor = visit()
    visitor.ask("many", batch_count=3)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("txt2img_progress")).to_contain_text("Batch 1/3")
    visitor.find("txt2img_skip").click()
    expect(visitor.find("txt2img_progress")).to_contain_text("Batch 2/3")
    visitor.find("txt2img_interrupt").click()
    expect(visitor.find("txt2img_interrupt")).to_have_text("Interrupting...")
    world.painter.gate.set()
    expect(visitor.find("html_info_txt2img")).to_contain_text("many")
    (job,) = world.services.queue.list()
    assert job.state == "done"
    assert job.result is not None
    assert len(job.result["pictures"]) == 2


def test_a_failure_is_said_in_words(opened: Callable[..., tuple[World, Open]]) -> None:
    _, visit = opened()
    visitor = visit()
    visitor.ask("fail")
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_log_txt2img", ".error")).to_have_text("The painter has run out of <colour>.")
    expect(visitor.find("txt2img_generate")).to_be_visible()
    visitor.ask("too wide", width=2048)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_log_txt2img", ".error")).to_contain_text("width: at most 1024")


def test_small_buttons_of_the_form(opened: Callable[..., tuple[World, Open]]) -> None:
    world, visit = opened()
    visitor = visit()
    visitor.ask("words", width=128, height=256, seed=5)
    visitor.find("txt2img_res_switch_btn").click()
    expect(visitor.find("txt2img_width", "input[type=number]")).to_have_value("256")
    expect(visitor.find("txt2img_height", "input[type=number]")).to_have_value("128")
    visitor.find("txt2img_random_seed").click()
    expect(visitor.find("txt2img_seed", "input")).to_have_value("-1")
    expect(visitor.find("txt2img_seed_extras")).to_be_hidden()
    visitor.find("txt2img_subseed_show", "input").check()
    visitor.number("txt2img_subseed_strength", 0.25)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text("words")
    assert world.requests[0].subseed_strength == 0.25
    visitor.find("txt2img_clear_prompt").click()
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("")
    visitor.find("paste").click()
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("words")
    visitor.find("txt2img_prompt", "textarea").fill(
        "pasted\nNegative prompt: bad\nSteps: 9, Sampler: Euler a, Schedule type: Karras, CFG scale: 3.5, Seed: 11, "
        "Size: 192x320, Clip skip: 2, RNG: NV"
    )
    visitor.find("paste").click()
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("pasted")
    expect(visitor.find("txt2img_neg_prompt", "textarea")).to_have_value("bad")
    expect(visitor.find("txt2img_sampling", "input")).to_have_value("Euler a")
    expect(visitor.find("txt2img_scheduler", "input")).to_have_value("Karras")
    expect(visitor.find("txt2img_override_settings")).to_contain_text("Clip skip: 2")
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_info_txt2img")).to_contain_text("Seed: 11")
    assert world.requests[1].override_settings == {"CLIP_stop_at_last_layers": 2}
    assert (world.requests[1].sampler_name, world.requests[1].scheduler) == ("Euler a", "Karras")
    assert visitor.complaints == []


def test_png_info_reads_a_picture_and_sends_it_to_txt2img(opened: Callable[..., tuple[World, Open]]) -> None:
    world, visit = opened()
    request = {"prompt": "from <a> file", "negative_prompt": "", "steps": 44, "sampler_name": "Euler a"}
    request |= {"scheduler": "Karras", "cfg_scale": 4.5, "width": 96, "height": 64}
    path = Path(world.painter.write(request, "picture", 0, 77)["path"])
    visitor = visit()
    visitor.tab("PNG Info")
    visitor.find("pnginfo_image", "input[type=file]").set_input_files(path)
    expect(visitor.find("pnginfo_html_info")).to_contain_text("from <a> file")
    expect(visitor.find("pnginfo_html_info")).to_contain_text("Seed: 77")
    visitor.find("txt2img_tab").click()
    expect(visitor.find("txt2img_prompt", "textarea")).to_be_visible()
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("from <a> file")
    expect(visitor.find("txt2img_seed", "input")).to_have_value("77")
    expect(visitor.find("txt2img_steps", "input[type=number]")).to_have_value("44")
    assert visitor.foreign == []
    assert visitor.complaints == []


def test_settings_are_saved_at_once_searched_and_reset(opened: Callable[..., tuple[World, Open]]) -> None:
    world, visit = opened()
    options = world.services.options
    visitor = visit()
    visitor.tab("Settings")
    visitor.find("settings_search", ":is(input, textarea)").fill("jpeg QUALITY")
    expect(visitor.find("setting_jpeg_quality")).to_be_visible()
    expect(visitor.find("setting_samples_format")).to_be_hidden()
    visitor.number("setting_jpeg_quality", 42)
    expect(visitor.find("settings_result")).to_contain_text("Saved")
    assert options.snapshot()["jpeg_quality"] == 42
    visitor.find("reset_jpeg_quality").click()
    expect(visitor.find("setting_jpeg_quality", "input[type=number]")).to_have_value("80")
    expect(visitor.find("reset_jpeg_quality")).to_be_hidden()
    assert options.snapshot()["jpeg_quality"] == 80
    visitor.find("settings_search", ":is(input, textarea)").fill("")
    visitor.find("setting_save_txt", "input").check()
    expect(visitor.find("settings_result")).to_contain_text("Saved")
    expect(visitor.find("reset_save_txt")).to_be_visible()
    assert options.snapshot()["save_txt"] is True
    pattern = visitor.find("setting_samples_filename_pattern", "input")
    pattern.fill("[seed]-[steps]")
    pattern.blur()
    expect(visitor.find("reset_samples_filename_pattern")).to_be_visible()
    assert options.snapshot()["samples_filename_pattern"] == "[seed]-[steps]"
    again = visit()
    again.tab("Settings")
    expect(again.find("setting_save_txt", "input")).to_be_checked()
    expect(again.find("setting_samples_filename_pattern", "input")).to_have_value("[seed]-[steps]")
    assert visitor.complaints == again.complaints == []


def test_menus_save_their_choice_and_both_places_show_it(opened: Callable[..., tuple[World, Open]]) -> None:
    world, visit = opened()
    options = world.services.options
    visitor = visit()
    visitor.find("setting_sd_model_checkpoint", "input").click()
    visitor.pick("sub/other.safetensors", whole=False)
    visitor.tab("Settings")
    expect(visitor.find("setting_sd_model_checkpoint_in_settings", "select")).to_have_value(re.compile("sub/other"))
    assert options.snapshot()["sd_model_checkpoint"].startswith("sub/other")
    visitor.find("setting_hide_samplers", "input").fill("Euler a")
    visitor.find("setting_hide_samplers", "input").press("Enter")
    expect(visitor.find("reset_hide_samplers")).to_be_visible()
    assert options.snapshot()["hide_samplers"] == ["Euler a"]
    visitor.find("setting_hide_samplers", ".easel-chip button").click()
    expect(visitor.find("reset_hide_samplers")).to_be_hidden()
    assert options.snapshot()["hide_samplers"] == []
    assert visitor.complaints == []


def test_without_a_model_the_page_says_what_to_do(opened: Callable[..., tuple[World, Open]]) -> None:
    broken = FakeCheckpoint(name="half.safetensors", problem="the file ends in its header")
    world, visit = opened(names=(), broken=(broken,))
    visitor = visit()
    expect(visitor.find("txt2img_no_checkpoint")).to_contain_text(str(world.services.paths.checkpoints[0]))
    world.library.arriving = ["new.safetensors"]
    visitor.find("refresh_sd_model_checkpoint").click()
    expect(visitor.find("txt2img_no_checkpoint")).to_be_hidden()
    expect(visitor.find("setting_sd_model_checkpoint", "input")).to_have_value("new.safetensors [0123456789]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_tab_without_scrolling_sideways(
    opened: Callable[..., tuple[World, Open]], scheme: str
) -> None:
    _, visit = opened()
    visitor = visit(color_scheme=scheme)
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    assert visitor.page.evaluate("document.body.classList.contains('dark')") is (scheme == "dark")
    for name, shown in (("txt2img", "txt2img_seed"), ("PNG Info", "pnginfo_image"), ("Settings", "setting_save_txt")):
        visitor.tab(name)
        expect(visitor.find(shown)).to_be_visible()
        visitor.page.wait_for_function("document.documentElement.scrollWidth <= 390")
    visitor.tab("txt2img")
    expect(visitor.find("txt2img_subseed_show")).to_be_visible()
    visitor.page.wait_for_function("txt2img_subseed_show.getBoundingClientRect().right <= 390")


def test_what_extensions_scripts_call_is_there(opened: Callable[..., tuple[World, Open]]) -> None:
    _, visit = opened()
    visitor = visit()
    assert visitor.page.evaluate("gradioApp().querySelector('#txt2img_prompt textarea') !== null")
    assert visitor.page.evaluate("gradioApp().getElementById('txt2img_prompt') !== null")
    assert visitor.page.evaluate("new Promise(done => onUiLoaded(() => done(true)))")
    assert visitor.page.evaluate("get_uiCurrentTabContent().id") == "tab_txt2img"
    visitor.page.evaluate("window.changes = 0; onUiUpdate(() => { window.changes += 1; })")
    visitor.page.evaluate("window.switches = 0; onUiTabChange(() => { window.switches += 1; })")
    visitor.page.evaluate(
        "() => { const box = gradioApp().querySelector('#txt2img_prompt textarea');"
        " box.value = 'one two three'; updateInput(box); }"
    )
    expect(visitor.find("txt2img_token_counter")).to_have_text("3/75")
    visitor.tab("PNG Info")
    expect(visitor.find("pnginfo_image")).to_be_visible()
    visitor.page.wait_for_function("get_uiCurrentTabContent().id === 'tab_pnginfo'")
    visitor.page.wait_for_function("window.changes > 0 && window.switches > 0")


def test_a_picture_dropped_on_img2img_is_worked_on_and_sent_on(
    opened: Callable[..., tuple[World, Open]], tmp_path: Path
) -> None:
    world, visit = opened()
    visitor = visit()
    path = tmp_path / "dropped.png"
    Image.linear_gradient("L").resize((80, 64)).save(path)
    visitor.page.get_by_role("tab", name="img2img").first.click()
    visitor.find("img2img_image", "input[type=file]").set_input_files(str(path))
    expect(visitor.find("img2img_image", "img")).to_be_visible()
    visitor.find("img2img_prompt", "textarea").fill("a dog")
    visitor.find("img2img_generate").click()
    expect(visitor.find("html_info_img2img")).to_contain_text("a dog")
    request = world.requests[-1]
    assert isinstance(request, Img2Img)
    assert world.services.inputs.open(request.init_images[0], field="image").size == (80, 64)
    visitor.find("img2img_send_to_extras").click()
    expect(visitor.find("extras_image", "img")).to_be_visible()


def paint(visitor: Visitor, editor: str) -> None:
    """A stroke through the middle of a picture, as soon as the editor, which first fits the picture in, takes one."""
    canvas = visitor.find(editor, ".pixi-target canvas")
    expect(canvas).to_be_visible()

    def painted() -> bool:
        box = canvas.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        visitor.page.mouse.move(x - 20, y)
        visitor.page.mouse.down()
        visitor.page.mouse.move(x + 20, y, steps=5)
        visitor.page.mouse.up()
        visitor.page.mouse.move(x, box["y"] + 5)
        seen = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
        middle, beside = (seen.getpixel((seen.width // 2 - left, seen.height // 2)) for left in (0, 130))
        return (
            max(abs(a - b) for a, b in zip(middle, beside, strict=True)) > 40
        )  # rows of these pictures are of one colour

    visitor.until(painted, "a stroke")


def test_a_sketch_is_part_of_the_picture_and_in_inpaint_sketch_of_the_mask_too(
    opened: Callable[..., tuple[World, Open]], tmp_path: Path
) -> None:
    world, visit = opened()
    visitor = visit()
    Image.new("RGB", (128, 128), (10, 200, 30)).save(tmp_path / "green.png")
    for number, editor in enumerate(("img2img_sketch", "inpaint_sketch")):
        visitor.page.evaluate(f"switch_to_{editor.removeprefix('img2img_')}()")
        expect(visitor.find(editor)).to_be_visible()
        visitor.find(editor, "input[type=file]").set_input_files(tmp_path / "green.png")
        paint(visitor, editor)
        visitor.find("img2img_prompt", "textarea").fill(editor)
        visitor.find("img2img_generate").click()
        expect(visitor.find("html_info_img2img")).to_contain_text(editor)
        expect(visitor.find("img2img_generate")).to_be_visible()
        request = world.requests[number]
        assert isinstance(request, Img2Img)
        picture = world.services.inputs.open(request.init_images[0], field="image").convert("RGB")
        assert picture.getpixel((2, 2)) == (10, 200, 30)
        assert picture.getpixel((64, 64)) != (10, 200, 30)
        assert (request.mask is not None) is (editor == "inpaint_sketch")


def test_what_is_painted_is_what_may_change(opened: Callable[..., tuple[World, Open]]) -> None:
    world, visit = opened()
    visitor = visit()
    visitor.ask("a cat", steps=2, seed=7, width=128, height=128)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_log_txt2img")).to_contain_text("Time taken")
    visitor.find("txt2img_send_to_inpaint").click()
    expect(visitor.find("img2img_prompt", "textarea")).to_have_value("a cat")
    paint(visitor, "img2maskimg")
    visitor.find("img2img_generate").click()
    expect(visitor.find("html_log_img2img")).to_contain_text("Time taken")
    request = world.requests[-1]
    assert isinstance(request, Img2Img)
    assert request.mask is not None
    mask = world.services.inputs.open(request.mask, field="mask").convert("L")
    assert mask.size == (128, 128)
    middle, corner = mask.getpixel((64, 64)), mask.getpixel((2, 2))
    assert (middle, corner) == (255, 0)


def test_generate_forever_goes_on_until_it_is_cancelled(opened: Callable[..., tuple[World, Open]]) -> None:
    world, visit = opened()
    visitor = visit()
    visitor.ask("again", steps=1, width=64, height=64)
    visitor.page.evaluate(
        "window.presses = 0; txt2img_generate.addEventListener('click', () => { window.presses += 1; })"
    )
    visitor.find("txt2img_generate").dispatch_event("contextmenu")  # a click would wait for the button to stand still
    visitor.page.get_by_role("menuitem", name="Generate forever", exact=True).click()
    visitor.until(lambda: len(world.requests) >= 3, "three jobs")
    visitor.find("txt2img_generate").dispatch_event("contextmenu")
    visitor.page.get_by_role("menuitem", name="Cancel generate forever").click()
    expect(visitor.find("txt2img_generate")).to_be_visible()
    presses = visitor.page.evaluate("window.presses")
    visitor.page.evaluate("new Promise(done => setTimeout(done, 1600))")  # three of its rounds, by the page's own clock
    assert visitor.page.evaluate("window.presses") == presses
