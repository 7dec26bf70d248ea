"""A1111's REST interface on FastAPI, one file a topic; `install` is what the composition root calls.

generation  /sdapi/v1/txt2img                                (txt2img: from its body to a request)
progress    /sdapi/v1/progress, /interrupt, /skip; /internal/progress, /internal/ping
settings    /sdapi/v1/options
catalog     /sdapi/v1/samplers, /schedulers, /sd-models, /refresh-checkpoints
pictures    /sdapi/v1/png-info
system      /sdapi/v1/memory, /cmd-flags
schemas, errors, auth                                        bodies, failures, who may call
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI

from modules.web.api import auth, catalog, errors, generation, pictures, progress, settings, system

if TYPE_CHECKING:
    from modules.web.services import Services


def install(app: FastAPI, services: Services) -> None:
    """Routes, the shapes of errors, and the origins that may call."""
    errors.install(app)
    auth.allow_origins(app, services.flags)
    app.include_router(router(services))


def router(services: Services) -> APIRouter:
    """/internal/* always; /sdapi/v1/* when the flags ask for the API (--api, --nowebui), behind --api-auth."""
    built = APIRouter()
    built.include_router(progress.internal(services))
    if services.flags.serves_api:
        guarded = [Depends(auth.guard(services.flags.api_users))]
        for routes in _sdapi(services):
            built.include_router(routes, prefix="/sdapi/v1", dependencies=guarded)
    return built


def _sdapi(services: Services) -> list[APIRouter]:
    return [
        generation.routes(services),
        progress.routes(services),
        settings.routes(services),
        catalog.routes(services),
        pictures.routes(),
        system.routes(services),
    ]
