"""The page in a real browser: one page for the whole file, on which one thing is done after the other, as people do.

Every flow leaves no complaint in the console and asks no other host.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.generate.request import Img2Img
from modules.web.ui import defaults
from tests.visitor import LEFT, Visitor, expect, needs_chromium
from tests.web.ui.fakes import World, world
from tests.web.ui.serving import serving
from tests.web.ui.test_cards import network

pytestmark = needs_chromium
REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "a1111-ui-elements.json"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[tuple[World, Visitor]]:
    """A world with a few LoRAs, and a page that is open on it."""
    made = world(tmp_path_factory.mktemp("ways"))
    for name in ("castle", "style/ink", "style/oil"):
        network(made.services.paths.data / "Lora" / f"{name}.safetensors")
    with serving(made) as address:
        visitor = Visitor(chromium, address, color_scheme="light")
        yield made, visitor
        visitor.context.close()
    made.close()


@pytest.fixture(autouse=True)
def without_complaint(there: tuple[World, Visitor]) -> Iterator[None]:
    made, visitor = there
    made.painter.gate.set()
    visitor.ready()
    visitor.complaints.clear()
    visitor.tab("txt2img")  # wherever the test before went: each can be run alone
    yield
    assert [each for each in visitor.complaints if not LEFT.search(each)] == []
    assert visitor.foreign == []


def tick(visitor: Visitor, elem_id: str, on: bool = True) -> None:
    box = visitor.find(elem_id, "input[type=checkbox]")
    box.set_checked(on)
    expect(box).to_be_checked(checked=on)


def make(visitor: Visitor, prompt: str, tab: str = "txt2img") -> None:
    visitor.tab(tab)
    if tab == "txt2img":
        visitor.ask(prompt)
    else:
        visitor.find(f"{tab}_prompt", "textarea").fill(prompt)
    visitor.find(f"{tab}_generate").click()
    expect(visitor.find(f"html_info_{tab}")).to_contain_text(prompt)
    expect(visitor.find(f"{tab}_generate")).to_be_visible()


def test_elements_of_a1111_are_there_when_its_scripts_begin(there: tuple[World, Visitor]) -> None:
    _, visitor = there
    ids = set(
        visitor.page.evaluate(
            "new Promise(done => onUiLoaded(() => done(Array.from(document.querySelectorAll('[id]'), e => e.id))))"
        )
    )
    wanted = [
        "txt2img_hr_upscaler",
        "img2img_prompt",
        "img2img_tools",
        "img2maskimg",
        "extras_image",
        "pnginfo_image",
        "modelmerger_merge",
        "train_embedding",
        "setting_jpeg_quality",
        "txt2img_lora_cards_html",
    ]
    assert [id for id in wanted if id not in ids] == []
    visitor.page.wait_for_function("document.querySelector('button.tool:not([aria-label])') === null")
    expect(visitor.find("paste")).to_have_attribute("title", re.compile("Read the parameters"))
    if REFERENCE.is_file():
        listed = {entry["elem_id"] for entry in json.loads(REFERENCE.read_text()) if entry.get("elem_id")}
        assert len(listed & ids) > 690  # test_elements.py says why which are missing


def test_hires_fix_tells_the_size_it_leads_to(there: tuple[World, Visitor]) -> None:
    made, visitor = there
    expect(visitor.find("txt2img_hr_upscaler")).to_be_hidden()
    tick(visitor, "txt2img_hr-checkbox")
    visitor.ask("a castle")
    visitor.number("txt2img_hr_scale", 1.5)
    expect(visitor.find("txtimg_hr_finalres")).to_contain_text("64×64 → 96×96")
    make(visitor, "a castle")
    asked: Any = made.requests[-1]
    assert (asked.enable_hr, asked.hr_scale) == (True, 1.5)
    tick(visitor, "txt2img_hr-checkbox", on=False)
    expect(visitor.find("txt2img_hr_upscaler")).to_be_hidden()


def test_a_plot_is_asked_for(there: tuple[World, Visitor]) -> None:
    made, visitor = there
    visitor.find("txt2img_script_list", "input").click()
    visitor.pick("X/Y/Z plot")
    visitor.find("script_txt2img_xyz_plot_x_type", "input").click()
    visitor.pick("Steps")
    expect(visitor.find("script_txt2img_xyz_plot_x_type", "input")).to_have_value("Steps")
    visitor.find("script_txt2img_xyz_plot_x_values", ":is(textarea, input)").fill("1,2")
    make(visitor, "a plot")
    script, arguments = made.scripts[-1]
    assert script == "X/Y/Z plot"
    assert "1,2" in arguments
    visitor.find("txt2img_script_list", "input").click()
    visitor.pick("None")
    expect(visitor.find("script_txt2img_xyz_plot_x_type")).to_be_hidden()


def test_a_picture_is_saved_and_zipped(there: tuple[World, Visitor]) -> None:
    made, visitor = there
    make(visitor, "kept")
    visitor.find("save_txt2img").click()
    expect(visitor.find("html_log_txt2img")).to_contain_text("Saved")
    visitor.find("save_zip_txt2img").click()
    expect(visitor.find("download_files_txt2img")).to_contain_text(".zip")
    assert list((made.services.paths.results / "zip").glob("*.zip"))


def test_escape_interrupts(there: tuple[World, Visitor]) -> None:
    made, visitor = there
    made.painter.gate.clear()
    visitor.ask("stopped by a key", steps=50, batch_count=3)
    visitor.find("txt2img_prompt", "textarea").press("Control+Enter")
    expect(visitor.find("txt2img_progress", ".progressDiv")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    expect(visitor.find("txt2img_interrupt")).to_have_text("Interrupting...")
    made.painter.gate.set()
    expect(visitor.find("txt2img_generate")).to_be_visible()
    assert len((made.services.queue.list()[0].result or {})["pictures"]) == 1
    visitor.number("txt2img_batch_count", 1)


def test_cards_are_sorted_and_shown_by_folder(there: tuple[World, Visitor]) -> None:
    _, visitor = there
    visitor.page.get_by_role("tab", name="Lora", exact=True).first.click()
    cards = visitor.page.locator("#txt2img_lora_cards_html .card")
    expect(cards).to_have_count(3)
    visitor.page.locator("#txt2img_lora_cards_html .easel-tree button", has_text="style").click()
    expect(cards).to_have_count(2)
    visitor.find("txt2img_lora_extra_sort").select_option("Name")
    expect(cards.first).to_have_attribute("data-name", "ink")
    visitor.page.locator("#txt2img_lora_cards_html").get_by_role("button", name="Other way round").click()
    expect(cards.last).to_have_attribute("data-name", "ink")
    visitor.page.get_by_role("tab", name="Generation", exact=True).first.click()


def test_a_picture_is_enlarged_in_extras(there: tuple[World, Visitor], tmp_path: Path) -> None:
    _, visitor = there
    Image.linear_gradient("L").resize((24, 16)).save(tmp_path / "small.png")
    visitor.tab("Extras")
    visitor.find("extras_image", "input[type=file]").set_input_files(tmp_path / "small.png")
    expect(visitor.find("extras_image", "img")).to_be_visible()
    visitor.find("extras_upscaler_1", "input").click()
    visitor.pick("Lanczos")
    visitor.number("extras_upscaling_resize", 2)
    visitor.find("extras_generate").click()
    picture = visitor.find("extras_gallery", "img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 48


def test_a_folder_is_worked_through(there: tuple[World, Visitor], tmp_path: Path) -> None:
    made, visitor = there
    for number in range(2):
        Image.linear_gradient("L").resize((64, 64)).save(tmp_path / f"{number}.png")
    before = len(made.requests)
    visitor.tab("img2img")
    visitor.find("img2img_batch_tab-button").click()
    visitor.find("img2img_batch_input_dir", ":is(textarea, input)").fill(str(tmp_path))
    make(visitor, "all of them", "img2img")
    visitor.until(lambda: len(made.requests) == before + 2, "a job for each file")
    expect(visitor.find("img2img_generate")).to_be_visible()
    assert [type(request) for request in made.requests[before:]] == [Img2Img, Img2Img]


def test_mask_and_picture_are_uploaded(there: tuple[World, Visitor], tmp_path: Path) -> None:
    made, visitor = there
    Image.linear_gradient("L").resize((64, 64)).save(tmp_path / "base.png")
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    visitor.tab("img2img")
    visitor.find("img2img_inpaint_upload_tab-button").click()
    visitor.find("img_inpaint_base", "input[type=file]").set_input_files(tmp_path / "base.png")
    visitor.find("img_inpaint_mask", "input[type=file]").set_input_files(tmp_path / "mask.png")
    expect(visitor.find("img_inpaint_mask", "img")).to_be_visible()
    visitor.find("img2img_mask_mode").get_by_label("Inpaint not masked").check()
    make(visitor, "outside", "img2img")
    request = made.requests[-1]
    assert isinstance(request, Img2Img)
    assert (request.mask is not None, request.inpainting_mask_invert) == (True, 1)


def test_history_is_searched_and_the_trash_emptied(there: tuple[World, Visitor]) -> None:
    _, visitor = there
    make(visitor, "stays there")  # so that a single tile means that the search was done
    make(visitor, "thrown away")
    visitor.tab("History")
    tiles = visitor.page.locator("#history_grid .easel-tile")
    visitor.find("history_search").fill("thrown away")
    expect(tiles).to_have_count(1)
    visitor.page.locator(".easel-choose").first.check()
    visitor.page.get_by_role("button", name="Move to the trash").first.click()
    expect(tiles).to_have_count(0)
    visitor.find("history_trashed").check()
    expect(tiles).to_have_count(1)
    visitor.page.locator(".easel-choose").first.check()
    visitor.page.get_by_role("button", name="Delete for ever", exact=True).first.click()
    expect(tiles).to_have_count(0)
    visitor.find("history_trashed").uncheck()
    visitor.find("history_search").fill("")


def test_what_the_form_says_becomes_what_the_page_begins_with(there: tuple[World, Visitor]) -> None:
    made, visitor = there
    visitor.tab("txt2img")
    visitor.number("txt2img_cfg_scale", 4.5)
    visitor.tab("Settings")
    visitor.find("ui_defaults_view").click()
    expect(visitor.find("ui_defaults_review")).to_contain_text("txt2img/CFG Scale/value")
    visitor.find("ui_defaults_apply").click()
    expect(visitor.find("ui_defaults_review")).to_contain_text("kept in ui-config.json")
    assert defaults.read(made.services.paths.ui_config)["txt2img/CFG Scale/value"] == 4.5


def test_settings_come_over_from_a1111(there: tuple[World, Visitor], tmp_path: Path) -> None:
    made, visitor = there
    (tmp_path / "webui.py").touch()
    (tmp_path / "config.json").write_text(json.dumps({"jpeg_quality": 55}))
    visitor.tab("Settings")
    visitor.find("import_folder", ":is(textarea, input)").fill(str(tmp_path))
    visitor.find("import_look").click()
    expect(visitor.find("import_shown")).to_contain_text("1 settings")
    visitor.find("import_bring").click()
    expect(visitor.find("import_shown")).to_contain_text("1 settings changed")
    assert made.services.options.snapshot()["jpeg_quality"] == 55


def test_training_without_a_model_says_what_is_missing(there: tuple[World, Visitor]) -> None:
    _, visitor = there
    visitor.tab("Train")
    visitor.page.locator("#train_tabs").get_by_role("tab", name="Train", exact=True).first.click()
    visitor.find("train_train_embedding").click()
    expect(visitor.find("ti_output", ".error")).to_contain_text("Choose the embedding")


def test_extensions_are_listed(there: tuple[World, Visitor]) -> None:
    _, visitor = there
    visitor.tab("Extensions")
    expect(visitor.find("extensions_installed_html")).to_contain_text("Installed")
    for part in ("Available", "Backup/Restore", "Installed"):
        visitor.page.locator("#tab_extensions").get_by_text(part, exact=True).first.click()


def test_light_becomes_dark_and_stays_so_and_the_prompt_is_there_after_loading_again(
    there: tuple[World, Visitor],
) -> None:
    _, visitor = there
    visitor.tab("txt2img")
    visitor.ask("kept over a reload", steps=7)
    tick(visitor, "txt2img_hr-checkbox")
    visitor.page.get_by_role("button", name="Light or dark").click()
    expect(visitor.page.locator("body.dark")).to_be_attached()
    visitor.page.reload()
    expect(visitor.find("txt2img_prompt", "textarea")).to_have_value("kept over a reload")
    expect(visitor.find("txt2img_steps", "input[type=number]")).to_have_value("7")
    expect(visitor.find("txt2img_hr-checkbox", "input")).to_be_checked()
    expect(visitor.page.locator("body.dark")).to_be_attached()


def test_what_the_reader_sets_while_a_page_comes_back_stays_so(there: tuple[World, Visitor]) -> None:
    _, visitor = there
    tick(visitor, "txt2img_hr-checkbox")
    visitor.page.reload(wait_until="commit")
    expect(visitor.find("txt2img_hr-checkbox", "input")).to_be_checked()  # brought back
    tick(visitor, "txt2img_hr-checkbox", on=False)
    visitor.page.evaluate("new Promise(done => onUiLoaded(() => setTimeout(done, 500)))")
    expect(visitor.find("txt2img_hr-checkbox", "input")).not_to_be_checked()


def test_an_answer_that_a_later_one_has_overtaken_is_dropped(there: tuple[World, Visitor]) -> None:
    """Or a list would show what was searched for before."""
    answers = there[1].page.evaluate("""async () => {
        const answer = {};
        const inOrder = easelInOrder((name) => new Promise((done) => { answer[name] = () => done(name); }));
        const [earlier, later] = [inOrder("earlier"), inOrder("later")];
        answer.later();
        await later;
        answer.earlier();
        return [await earlier, await later, await Promise.all([inOrder("last"), answer.last()])];
    }""")
    assert answers == [None, "later", ["last", None]]


def test_a_page_that_is_loaded_again_follows_the_job_under_way(there: tuple[World, Visitor]) -> None:
    made, visitor = there
    tick(visitor, "txt2img_hr-checkbox", on=False)
    made.painter.gate.clear()
    visitor.ask("under way", steps=4)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("txt2img_progress", ".progressDiv")).to_be_visible()
    visitor.reload()
    expect(visitor.find("txt2img_progress", ".progressDiv")).to_be_visible()
    made.painter.gate.set()
    expect(visitor.find("html_info_txt2img")).to_contain_text("under way")
    expect(visitor.find("txt2img_generate")).to_be_visible()


def test_the_page_speaks_german_and_english_again(there: tuple[World, Visitor]) -> None:
    made, visitor = there
    shutil.copytree(Path(defaults.__file__).parents[3] / "localizations", made.services.paths.data / "localizations")
    made.services.options.set({"localization": "de_DE"})
    visitor.page.goto(visitor.address)
    expect(visitor.find("txt2img_generate")).to_have_text(re.compile("Erzeugen"))
    expect(visitor.page.get_by_role("tab", name="Einstellungen").first).to_be_visible()
    visitor.page.get_by_role("tab", name="Einstellungen").first.click()
    expect(visitor.find("setting_jpeg_quality", "label")).to_have_text("Qualität für JPEG und AVIF")
    visitor.ready()
    said = visitor.page.evaluate("getTranslation('Step 3/20 · Batch 1/2 · ETA 4.0 s')")
    assert said == "Schritt 3/20 · Stapel 1/2 · noch 4.0 s"
    visitor.page.evaluate("switch_to_img2img()")
    visitor.find("img2img_generate").click()
    expect(visitor.find("html_log_img2img", ".error")).to_contain_text("Noch ist kein Bild da")
    made.services.options.set({"localization": "None"})
    visitor.page.goto(visitor.address)
    expect(visitor.find("txt2img_generate")).to_have_text(re.compile("Generate"))
