"""The web page: one file per tab, joined by `page`: `build(services)` makes it, `mount(app, services)` serves it."""

from __future__ import annotations

from modules.web.ui.page import build, mount

__all__ = ["build", "mount"]
