"""The page's handlers without a browser: what they read from the widgets, ask of the program, and show."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from gradio.helpers import special_args
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modules.core.errors import EaselError, NotFound
from modules.generate.request import Txt2Img
from modules.prompts.styles import Style
from modules.settings.flags import Flags
from modules.web import security
from modules.web.ui import checkpoints, generation, markup, page, png_info, settings, theme, txt2img
from modules.web.ui.results import Result
from modules.web.ui.settings import Board
from tests.web.ui.fakes import FakeCheckpoint, World

MakeWorld = Callable[..., World]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """A page's parts as `page.build` joins them, with their handlers."""

    world: World
    actions: generation.Actions
    settings: settings.Actions

    @property
    def tab(self) -> generation.Tab:
        return self.actions.tab

    def form(self, **values: Any) -> dict[Any, Any]:
        """What Gradio hands to Generate: every widget of the form with its starting value, some replaced."""
        widgets = self.tab.form.widgets
        return {widget: values.get(name, widget.value) for name, widget in widgets.items()}

    @property
    def board(self) -> Board:
        """What the Settings tab's script asks."""
        return Board(services=self.world.services, quick=self.settings.tab.quick)


def made(world: World) -> Made:
    services = world.services
    with gr.Blocks(analytics_enabled=False):
        quick = settings.quick(services)
        pictures = txt2img.build(services, services.catalog, page.media_of(services))
        options = settings.build(services, quick)
    return Made(
        world=world,
        actions=generation.Actions(services=services, catalog=services.catalog, tab=pictures),
        settings=settings.Actions(services=services, tab=options, notices=[pictures.notice]),
    )


def collected(stream: AsyncIterator[dict[Any, Any]]) -> list[dict[Any, Any]]:
    async def collect() -> list[dict[Any, Any]]:
        return [updates async for updates in stream]

    return asyncio.run(collect())


def one_request() -> dict[str, Any]:
    """A small job's row."""
    return Txt2Img(prompt="first", width=64, height=64).to_json()


def text(update: Any) -> str:
    """The value of an update that may be plain or a gr.update."""
    return update["value"] if isinstance(update, dict) else update


def test_generate_asks_for_what_the_form_says_and_shows_what_comes(make_world: MakeWorld) -> None:
    one = made(make_world())
    values = {"prompt": "a cat", "steps": 3, "seed": 7, "batch_count": 2, "width": 64, "height": 64}
    shown = collected(one.actions.generate(one.form(**values)))
    (request,) = one.world.requests
    assert (request.prompt, request.steps, request.seed, request.n_iter, request.width) == ("a cat", 3, 7, 2, 64)
    panel, buttons = one.tab.screen.panel, one.tab.screen.buttons
    assert shown[0][buttons.generate]["visible"] == "hidden"
    assert shown[0][buttons.interrupt]["visible"] is True
    last = shown[-1]
    assert last[buttons.generate]["visible"] is True
    assert [Path(path).is_file() for path in last[panel.gallery]["value"]] == [True, True]
    assert "Seed: 7" in last[panel.info]
    assert "Painted &lt;b&gt;by hand" in last[panel.log]
    assert "Time taken" in last[panel.log]


def test_who_is_logged_in_is_part_of_what_is_asked(make_world: MakeWorld) -> None:
    one = made(make_world())
    for name in ("ada", None):
        visit = gr.Request(username=name)
        given = special_args(one.actions.generate, [one.form(prompt="a cat")], visit)[0]  # as Gradio calls it
        collected(one.actions.generate(*given))
    assert [request.user for request in one.world.requests] == ["ada", ""]


def test_the_shown_picture_is_enlarged_with_its_own_words(make_world: MakeWorld) -> None:
    one = made(make_world())
    screen = one.tab.screen
    nothing = one.form() | {screen.result: None, screen.selected: 0}
    assert "make one first" in collected(one.actions.upscale(nothing))[-1][screen.panel.log]
    shown = collected(one.actions.generate(one.form(prompt="a cat", seed=7, batch_count=2, width=64, height=64)))
    now = one.form(prompt="something else", hr_scale=1.5, hr_upscaler="Latent", batch_count=4, styles=["another"])
    collected(one.actions.upscale(now | {screen.result: shown[-1][screen.result], screen.selected: 1}))
    request = one.world.requests[-1]
    assert isinstance(request, Txt2Img)
    assert (request.prompt, request.seed, request.enable_hr, request.hr_scale) == ("a cat", 8, True, 1.5)
    assert (request.n_iter, request.width, request.height, request.styles) == (1, 64, 64, ())
    assert request.firstpass_image is not None
    assert one.world.services.inputs.open(request.firstpass_image, field="x").size == (64, 64)


