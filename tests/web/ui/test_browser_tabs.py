"""The page in a real browser: History, Queue, cards, styles, work on prompts, the merger, the connection."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from modules.generate.request import Txt2Img
from tests.visitor import Visitor, expect, needs_chromium
from tests.web.ui.fakes import World
from tests.web.ui.serving import Open
from tests.web.ui.test_cards import network

pytestmark = needs_chromium
Opened = Callable[..., tuple[World, Open]]


def make(visitor: Visitor, prompt: str = "a cat", **numbers: float) -> None:
    visitor.ask(prompt, **numbers)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_log_txt2img")).to_contain_text("Time taken")


def test_what_was_made_is_found_compared_starred_sent_on_and_thrown_away(opened: Opened) -> None:
    world, visit = opened()
    visitor = visit()
    make(visitor, "a cat", batch_count=2, seed=7)
    visitor.tab("History")
    tiles = visitor.page.locator("#history_grid .easel-tile")
    expect(tiles).to_have_count(2)
    expect(tiles.first.locator("img")).to_be_visible()
    for number in (0, 1):
        visitor.page.locator(".easel-choose").nth(number).check()
    visitor.find("history_compare").click()
    expect(visitor.page.locator(".easel-compare img").first).to_be_visible()
    visitor.page.keyboard.press("Escape")
    tiles.first.get_by_role("button", name="Star").click()
    expect(tiles.first.locator("[aria-pressed=true]")).to_be_visible()
    visitor.find("history_starred").check()
    expect(tiles).to_have_count(1)
    tiles.first.locator(".easel-face").click()
    visitor.find("history_send_to_img2img").click()
    expect(visitor.find("img2img_image", "img")).to_be_visible()
    expect(visitor.find("img2img_prompt", "textarea")).to_have_value("a cat")
    visitor.tab("History")
    tiles.first.locator(".easel-face").click()
    visitor.page.get_by_role("button", name="Move to the trash").last.click()
    expect(tiles).to_have_count(0)
    visitor.until(
        lambda: len(list((world.services.paths.data / "trash").rglob("*.png"))) == 1, "the picture thrown away"
    )
    assert visitor.foreign == visitor.complaints == []


def test_the_queue_is_reordered_paused_and_a_failure_is_tried_again(opened: Opened) -> None:
    world, visit = opened()
    world.painter.gate.clear()
    for prompt in ("running", "two", "fail"):
        row = Txt2Img(prompt=prompt, width=64, height=64, steps=2).to_json()
        world.services.queue.submit("txt2img", row, owner="ui")
    visitor = visit()
    visitor.tab("Queue")
    waiting = visitor.page.locator("#queue_board ol li")
    expect(waiting).to_have_count(2)
    waiting.nth(1).get_by_role("button", name="Up").click()
    expect(waiting.nth(0)).to_contain_text("fail")
    waiting.nth(1).get_by_role("button", name="Cancel").click()
    expect(waiting).to_have_count(1)
    visitor.find("queue_pause").click()
    expect(visitor.find("queue_pause")).to_have_text("Go on")
    world.painter.gate.set()
    expect(visitor.page.locator("#queue_board")).to_contain_text("Nothing is running")
    expect(waiting).to_have_count(1)
    visitor.find("queue_pause").click()
    failed = visitor.page.locator("#queue_board .failed")
    expect(failed).to_contain_text("run out of <colour>")
    failed.first.get_by_role("button", name="Again").click()
    expect(failed).to_have_count(2)
    assert visitor.complaints == []


def test_a_card_goes_into_the_prompt_and_is_edited(opened: Opened) -> None:
    world, visit = opened()
    folder = world.services.paths.data / "Lora"
    network(folder / "castle.safetensors", ss_network_dim="4")
    network(folder / "style" / "ink.safetensors")
    visitor = visit()
    make(visitor, "a cat")
    visitor.page.get_by_role("tab", name="Lora", exact=True).first.click()
    cards = visitor.page.locator("#txt2img_lora_cards_html .card")
    expect(cards).to_have_count(2)
    visitor.find("txt2img_lora_extra_search").fill("ink")
    expect(cards).to_have_count(1)
    cards.locator(".easel-face").click()
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("a cat <lora:ink:1>")
    cards.locator(".easel-face").click()
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("a cat")
    cards.get_by_role("button", name="Edit").click()
    visitor.page.get_by_label("Activation text").fill("ink drawing")
    visitor.page.get_by_role("button", name="Save", exact=True).last.click()
    expect(visitor.page.locator("dialog .easel-said")).to_have_text("Saved.")
    visitor.page.get_by_role("button", name="Replace the preview").click()
    expect(visitor.page.locator("#html_log_txt2img")).to_contain_text("ink.png")
    assert (folder / "style" / "ink.png").is_file()
    assert "ink drawing" in (folder / "style" / "ink.json").read_text()
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("tab", name="Checkpoints", exact=True).first.click()
    visitor.page.locator("#txt2img_checkpoints_cards_html [data-name=other] .easel-face").click()
    expect(visitor.find("setting_sd_model_checkpoint", "input")).to_have_value("sub/other.safetensors [0123456789]")
    assert visitor.complaints == []


def test_styles_are_made_applied_and_deleted(opened: Opened) -> None:
    world, visit = opened()
    visitor = visit()
    visitor.find("txt2img_styles_edit_button").click()
    name = visitor.find("txt2img_styles_edit_select", "input")
    name.fill("fine")
    name.press("Enter")
    visitor.find("txt2img_edit_style_prompt", "textarea").fill("oil, {prompt}")
    visitor.find("txt2img_edit_style_save").click()
    expect(visitor.find("txt2img_edit_style_result")).to_contain_text("Saved: fine")
    visitor.find("txt2img_edit_style_close").click()
    visitor.find("txt2img_styles", "input").click()
    visitor.pick("fine")
    expect(visitor.find("txt2img_styles", ".token")).to_contain_text("fine")
    visitor.ask("a cat")
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_log_txt2img")).to_contain_text("Time taken")
    assert world.requests[-1].styles == ("fine",)
    visitor.find("txt2img_style_apply").click()
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("oil, a cat")
    assert visitor.complaints == []


def test_prompts_are_worked_on_by_keyboard_and_by_dropped_pictures(opened: Opened) -> None:
    world, visit = opened()
    (world.services.paths.data / "tags").mkdir()
    (world.services.paths.data / "tags" / "words.csv").write_text("long_hair,0,9\nlong_sleeves,0,4\n")
    visitor = visit()
    box = visitor.find("txt2img_prompt", "textarea")
    box.fill("a cat, a dog <lora:x:1>")
    box.evaluate("box => box.setSelectionRange(4, 4)")
    for key, text in (
        ("Control+ArrowUp", "a (cat:1.1), a dog <lora:x:1>"),
        ("Control+ArrowUp", "a (cat:1.2), a dog <lora:x:1>"),
        ("Control+ArrowDown", "a (cat:1.1), a dog <lora:x:1>"),
        ("Control+ArrowDown", "a cat, a dog <lora:x:1>"),
        ("Alt+ArrowRight", "a dog <lora:x:1>, a cat"),
    ):
        box.press(key)
        expect(box).to_have_value(text)
    box.evaluate("box => box.setSelectionRange(10, 10)")
    box.press("Control+ArrowDown")
    expect(box).to_have_value("a dog <lora:x:0.95>, a cat")
    box.fill("")
    box.press_sequentially("long")
    expect(visitor.page.get_by_role("option", name="long hair")).to_be_visible()
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("long hair, ")
    request = {"prompt": "from a file", "negative_prompt": "", "steps": 9, "sampler_name": "Euler a"}
    request |= {"scheduler": "Karras", "cfg_scale": 4.5, "width": 96, "height": 64}
    path = Path(world.painter.write(request, "picture", 0, 77)["path"])
    visitor.find("txt2img_prompt_image", "input[type=file]").set_input_files(path)
    expect(box).to_have_value("from a file")
    expect(visitor.find("txt2img_width", "input[type=number]")).to_have_value("96")
    visitor.find("txt2img_aspect_btn").click()
    visitor.page.get_by_role("menuitem", name="768 × 768").click()
    expect(visitor.find("txt2img_width", "input[type=number]")).to_have_value("768")
    assert visitor.complaints == []


GLOBALS = (
    *("gradioApp", "onUiLoaded", "updateInput", "onUiUpdate", "get_uiCurrentTabContent", "create_submit_args"),
    *("randomId", "requestProgress", "switch_to_img2img", "switch_to_img2img_tab", "switch_to_txt2img"),
    *("getTranslation", "onUiTabChange", "showSubmitButtons", "appendContextMenuOption", "attachGalleryListeners"),
    *("dimensionChange", "get_tab_index", "onAfterUiUpdate", "rememberGallerySelection", "selectCheckpoint"),
    *("selected_gallery_index", "submit", "submit_img2img", "switch_to_inpaint", "switch_to_extras", "modalSaveImage"),
)
"""Functions that counted extensions of A1111's call; of values there are `opts`, `titles`, `activePromptTextarea`."""


