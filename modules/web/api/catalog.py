"""What there is to choose from: /sdapi/v1/samplers, /schedulers, /sd-models, /refresh-checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from modules.web.api import schemas

if TYPE_CHECKING:
    from modules.web.services import Services


def routes(services: Services) -> APIRouter:
    """Lists for menus."""
    router = APIRouter()

    @router.get("/samplers", response_model=list[schemas.SamplerItem])
    def get_samplers() -> list[schemas.SamplerItem]:
        return [
            schemas.SamplerItem(name=row.name, aliases=list(row.aliases), options=dict(row.options))
            for row in services.catalog.samplers()
        ]

    @router.get("/schedulers", response_model=list[schemas.SchedulerItem])
    def get_schedulers() -> list[schemas.SchedulerItem]:
        return [
            schemas.SchedulerItem(
                name=row.name,
                label=row.label,
                aliases=list(row.aliases) if row.aliases else None,
                default_rho=row.default_rho,
                need_inner_model=row.need_inner_model,
            )
            for row in services.catalog.schedulers()
        ]

    @router.get("/sd-models", response_model=list[schemas.SDModelItem])
    def get_sd_models() -> list[schemas.SDModelItem]:
        """Checkpoints that can be used; hashes are null until a file was used once."""
        return [
            schemas.SDModelItem(
                title=entry.title,
                model_name=entry.model_name,
                hash=entry.hash,
                sha256=entry.sha256,
                filename=str(entry.path),
                config=entry.config,
            )
            for entry in services.library.checkpoints()
        ]

    @router.post("/refresh-checkpoints")
    def refresh_checkpoints() -> None:
        """Look for checkpoints again."""
        services.library.refresh()

    return router