def test_a_pasted_text_chooses_the_styles_that_are_in_its_prompts(make_world: MakeWorld) -> None:
    one = made(make_world())
    one.world.services.styles.save(Style("fine", "in oil", "photo"))
    text = "a cat, in oil\nNegative prompt: photo\nSteps: 9, Sampler: Euler, Seed: 7, Size: 64x64"
    filled = one.tab.form.fill(one.actions.pasted(text))
    values = {name: filled[widget]["value"] for name, widget in one.tab.form.widgets.items() if widget in filled}
    assert (values["prompt"], values["negative_prompt"], values["styles"]) == ("a cat", "", ["fine"])
    one.world.services.options.set({"infotext_styles": "Ignore"})
    assert one.actions.pasted(text).values["prompt"] == "a cat, in oil"


def test_defaults_are_those_of_a1111(make_world: MakeWorld) -> None:
    one = made(make_world())
    collected(one.actions.generate(one.form()))
    (request,) = one.world.requests
    assert (request.steps, request.cfg_scale, request.width, request.height) == (20, 7.0, 512, 512)
    assert (request.sampler_name, request.scheduler, request.seed) == ("DPM++ 2M", "Automatic", -1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 2048}, "width: at most 1024"),
        ({"steps": None}, "steps: a number"),
        ({"prompt": "fail please", "steps": 1}, "run out of &lt;colour&gt;"),
    ],
)
def test_what_goes_wrong_is_said_and_generate_comes_back(
    make_world: MakeWorld, values: dict[str, Any], words: str
) -> None:
    one = made(make_world())
    shown = collected(one.actions.generate(one.form(**values)))
    assert words in shown[-1][one.tab.screen.panel.log]
    assert shown[-1].get(one.tab.screen.buttons.generate, {"visible": True})["visible"] is True


def test_interrupt_ends_the_followed_job_with_what_is_there(make_world: MakeWorld) -> None:
    one = made(make_world())
    one.world.painter.gate.clear()
    screen = one.tab.screen

    async def generate_and_interrupt() -> list[dict[Any, Any]]:
        shown = []
        async for updates in one.actions.generate(one.form(prompt="cat", steps=50, batch_count=9, width=64, height=64)):
            shown.append(updates)
            if "Step 0/50" in text(updates.get(screen.panel.progress, "")):
                screen.interrupt(shown[0][screen.job])
                one.world.painter.gate.set()
        return shown

    last = asyncio.run(generate_and_interrupt())[-1]
    assert len(last[screen.panel.gallery]["value"]) == 1


def test_interrupt_of_a_waiting_job_takes_it_out_of_the_line(make_world: MakeWorld) -> None:
    one = made(make_world())
    one.world.painter.gate.clear()
    queue = one.world.services.queue
    queue.submit("txt2img", {**one_request(), "steps": 5}, owner="api")
    screen = one.tab.screen

    async def generate_and_interrupt() -> list[dict[Any, Any]]:
        shown = []
        async for updates in one.actions.generate(one.form(prompt="cat")):
            shown.append(updates)
            if "in the queue" in text(updates.get(screen.panel.progress, "")):
                screen.interrupt(shown[0][screen.job])
        return shown

    last = asyncio.run(generate_and_interrupt())[-1]
    assert "Cancelled" in last[screen.panel.log]


def test_buttons_with_nothing_to_stop_say_so(make_world: MakeWorld) -> None:
    screen = made(make_world()).tab.screen
    assert "Nothing is running" in screen.interrupt(None)[screen.panel.log]
    assert "not found" in screen.skip("nonesuch")[screen.panel.log]


def test_a_page_opened_later_shows_the_last_result(make_world: MakeWorld) -> None:
    one = made(make_world())
    first = collected(one.actions.generate(one.form(prompt="a cat", steps=2, width=64, height=64)))[-1]
    again = collected(one.tab.screen.reopen())[-1]
    gallery = one.tab.screen.panel.gallery
    assert again[gallery]["value"] == first[gallery]["value"]
    assert again[one.tab.screen.result] == first[one.tab.screen.result]


def test_option_do_not_show_images_is_honoured(make_world: MakeWorld) -> None:
    one = made(make_world())
    one.world.services.options.set({"do_not_show_images": True})
    last = collected(one.actions.generate(one.form(prompt="a cat", steps=2, width=64, height=64)))[-1]
    assert last[one.tab.screen.panel.gallery]["value"] == []


