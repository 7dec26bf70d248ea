"""Pictures of every tab at 1440 and 390 pixels for docs/screenshots, of a real server with the tiny test models.

`python -m tests.screenshots [folder [address]]`; needs chromium. Without an address a server is started.
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

from tests.server.running import ROOT, Server
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


@contextlib.contextmanager
def address(given: list[str]) -> Iterator[str]:
    """Of the server that is there, or of one made for this."""
    if given:
        yield given[0]
        return
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), "--api") as server:
        yield f"http://127.0.0.1:{server.port}/"


def take(page: Any, path: Path) -> None:
    """What the window shows, as WebP."""
    page.wait_for_timeout(1500)  # animations end, small pictures come
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)
    print(path, path.stat().st_size // 1024, "kB", flush=True)


def main(words: list[str]) -> None:
    """Make a picture, then take every tab in light at both widths, and the first in dark."""
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with address(words[1:]) as url, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        visitor = Visitor(browser, url, color_scheme="light")
        visitor.ask("a lighthouse in fog, oil painting", steps=6, width=192, height=128, batch_count=4, seed=7)
        visitor.find("txt2img_generate").click()
        expect(visitor.find("html_log_txt2img")).to_contain_text("Time taken")
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
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
