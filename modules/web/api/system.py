"""The program itself: /sdapi/v1/memory and /sdapi/v1/cmd-flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from modules.web.api import schemas

if TYPE_CHECKING:
    from modules.web.services import Services


def routes(services: Services) -> APIRouter:
    """State of the machine and of the command line."""
    router = APIRouter()

    @router.get("/memory", response_model=schemas.MemoryResponse)
    def get_memory() -> dict[str, Any]:
        """In bytes."""
        return services.memory()

    @router.get("/cmd-flags")
    def get_cmd_flags() -> dict[str, Any]:
        """A1111's flags and their values; logins are null."""
        return services.flags.as_cmd_flags()

    return router