def test_seed_buttons_take_the_selected_picture(make_world: MakeWorld) -> None:
    one = made(make_world())
    last = collected(one.actions.generate(one.form(seed=7, steps=1, batch_count=3, width=64, height=64)))[-1]
    result = last[one.tab.screen.result]
    assert [one.actions.reuse_seed(result, index) for index in range(3)] == [7, 8, 9]
    assert one.actions.reuse_subseed(result, 2) == 109
    assert one.actions.reuse_seed(None, 0) == -1


def test_paste_reads_the_prompt_box_or_the_shown_picture(make_world: MakeWorld) -> None:
    one = made(make_world())
    form, log = one.tab.form, one.tab.screen.panel.log
    words = "dog\nSteps: 33, Sampler: Euler a, CFG scale: 3.5, Seed: 9, Size: 256x128, Clip skip: 2, RNG: NV"
    pasted = one.actions.paste(words, None, 0)
    assert pasted[form["prompt"]]["value"] == "dog"
    assert (pasted[form["steps"]]["value"], pasted[form["width"]]["value"]) == (33, 256)
    assert pasted[form["override_settings"]]["value"] == ["Clip skip: 2"]
    assert pasted[form["override_settings"]]["visible"] is True
    last = Result(infotexts=("last\nSteps: 4, Sampler: Euler, Seed: 2, RNG: NV",))
    assert one.actions.paste("  ", last, 0)[form["prompt"]]["value"] == "last"
    assert "nothing was made" in one.actions.paste("", None, 0)[log]


def test_sent_parameters_leave_out_what_the_options_say(make_world: MakeWorld) -> None:
    one = made(make_world())
    form = one.tab.form
    words = "dog\nSteps: 33, Sampler: Euler a, Seed: 9, Size: 256x128, RNG: NV"
    assert {form["seed"], form["width"]} <= set(one.actions.send(words))
    one.world.services.options.set({"send_seed": False, "send_size": False})
    sent = one.actions.send(words)
    assert not {form["seed"], form["width"], form["height"]} & set(sent)
    assert sent[form["steps"]]["value"] == 33


def test_every_working_option_is_on_the_page_once_and_no_other(make_world: MakeWorld) -> None:
    one = made(make_world())
    registry = one.world.services.options.registry
    working = [option for option in registry.options() if option.works and option.kind != "html"]
    content = one.settings.tab.rows.value
    assert re.findall(r'data-key="(\w+)"', content) == [option.key for option in working]
    ids = re.findall(r' id="(setting_\w+?)(?:_input)?(?:_menu)?"', content)
    taken = {f"setting_{key}" for key in one.settings.tab.quick.widgets}
    assert {f"setting_{option.key}" for option in working} <= {*ids, *taken}
    for option in working:
        assert markup.escape(option.label) in content
        assert markup.escape(option.help) in content


def test_a_change_is_saved_at_once_marked_and_set_back(make_world: MakeWorld) -> None:
    one = made(make_world())
    options = one.world.services.options
    state = one.board.set({"key": "jpeg_quality", "value": 55})
    assert options.snapshot()["jpeg_quality"] == state["values"]["jpeg_quality"] == 55
    assert state["changed"] == ["jpeg_quality"]
    assert state["words"].startswith("Saved: ")
    state = one.board.reset({"key": "jpeg_quality"})
    assert options.snapshot()["jpeg_quality"] == state["values"]["jpeg_quality"] == 80
    assert state["changed"] == []
    assert one.board.set({"key": "jpeg_quality", "value": None})["values"]["jpeg_quality"] == 80


def test_quick_settings_and_settings_show_the_same(make_world: MakeWorld) -> None:
    one = made(make_world())
    on_top = one.settings.tab.quick.widgets["sd_model_checkpoint"]
    assert on_top.elem_id == "setting_sd_model_checkpoint"
    other = "sub/other.safetensors [0123456789]"
    told = asyncio.run(one.settings.save("sd_model_checkpoint", other))[one.settings.tab.quick.json]
    assert json.loads(told)["sd_model_checkpoint"] == other
    assert one.board.state({})["values"]["sd_model_checkpoint"] == other
    first = "tiny-sd1.safetensors [0123456789]"
    one.board.set({"key": "sd_model_checkpoint", "value": first})
    event = gr.EventData(None, {"key": "sd_model_checkpoint"})
    assert one.settings.follow(event)[on_top]["value"] == first


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("jpeg_quality", 1000, "at most 100"), ("sd_model_checkpoint", "gone.safetensors", "gone")],
)
def test_a_refused_value_is_explained_and_changes_nothing(
    make_world: MakeWorld, key: str, value: Any, words: str
) -> None:
    one = made(make_world())
    before = one.world.services.options.snapshot()[key]
    with pytest.raises(EaselError, match=words):
        one.board.set({"key": key, "value": value})
    on_top = asyncio.run(one.settings.save(key, value))
    assert 'class="error"' in on_top[one.settings.tab.quick.said]
    assert one.world.services.options.snapshot()[key] == before


