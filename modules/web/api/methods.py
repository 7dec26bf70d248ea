"""A known path with a wrong method is 405 and says which one is right, also where the page is served behind the API.

The page answers everything that no route before it takes, with 404 for what it does not know: who opened
/sdapi/v1/txt2img in a browser would believe that there is no API.
"""

from __future__ import annotations

from starlette.routing import BaseRoute, Match, Mount, Router
from starlette.types import Receive, Scope, Send

OURS = ("/sdapi/", "/easel/", "/internal/", "/healthz", "/metrics")
_FOUND = "easel.route"


class WrongMethod(BaseRoute):
    """The last route of the API: takes what another route, and no page, would take with another method."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self.path = ""  # extensions look at the paths of all routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or not scope["path"].removeprefix(scope.get("root_path", "")).startswith(OURS):
            return Match.NONE, {}
        partial: tuple[Match, Scope] = Match.NONE, {}
        for route in self._router.routes:
            if route is self or isinstance(route, Mount):
                continue
            match, found = route.matches(scope)
            if match is Match.FULL:  # an extension's, which came later
                return Match.NONE, {}
            if match is Match.PARTIAL:
                partial = Match.FULL, {**found, _FOUND: route}
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Its own answer, which names the right method."""
        await scope[_FOUND].handle(scope, receive, send)
