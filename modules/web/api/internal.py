"""/internal/*: what pages and extensions ask of the running program. Progress and ping: `progress`."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from pydantic import Field

from modules.settings.flags import SECRETS
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.web.services import Services

WAITING_AT_MOST = 10_000
PACKAGES = ("torch", "gradio", "fastapi", "diffusers", "transformers", "safetensors", "numpy", "pillow")


class PendingTasks(Schema):
    size: int = Field(title="Pending task size")
    tasks: list[str] = Field(title="Pending task ids")


class QuicksettingsHint(Schema):
    name: str = Field(title="Name of the quicksettings field")
    label: str = Field(title="Label of the quicksettings field")


def routes(services: Services) -> APIRouter:
    """About the program."""
    router = APIRouter(prefix="/internal")

    @router.get("/pending-tasks", response_model=PendingTasks)
    def get_pending_tasks() -> PendingTasks:
        """The ids of jobs that wait, the next one first."""
        jobs = services.queue.list(states=("pending",), limit=WAITING_AT_MOST, newest_first=False)
        return PendingTasks(size=len(jobs), tasks=[job.id for job in jobs])

    @router.get("/quicksettings-hint", response_model=list[QuicksettingsHint])
    def quicksettings_hint() -> list[QuicksettingsHint]:
        """Settings that can be put at the top of the page."""
        options = services.options.registry.options()
        return [QuicksettingsHint(name=option.key, label=option.label) for option in options]

    @router.get("/profile-startup")
    def profile_startup() -> dict[str, Any]:
        """Seconds that the start took, in all and by part."""
        return dict(services.startup)

    @router.get("/sysinfo", response_model=None, responses={200: {"content": {"text/plain": {}}}})
    def download_sysinfo(attachment: bool = False) -> Response:
        """A report on the system, without logins, to be read or kept."""
        now = datetime.datetime.now()
        name = now.strftime("sysinfo-%Y-%m-%d-%H-%M.json")
        kept = {"Content-Disposition": f'attachment; filename="{name}"'} if attachment else {}
        text = json.dumps(sysinfo(services), indent=4)
        return Response(text, media_type="application/json" if attachment else "text/plain", headers=kept)

    @router.get("/sysinfo-download", response_model=None)
    def download_sysinfo_as_file() -> Response:
        """The same as a file."""
        return download_sysinfo(attachment=True)

    return router


def sysinfo(services: Services) -> dict[str, Any]:
    """Platform, version, flags that differ from their defaults, memory, settings that differ, packages. No secrets."""
    flags, fresh = services.flags.as_cmd_flags(), type(services.flags)().as_cmd_flags()
    given = {name: value for name, value in flags.items() if name not in SECRETS and value != fresh[name]}
    return {
        "Platform": platform.platform(),
        "Python": platform.python_version(),
        "Version": services.version,
        "Data path": str(services.paths.data),
        "Extensions dir": str(services.paths.extensions),
        "Commandline": given,
        "CPU": {"model": platform.processor(), "architecture": platform.machine()},
        "Memory": services.memory(),
        "Config": services.options.snapshot().changed(),
        "Startup": dict(services.startup),
        "Packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
