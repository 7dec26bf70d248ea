"""A visitor of the page: headless Chromium, driven by Playwright. Used by the tests of the page and of the server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
expect = playwright.expect
PATIENCE = 120_000
"""Milliseconds; a busy machine shall not fail a test. What is there is seen at once."""
SLOWER = float(os.environ.get("EASEL_TEST_SLOWER", "1"))
"""How many times slower the pages' scripts run: `EASEL_TEST_SLOWER=6 pytest …` finds tests that win by haste."""
READY = "typeof easelCallbacks === 'object' && easelCallbacks.loaded === null && Object.keys(opts).length > 100"
"""All tabs are made, what was kept over a reload is back, and what a page asks for as it opens is answered."""
expect.set_options(timeout=PATIENCE)
LEFT = re.compile("Connection errored out|AbortError")
"""What Gradio says of its own connections when a page is left."""


class Visitor:
    """One browser profile with the page open; keeps what the page asked for and complained about."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        self.address = address
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **context)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("dialog", lambda dialog: dialog.accept())
        if SLOWER > 1:
            self.context.new_cdp_session(self.page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        self.page.goto(address)
        self.ready()

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def ready(self) -> None:
        """Wait until nothing of the opening page changes any more under somebody's hands."""
        expect(self.find("txt2img_prompt")).to_be_attached()  # Generate is hidden while a job runs
        self.page.wait_for_function(READY)

    def reload(self) -> None:
        """Load the page again, as a reader does."""
        self.page.reload()
        self.ready()

    def until(self, look: Callable[[], Any], what: str) -> None:
        """Wait until `look`, at something beside the page, sees it. Raises AssertionError with what was waited for."""
        for _ in range(PATIENCE // 100):
            if look():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"Never seen: {what}")

    def find(self, elem_id: str, inside: str = "") -> Any:
        """An element by A1111's id, or something in it."""
        return self.page.locator(f'[id="{elem_id}"] {inside}'.strip()).first

    def tab(self, name: str) -> None:
        """Open a tab; on a narrow page it may be in the menu of those that have no room."""
        tab = self.page.get_by_role("tab", name=name, exact=True).first
        if not tab.is_visible():
            self.page.locator(".overflow-menu > button").first.click()
            tab = self.page.locator(".overflow-dropdown button", has_text=name).first
        tab.click()

    def number(self, elem_id: str, value: float) -> None:
        field = self.find(elem_id, "input[type=number]")
        field.fill(str(value))
        field.blur()

    def pick(self, option: str, *, whole: bool = True) -> None:
        """Take an option of the menu that is opening; a click would wait for it to stand still.

        whole: `option` is all of its text, not only a part.
        """
        self.page.get_by_role("option", name=option, exact=whole).last.dispatch_event("mousedown")

    def ask(self, prompt: str, **numbers: float) -> None:
        """Fill the form: small pictures unless said otherwise."""
        self.find("txt2img_prompt", "textarea").fill(prompt)
        for name, value in ({"width": 64, "height": 64, "steps": 3} | numbers).items():
            self.number(f"txt2img_{name}", value)

    @property
    def foreign(self) -> list[str]:
        """Requests to any other host."""
        return [url for url in self.requests if not url.startswith((self.address, "data:", "blob:"))]
