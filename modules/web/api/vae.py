"""/sdapi/v1/sd-vae, /refresh-vae: the separate VAE files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.web.services import Services


class SDVaeItem(Schema):
    model_name: str
    filename: str


def routes(services: Services) -> APIRouter:
    """What `sd_vae` may be set to, besides "Automatic" and "None"."""
    router = APIRouter()

    @router.get("/sd-vae", response_model=list[SDVaeItem])
    def get_sd_vaes() -> list[SDVaeItem]:
        return [SDVaeItem(model_name=entry.name, filename=str(entry.path)) for entry in services.library.vaes.all()]

    @router.post("/refresh-vae")
    def refresh_vae() -> None:
        """Look for VAE files again."""
        services.library.vaes.refresh()

    return router
