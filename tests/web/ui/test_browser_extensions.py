"""Extensions on the page in a real browser: what is asked before one is installed, the way to its settings, and canvas
zoom, whose paint lies where the pointer is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.core.errors import EaselError
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
    """Takes the acts as jobs that end at once; a dry run tells what the extension declares. "broken" fails."""

    def on(self, world: World) -> Installer:
        self.world = world
        return self

    def submit(self, act: str, values: dict[str, Any], *, id: str | None = None, owner: str = "") -> str:
        super().submit(act, values)
        return self.world.services.queue.submit("extensions", {"values": values}, owner=owner)

    @staticmethod
    def run(job: dict[str, Any], control: Any) -> dict[str, Any]:
        name = job["values"].get("name") or "glow"
        if name == "broken":
            raise EaselError("It cannot be read.")
        dry = bool(job["values"].get("dry_run"))
        said = {"version": "1.2", "requires": ["lamp"], "permissions": ["network", "files"]} if dry else {}
        packages = {"torchlight": "1.0"}
        return {"name": name, "commit": COMMIT, "installed": not dry, "packages": packages, "words": [], **said}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[tuple[World, Visitor, Installer]]:
    """A page with canvas zoom, on a program that installs extensions."""
    made = world(tmp_path_factory.mktemp("extensions"), runners={"extensions": Installer.run})
    installer, loaded = Installer().on(made), extended(made)
    services = dataclasses.replace(made.services, installing=installer, extensions=lambda: [loaded])
    with serving(dataclasses.replace(made, services=services)) as address:
        visitor = Visitor(chromium, address)
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


def a1111(root: Path) -> None:
    """A folder of A1111 with extensions: one that is here already, two in git, one without."""
    for name in ("canvas_zoom", "broken", "shine", "plain"):
        (root / "extensions" / name).mkdir(parents=True)
        if name != "plain":
            (root / "extensions" / name / ".git").mkdir()
            address = f"https://me:secret@example.org/{name}"
            (root / "extensions" / name / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {address}\n')
    (root / "webui.py").touch()


def test_extensions_of_a1111_come_over_and_one_that_fails_says_so(
    there: tuple[World, Visitor, Installer], tmp_path: Path
) -> None:
    _, visitor, installer = there
    a1111(tmp_path)
    visitor.tab("Settings")
    visitor.find("import_folder", ":is(textarea, input)").fill(str(tmp_path))
    visitor.find("import_look").click()
    rows = visitor.find("import_extensions")
    row = {name: rows.locator(f"[data-name={name}]") for name in ("canvas_zoom", "broken", "shine", "plain")}
    expect(row["canvas_zoom"]).to_contain_text("Installed")
    expect(row["plain"]).to_contain_text("copy it by hand")
    expect(row["shine"]).to_contain_text("https://example.org/shine")
    installer.asked.clear()
    visitor.find("import_extensions_copy").click()
    before = visitor.find("import_extensions_before")
    expect(before).to_contain_text("shine 1.2 01234567")
    expect(before).not_to_contain_text("broken")
    expect(row["broken"].locator(".error")).to_have_text("It cannot be read.")
    visitor.find("import_extensions_agree").click()
    expect(row["shine"]).to_contain_text("Installed")
    expect(row["shine"].get_by_role("button")).to_have_count(0)
    (looked, done) = [values for _, values in installer.asked if values["name"] == "shine"]
    assert (looked["dry_run"], done["dry_run"], done["commit"]) == (True, False, COMMIT)
    assert done["url"] == str(tmp_path / "extensions" / "shine")
    row["broken"].get_by_role("button", name="Install", exact=True).click()
    visitor.until(lambda: installer.asked[-1][1]["url"] == "https://me:secret@example.org/broken", "its own address")
    expect(row["broken"].locator(".error")).to_have_text("It cannot be read.")


def test_its_hotkeys_are_listed_under_the_question_mark(there: tuple[World, Visitor, Installer]) -> None:
    _, visitor, _ = there
    visitor.tab("txt2img")
    visitor.page.evaluate("easelHotkeys('Mine', [['Ctrl + K', 'Knit']])")
    visitor.page.locator("#footer").press("?")
    listed = visitor.page.get_by_role("dialog", name="Keyboard")
    expect(listed).to_contain_text("Hotkeys of the canvas")
    expect(listed.locator("tr", has_text="Fit into its frame").locator("kbd")).to_have_text("R")
    expect(listed.locator("tr", has_text="Knit").locator("kbd")).to_have_text("Ctrl + K")
    visitor.page.keyboard.press("Escape")


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


def drawn(visitor: Visitor) -> None:
    """What was asked of the editor is on the screen: it draws once a frame."""
    visitor.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")


def test_paint_lies_where_the_pointer_is(there: tuple[World, Visitor, Installer], tmp_path: Path) -> None:
    made, visitor, _ = there
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((128, 128)).save(path)
    page, mouse, keyboard = visitor.page, visitor.page.mouse, visitor.page.keyboard
    page.evaluate("switch_to_inpaint()")
    expect(visitor.find("img2maskimg", "canvas")).to_be_visible()
    visitor.find("img2maskimg", "input[type=file]").set_input_files(str(path))
    visitor.until(lambda: percent(visitor) > 200, "a small picture fitted into the frame")  # canvas_auto_expand
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
    visitor.until(lambda: page.evaluate("sizes.length > 1 && sizes.at(-1) > sizes.at(-2)"), "a smaller brush")
    assert page.evaluate("sizes.at(-1)") < 8
    expect(visitor.find("img2maskimg", ".toolbar-wrap input[type=range]")).to_be_hidden()  # after a moment
    dot(visitor, x, y)
    expect(visitor.find("img2maskimg", "button[aria-label=Undo]")).to_be_enabled()
    before = percent(visitor)
    keyboard.down("Alt")
    for _ in range(4):
        mouse.wheel(0, -100)
    keyboard.up("Alt")
    visitor.until(lambda: percent(visitor) > before * 1.6, "a closer look")
    keyboard.down("f")
    mouse.move(x + 60, y + 30, steps=6)
    keyboard.up("f")
    drawn(visitor)
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


def test_another_extension_hands_canvas_zoom_an_editor_of_its_own(there: tuple[World, Visitor, Installer]) -> None:
    visitor = there[1]
    visitor.page.evaluate("""document.getElementById("tab_txt2img").insertAdjacentHTML(
        "beforeend", '<div id="own_editor"></div><div id="second_editor"></div>')""")
    visitor.page.evaluate("applyZoomAndPan('#own_editor')")
    visitor.page.evaluate("applyZoomAndPanIntegration('#tabs', ['#second_editor'])")
    for name in ("own_editor", "second_editor"):
        expect(visitor.find(name, ".canvas-tooltip")).to_be_attached()
