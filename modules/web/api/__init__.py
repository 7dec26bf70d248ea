"""A1111's REST interface on FastAPI, one file a topic; `install` is what the composition root calls.

generation  /sdapi/v1/txt2img, /img2img                      (txt2img, img2img: from their bodies to requests)
progress    /sdapi/v1/progress, /interrupt, /skip; /internal/progress, /internal/ping
settings    /sdapi/v1/options
catalog     /sdapi/v1/samplers, /schedulers, /sd-models, /refresh-checkpoints
pictures    /sdapi/v1/png-info, /interrogate
extras      /sdapi/v1/extra-single-image, /extra-batch-images, /upscalers, /latent-upscale-modes, /realesrgan-models,
            /face-restorers
networks    /sdapi/v1/prompt-styles, /hypernetworks, /loras, /embeddings
system      /sdapi/v1/memory, /cmd-flags
vae         /sdapi/v1/sd-vae, /refresh-vae
merge       /easel/v1/merge: no counterpart in A1111
schemas, errors, auth                                        bodies, failures, who may call
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI

from modules.web.api import (
    auth,
    catalog,
    errors,
    extras,
    generation,
    merge,
    networks,
    pictures,
    progress,
    scripts,
    settings,
    system,
    vae,
)

if TYPE_CHECKING:
    from modules.web.services import Services


def install(app: FastAPI, services: Services) -> None:
    """Routes, the shapes of errors, and the origins that may call."""
    errors.install(app)
    auth.allow_origins(app, services.flags)
    app.include_router(router(services))


def router(services: Services) -> APIRouter:
    """/internal/* always; /sdapi/v1/* and /easel/v1/* when the flags ask for the API, behind --api-auth."""
    built = APIRouter()
    built.include_router(progress.internal(services))
    if services.flags.serves_api:
        guarded = [Depends(auth.guard(services.flags.api_users))]
        for routes in _sdapi(services):
            built.include_router(routes, prefix="/sdapi/v1", dependencies=guarded)
        built.include_router(merge.routes(services), prefix="/easel/v1", dependencies=guarded)
    return built


def _sdapi(services: Services) -> list[APIRouter]:
    return [
        generation.routes(services),
        progress.routes(services),
        settings.routes(services),
        catalog.routes(services),
        networks.routes(services),
        pictures.routes(),
        scripts.routes(services),
        extras.routes(services),
        system.routes(services),
        vae.routes(services),
    ]
