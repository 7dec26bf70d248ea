"""A1111's REST interface on FastAPI, one file a topic; `install` is what the composition root calls.

generation  /sdapi/v1/txt2img, /img2img                      (txt2img, img2img: from their bodies to requests)
progress    /sdapi/v1/progress, /interrupt, /skip; /internal/progress, /internal/ping
settings    /sdapi/v1/options
catalog     /sdapi/v1/samplers, /schedulers, /sd-models, /refresh-checkpoints
pictures    /sdapi/v1/png-info, /interrogate
extras      /sdapi/v1/extra-single-image, /extra-batch-images, /upscalers, /latent-upscale-modes, /realesrgan-models,
            /face-restorers
extensions  /sdapi/v1/extensions; what they put into the page
networks    /sdapi/v1/prompt-styles, /hypernetworks, /loras, /embeddings
system      /sdapi/v1/memory, /cmd-flags
lifecycle   /sdapi/v1/unload-checkpoint, /reload-checkpoint; with their flag /server-stop, /server-restart, /server-kill
training    /sdapi/v1/create/embedding, /create/hypernetwork, /train/embedding, /train/hypernetwork
internal    /internal/pending-tasks, /quicksettings-hint, /profile-startup, /sysinfo
cards       /sd_extra_networks/thumb, /cover-images, /metadata, /get-single-card
vae         /sdapi/v1/sd-vae, /refresh-vae
merge       /easel/v1/merge: no counterpart in A1111
easel/      /easel/v1/jobs, /queue, /events, /history, /webhooks: nor have these
health, metrics      /healthz, /metrics                      (request_ids: a name for every request; hangup: who left)
schemas, errors, auth, methods            bodies, failures, whose request it is (see web.security), the wrong method
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI

from modules.web import security
from modules.web.api import (
    auth,
    cards,
    catalog,
    easel,
    errors,
    extensions,
    extras,
    generation,
    health,
    internal,
    lifecycle,
    merge,
    methods,
    metrics,
    networks,
    pictures,
    progress,
    request_ids,
    scripts,
    settings,
    system,
    training,
    vae,
)

if TYPE_CHECKING:
    from modules.web.services import Services


def install(app: FastAPI, services: Services) -> None:
    """Routes, the shapes of errors, the gate before everything, and the origins that may call."""
    errors.install(app)
    security.install(app, services.flags)
    auth.allow_origins(app, services.flags)  # outside the gate: a browser asks for permission without a login
    answers = metrics.Requests()
    app.add_middleware(request_ids.RequestIds, answered=answers.add)  # around everything: refusals have an id too
    if services.flags.serves_api:
        _include_api(app, services)
    for routes in (
        progress.internal(services),
        internal.routes(services),
        cards.routes(services),
        extensions.files(services),
        health.routes(services),
        metrics.routes(services, answers),
    ):
        app.include_router(routes)
    app.router.routes.append(methods.WrongMethod(app.router))


def _include_api(app: FastAPI, services: Services) -> None:
    """/sdapi/v1/* and /easel/v1/*, behind --api-auth. What is asked most comes first and lies flat: FastAPI walks
    through what is included, at each request and level."""
    guarded = [Depends(auth.guard(services.flags.api_users))]
    for routes in _sdapi(services):
        app.include_router(routes, prefix="/sdapi/v1", dependencies=guarded)
    for routes in (merge.routes(services), easel.routes(services)):
        app.include_router(routes, prefix="/easel/v1", dependencies=guarded)
    app.include_router(easel.sockets(services), prefix="/easel/v1")


def _sdapi(services: Services) -> list[APIRouter]:
    return [
        generation.routes(services),
        progress.routes(services),
        settings.routes(services),
        catalog.routes(services),
        networks.routes(services),
        pictures.routes(services),
        scripts.routes(services),
        extras.routes(services),
        extensions.routes(services),
        system.routes(services),
        lifecycle.routes(services),
        training.routes(services),
        vae.routes(services),
    ]
