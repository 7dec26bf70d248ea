"""Pictures of every tab at 1440 and 390 pixels for docs/screenshots, of a real server with the tiny test models.

`python -m tests.screenshots [folder [address]]`; needs chromium. Without an address a server is started. It prints how
soon the page shows something and how much it weighs. `python -m tests.screenshots readme` takes README's picture
(docs/screenshot.webp): the page with the model that comes with Easel.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from tests.server.running import CHECKPOINTS, ROOT, Server
from tests.visitor import ARGUMENTS, CHROMIUM, Visitor, expect, playwright

FOLDER = ROOT / "docs" / "screenshots"
TABS = {
    "txt2img": "txt2img",
    "img2img": "img2img",
    "extras": "Extras",
    "pnginfo": "PNG Info",
    "history": "History",
    "queue": "Queue",
    "modelmerger": "Checkpoint Merger",
    "train": "Train",
    "settings": "Settings",
    "extensions": "Extensions",
}
WIDTHS = {1440: 1000, 390: 844}
"""Width -> height of the window, in pixels."""
QUALITY = 72
"""Of WebP; all pictures together stay well below 3 MB."""


OWN_MODELS = ROOT / "models" / "Stable-diffusion"
PROMPT = "a yellow sun over the sea at sunset"

WEIGHT = """
() => {
    const files = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    const size = files.reduce((sum, file) => sum + file.transferSize, 0);
    return [paint ? paint.startTime / 1000 : NaN, files.length, size];
}
"""


@contextlib.contextmanager
def address(given: list[str], checkpoints: Path = CHECKPOINTS) -> Iterator[str]:
    """Of the server that is there, or of one made for this."""
    if given:
        yield given[0]
        return
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), "--api", checkpoints=checkpoints) as server:
        yield f"http://127.0.0.1:{server.port}/"


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def make(visitor: Visitor, prompt: str, **numbers: float) -> None:
    """Have pictures made, and see them."""
    visitor.page.evaluate("new Promise(done => onUiLoaded(() => done()))")
    visitor.ask(prompt, **numbers)
    visitor.find("txt2img_generate").click()
    expect(visitor.find("html_log_txt2img")).to_contain_text("Time taken")


def take(page: Any, path: Path) -> None:
    """What the window shows, as WebP."""
    page.wait_for_timeout(1500)  # animations end, small pictures come
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)
    print(path, path.stat().st_size // 1024, "kB", flush=True)


def readme(words: list[str]) -> None:
    """README's picture: the default model's, as somebody sees it who has just started."""
    with address(words, OWN_MODELS) as url, chromium() as browser:
        visitor = Visitor(browser, url, color_scheme="light")
        visitor.page.set_viewport_size({"width": 1440, "height": 1080})
        make(visitor, PROMPT, steps=20, width=128, height=128, batch_count=4, seed=7)
        visitor.page.evaluate("document.activeElement.blur()")
        take(visitor.page, ROOT / "docs" / "screenshot.webp")


def tabs(words: list[str]) -> None:
    """Make a picture, then take every tab in light at both widths, and the first in dark."""
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with address(words[1:]) as url, chromium() as browser:
        visitor = Visitor(browser, url, color_scheme="light")
        make(visitor, "a lighthouse in fog, oil painting", steps=6, width=192, height=128, batch_count=4, seed=7)
        seconds, files, size = visitor.page.evaluate(WEIGHT)
        print(f"First contentful paint {seconds:.2f} s; {files} files, {size // 1024} kB with all tabs.", flush=True)
        visitor.find("txt2img_send_to_img2img").click()
        expect(visitor.find("img2img_image", "img")).to_be_visible()
        for width, height in WIDTHS.items():
            visitor.page.set_viewport_size({"width": width, "height": height})
            for name, title in TABS.items():
                visitor.tab(title)
                visitor.page.evaluate("window.scrollTo(0, 0)")
                take(visitor.page, folder / f"{name}-{width}.webp")
        dark = Visitor(browser, url, color_scheme="dark")
        dark.page.set_viewport_size({"width": 1440, "height": WIDTHS[1440]})
        take(dark.page, folder / "dark-1440.webp")


if __name__ == "__main__":
    if sys.argv[1:2] == ["readme"]:
        readme(sys.argv[2:])
    else:
        tabs(sys.argv[1:])
