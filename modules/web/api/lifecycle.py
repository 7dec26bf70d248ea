"""/sdapi/v1/unload-checkpoint, /reload-checkpoint; with --api-server-stop also /server-stop, -restart and -kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from modules.generate.model_jobs import KIND, RELOAD, UNLOAD
from modules.web.api import errors

if TYPE_CHECKING:
    from modules.web.services import Services

SOON = 100
"""Priority: before the pictures that wait."""


def routes(services: Services) -> APIRouter:
    """What begins and ends things."""
    router = APIRouter()

    async def done(action: str, owner: str) -> Any:
        id = services.queue.submit(KIND, {"action": action}, owner=owner, priority=SOON)
        result = errors.result(await services.queue.finished(id))
        return result if isinstance(result, Response) else errors.as_json({})

    @router.post("/unload-checkpoint", response_model=None)
    async def unloadapi(request: Request) -> Response:
        """Let the models go, once what runs now is done; the next request for a picture loads its own again."""
        found: Response = await done(UNLOAD, request.state.user)
        return found

    @router.post("/reload-checkpoint", response_model=None)
    async def reloadapi(request: Request) -> Response:
        """Load the chosen checkpoint, where it is not in memory."""
        found: Response = await done(RELOAD, request.state.user)
        return found

    if services.flags.api_server_stop:
        _add_ends(router, services)
    return router


def _add_ends(router: APIRouter, services: Services) -> None:
    @router.post("/server-stop", response_model=None)
    def stop_webui() -> Response:
        """End the server in order: the running job is given a moment, and goes on at the next start."""
        services.end("stop")
        return Response("Stopping.", media_type="text/plain")

    @router.post("/server-restart", response_model=None)
    def restart_webui() -> Response:
        """The same, and start again with the same flags."""
        services.end("restart")
        return Response("Restarting.", media_type="text/plain")

    @router.post("/server-kill", response_model=None)
    def kill_webui() -> Response:
        """End the process at once. Jobs that are not done run at the next start."""
        services.end("kill")
        return Response("Killed.", media_type="text/plain")