def test_what_extensions_of_a1111_call_answers(opened: Opened) -> None:
    world, visit = opened()
    visitor = visit()
    kinds = ", ".join(f"{name}: typeof {name}" for name in GLOBALS)
    assert set(visitor.page.evaluate(f"({{{kinds}}})").values()) == {"function"}
    values = "[typeof titles, typeof activePromptTextarea, typeof ignore_ids_for_localization]"
    assert visitor.page.evaluate(values) == ["object"] * 3
    for field in ("#txt2img_prompt > label > textarea", "#img2img_neg_prompt >label> textarea"):
        assert visitor.page.evaluate(
            f"document.querySelector('{field}') === gradioApp().querySelectorAll('{field}')[0]"
        )
        assert visitor.page.evaluate(f"gradioApp().querySelector('{field}') !== null")
    visitor.page.evaluate("window.heard = 0; onOptionsChanged(() => { window.heard += 1; })")
    visitor.page.evaluate("selectCheckpoint('sub/other.safetensors [0123456789]')")
    visitor.page.wait_for_function("window.heard > 0 && opts.sd_model_checkpoint.startsWith('sub/other')")
    assert world.services.options.snapshot()["sd_model_checkpoint"].startswith("sub/other")
    visitor.page.evaluate("switch_to_inpaint()")
    expect(visitor.find("img2maskimg")).to_be_visible()
    visitor.page.wait_for_function("get_tab_index('tabs') === 1 && get_tab_index('mode_img2img') === 2")
    visitor.page.evaluate("switch_to_txt2img()")
    assert visitor.page.evaluate("/^task\\([a-z0-9]+\\)$/.test(randomId())")
    visitor.page.locator("#footer").press("?")
    expect(visitor.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert visitor.complaints == []


def test_checkpoints_are_merged(opened: Opened) -> None:
    world, visit = opened()
    visitor = visit()
    visitor.tab("Checkpoint Merger")
    for which, name in (("primary", "tiny-sd1"), ("secondary", "sub/other")):
        visitor.find(f"modelmerger_{which}_model_name", "input").click()
        visitor.pick(name, whole=False)
        expect(visitor.find(f"modelmerger_{which}_model_name", "input")).to_have_value(re.compile(name))
    visitor.find("modelmerger_merge").click()
    expect(visitor.find("modelmerger_result")).to_contain_text("merged.safetensors")
    (job,) = world.services.queue.list(limit=5)
    assert job.request["secondary_model_name"].startswith("sub/other")
    assert visitor.complaints == []


def test_a_lost_connection_is_said_and_found_again(opened: Opened) -> None:
    _, visit = opened()
    visitor = visit()
    visitor.context.set_offline(True)
    expect(visitor.page.get_by_text("The connection to Easel is lost")).to_be_visible()
    visitor.context.set_offline(False)
    # Gradio may load the page anew by itself, so that "Connected again." is seen or not
    expect(visitor.page.get_by_text("The connection to Easel is lost")).to_be_hidden()
    expect(visitor.find("txt2img_generate")).to_be_visible()
    visitor.complaints.clear()  # the browser speaks of the connection too