def test_frozen_settings_cannot_be_changed(make_world: MakeWorld) -> None:
    one = made(make_world(frozen=("jpeg_quality",)))
    assert re.search(r'id="setting_jpeg_quality_input"[^>]* disabled>', one.settings.tab.rows.value)
    with pytest.raises(EaselError, match="frozen"):
        one.board.set({"key": "jpeg_quality", "value": 55})
    assert one.world.services.options.snapshot()["jpeg_quality"] == 80


def test_without_a_model_the_page_says_what_to_do_until_refresh_finds_one(make_world: MakeWorld) -> None:
    broken = FakeCheckpoint(name="half.safetensors", problem="the file ends in its header")
    one = made(make_world(names=(), broken=(broken,)))
    notice = one.settings.opened()[one.settings.notices[0]]
    assert notice["visible"] is True
    assert str(one.world.services.paths.checkpoints[0]) in notice["value"]
    assert "the file ends in its header" in notice["value"]
    one.world.library.arriving = ["new.safetensors"]
    updates = one.settings.refresh()
    assert updates[one.settings.notices[0]]["visible"] is False
    on_top = one.settings.tab.quick.widgets["sd_model_checkpoint"]
    assert updates[on_top]["choices"] == ["new.safetensors [0123456789]"]


def test_a_checkpoint_that_went_away_is_still_named(make_world: MakeWorld) -> None:
    one = made(make_world())
    one.world.services.options.set({"sd_model_checkpoint": "gone.safetensors"})
    assert checkpoints.current(one.world.services) == "gone.safetensors"
    with pytest.raises(NotFound):
        checkpoints.chosen(one.world.services, "gone.safetensors")


def test_png_info_reads_a_file_and_refuses_what_is_none(make_world: MakeWorld, tmp_path: Path) -> None:
    one = made(make_world())
    last = collected(one.actions.generate(one.form(prompt="a <cat>", seed=7, steps=1, width=64, height=64)))[-1]
    (path,) = last[one.tab.screen.panel.gallery]["value"]
    shown, words, send, *_ = png_info.read(path)
    assert "a &lt;cat&gt;" in shown
    assert words.startswith("a <cat>\nSteps: 1")
    assert send["interactive"] is True
    (tmp_path / "no.png").write_bytes(b"no picture")
    shown, words, send, *_ = png_info.read(str(tmp_path / "no.png"))
    assert 'class="error"' in shown
    assert (words, send["interactive"]) == ("", False)
    assert png_info.read(None)[1] == ""


def test_png_info_translates_other_programs(tmp_path: Path) -> None:
    chunks = PngInfo()
    chunks.add_text("Dream", '"a <cat> [dog]" -s 20 -S 7 -A k_lms')
    Image.new("RGB", (8, 6)).save(tmp_path / "old.png", pnginfo=chunks)
    shown, words, send, *_ = png_info.read(str(tmp_path / "old.png"))
    assert words.startswith("a <cat>\nNegative prompt: dog\nSteps: 20, Sampler: LMS")
    assert "a &lt;cat&gt;<br>Negative prompt" in shown
    assert send["interactive"] is True


def test_themes_ask_no_other_host_for_fonts() -> None:
    for name in [*theme.choices(), "soft", "someone/unknown"]:
        assert theme.named(name)._stylesheets == []


def test_login_and_subpath_come_from_the_flags(make_world: MakeWorld) -> None:
    flags = Flags(subpath="/easel/", page_users=(("ada", "secret"),))
    services = make_world(flags=flags).services
    assert page.root_path(services) == "/easel"
    app = FastAPI()
    security.install(app, services.flags)
    page.mount(app, services)

    async def visit() -> tuple[int, int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            denied = await client.get("/config")
            await client.post("/login", data={"username": "ada", "password": "secret"})
            return denied.status_code, (await client.get("/config")).status_code

    assert asyncio.run(visit()) == (401, 200)
