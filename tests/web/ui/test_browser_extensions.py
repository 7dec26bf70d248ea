"""Extensions on the page in a real browser: what is asked before one is installed, the way to its settings, and canvas
zoom, whose paint lies where the pointer is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.generate.moments import Moments
from modules.generate.request import Img2Img
from modules.generate.scripts.axes import Axes
from modules.plugins import loading, manifest
from modules.plugins.api import ExtensionApi
from modules.plugins.extension import Extension
from modules.plugins.house import House
from modules.samplers.catalog import builtin
from tests.visitor import Visitor, expect, needs_chromium
from tests.web.ui.fakes import World, world
from tests.web.ui.serving import serving
from tests.web.ui.test_extensions import Manager

pytestmark = needs_chromium
FOLDER = Path(__file__).parents[3] / "extensions" / "canvas_zoom"
COMMIT = "0123456789" * 4


def no_studio() -> Any:
    raise AssertionError("nobody makes pictures here")


def extended(world: World) -> Extension:
    """Canvas zoom, loaded into a small program."""
    services = world.services
    house = House(
        moments=Moments(),
        options=services.options,
        catalog=builtin(),
        upscalers=services.upscalers,
        scripts=services.scripts,
        menus=services.menus,
        axes=Axes(()),
        steps=services.steps,
        captioners={},
        network_words=set(),
        studio=no_studio,
        data=services.paths.data,
        additions=services.additions,
    )
    extension = Extension(name="canvas_zoom", folder=FOLDER, manifest=manifest.read(FOLDER), builtin=True)
    api = ExtensionApi(extension, house)
    loading.register(extension)(api)
    return dataclasses.replace(extension, state="loaded", settings=tuple(api.settings))


class Installer(Manager):
    """Takes the acts as jobs that end at once; a dry run tells what the extension declares."""

    def on(self, world: World) -> Installer:
        self.world = world
        return self

    def submit(self, act: str, values: dict[str, Any], *, id: str | None = None, owner: str = "") -> str:
        super().submit(act, values)
        return self.world.services.queue.submit("extensions", {"values": values}, owner=owner)

    @staticmethod
    def run(job: dict[str, Any], control: Any) -> dict[str, Any]:
        dry = bool(job["values"].get("dry_run"))
        said = {"version": "1.2", "requires": ["lamp"], "permissions": ["network", "files"]} if dry else {}
        packages = {"torchlight": "1.0"}
        return {"name": "glow", "commit": COMMIT, "installed": not dry, "packages": packages, "words": [], **said}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[tuple[World, Visitor, Installer]]:
    """A page with canvas zoom, on a program that installs extensions."""
    made = world(tmp_path_factory.mktemp("extensions"), runners={"extensions": Installer.run})
    installer, loaded = Installer().on(made), extended(made)
    services = dataclasses.replace(made.services, installing=installer, extensions=lambda: [loaded])
    with serving(dataclasses.replace(made, services=services)) as address:
        visitor = Visitor(chromium, address)
        visitor.page.evaluate("new Promise(done => onUiLoaded(() => done()))")
        yield made, visitor, installer
        visitor.context.close()
    made.close()


def test_what_it_declares_is_seen_before_it_is_installed(there: tuple[World, Visitor, Installer]) -> None:
    _, visitor, installer = there
    visitor.tab("Extensions")
    visitor.page.get_by_role("button", name="Install from URL", exact=True).click()
    visitor.find("extensions_url").fill("https://example.org/glow")
    visitor.find("install_extension_button").click()
    before = visitor.find("extensions_before")
    expect(before).to_contain_text("glow 1.2 01234567")
    for words in ("network, files", "torchlight 1.0", "lamp"):
        expect(before).to_contain_text(words)
    assert [values.get("dry_run") for _, values in installer.asked] == [True]
    visitor.find("extensions_agree").click()
    expect(visitor.find("extensions_installed_html", ".easel-said")).to_contain_text("Installed: glow")
    assert installer.asked[1][1]["commit"] == COMMIT
    assert visitor.complaints == []


def test_its_settings_are_one_click_away(there: tuple[World, Visitor, Installer]) -> None:
    _, visitor, _ = there
    visitor.tab("Extensions")
    visitor.page.get_by_role("button", name="Installed", exact=True).click()
    visitor.page.locator("[data-name=canvas_zoom]").get_by_role("button", name="Settings").click()
    expect(visitor.find("settings_canvas_hotkey")).to_be_in_viewport()
    expect(visitor.find("setting_canvas_hotkey_move")).to_be_visible()


SIZES = """() => {
    window.sizes = [];
    const heard = (event) => event.target.type === "range" && window.sizes.push(Number(event.target.value));
    document.addEventListener("input", heard, true);
}"""


def percent(visitor: Visitor) -> int:
    return int(visitor.find("img2maskimg", ".zoom-number > span").inner_text().rstrip("%"))


def dot(visitor: Visitor, x: float, y: float) -> None:
    mouse = visitor.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 1, y)
    mouse.up()


def settled(visitor: Visitor, seen: Callable[[], bool]) -> None:
    for _ in range(300):
        if seen():
            return
        visitor.page.wait_for_timeout(100)
    raise AssertionError("it did not happen")


def test_paint_lies_where_the_pointer_is(there: tuple[World, Visitor, Installer], tmp_path: Path) -> None:
    made, visitor, _ = there
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((128, 128)).save(path)
    page, mouse, keyboard = visitor.page, visitor.page.mouse, visitor.page.keyboard
    page.evaluate("switch_to_inpaint()")
    expect(visitor.find("img2maskimg", "canvas")).to_be_visible()
    visitor.find("img2maskimg", "input[type=file]").set_input_files(str(path))
    settled(visitor, lambda: percent(visitor) > 200)  # canvas_auto_expand: a small picture is fitted into the frame
    visitor.find("img2maskimg").evaluate("editor => editor.scrollIntoView({ block: 'center' })")
    box = visitor.find("img2maskimg", ".pixi-target canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.4
    visitor.find("img2maskimg", "button[aria-label=Brush]").click()
    mouse.move(x, y)
    page.evaluate(SIZES)
    for _ in range(12):
        keyboard.press("q")
    keyboard.down("Control")
    mouse.wheel(0, -100)
    keyboard.up("Control")
    settled(visitor, lambda: page.evaluate("sizes.length > 1 && sizes.at(-1) > sizes.at(-2)"))
    assert page.evaluate("sizes.at(-1)") < 8
    expect(visitor.find("img2maskimg", ".toolbar-wrap input[type=range]")).to_be_hidden()  # after a moment
    dot(visitor, x, y)
    before = percent(visitor)
    keyboard.down("Alt")
    for _ in range(4):
        mouse.wheel(0, -100)
    keyboard.up("Alt")
    settled(visitor, lambda: percent(visitor) > before * 1.6)
    keyboard.down("f")
    mouse.move(x + 60, y + 30, steps=6)
    keyboard.up("f")
    dot(visitor, x + 60, y + 30)  # on the first one
    dot(visitor, x + 160, y + 30)
    zoom = percent(visitor) / 100
    visitor.find("img2img_prompt", "textarea").fill("a cat")
    visitor.find("img2img_generate").click()
    expect(visitor.find("html_log_img2img")).to_contain_text("Time taken")
    assert visitor.complaints == []
    request = made.requests[-1]
    assert isinstance(request, Img2Img)
    assert request.mask is not None
    box = made.services.inputs.open(request.mask, field="mask").convert("L").getbbox()
    assert box is not None
    left, top, right, bottom = box
    size = bottom - top
    assert size < 12
    assert abs((left + size / 2) - 64) < 3
    assert abs((right - left) - (size + 100 / zoom)) < 3
