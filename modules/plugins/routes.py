"""Routes that come and go while the server runs. They stand before the page, which answers everything below "/"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI


class Routes:
    """Routers of extensions. `open` gives them to the application; those added later go there at once."""

    def __init__(self) -> None:
        self._app: FastAPI | None = None
        self._routers: dict[int, APIRouter] = {}
        self._placed: dict[int, list[Any]] = {}

    def add(self, router: APIRouter) -> Callable[[], None]:
        """Serve its routes -> a function that ends it."""
        key = id(router)
        self._routers[key] = router
        if self._app is not None:
            self._place(self._app, key)

        def remove() -> None:
            self._routers.pop(key, None)
            gone = self._placed.pop(key, [])
            if self._app is not None:
                kept = [route for route in self._app.router.routes if not any(route is each for each in gone)]
                self._app.router.routes[:] = kept
                self._app.openapi_schema = None

        return remove

    def open(self, app: FastAPI) -> None:
        """This is the application; it has its own routes already."""
        self._app = app
        for key in self._routers:
            self._place(app, key)

    def _place(self, app: FastAPI, key: int) -> None:
        routes = app.router.routes
        before = len(routes)
        app.include_router(self._routers[key])
        new = routes[before:]
        routes[:] = [*new, *routes[:before]]
        self._placed[key] = new
        app.openapi_schema = None
