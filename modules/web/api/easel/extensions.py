"""/easel/v1/extensions: what is installed, what could be, and the acts of the manager.

What takes time is a job: the answer is its id, /easel/v1/jobs/{id} tells how it goes and what came of it. Where other
machines reach the server, everything but looking is 403 unless --enable-insecure-extension-access is given.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from modules.core.errors import NotFound
from modules.web.api.schemas import Schema, Whole
from modules.web.installing import INDEX

if TYPE_CHECKING:
    from modules.web.services import KnownExtension, Services

Line = Annotated[str, Field(max_length=2000)]
LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


class Installation(Schema):
    url: Line = Field(description="Address of a git repository; a folder's path where only this machine is served")
    branch: Line = Field("", description="Branch, tag or whole commit; empty: the repository's own choice")
    subfolder: Line = Field("", description="Folder inside the repository that is the extension")
    name: Line = Field("", description="Its folder's name; empty: as the address has it")
    requirements: Literal["install", "skip"] = Field("install", description="Its Python packages, and install.py")
    dry_run: bool = Field(
        False,
        description="Only tell which packages would be installed, which permissions it declares, or what conflicts",
    )
    commit: Line = Field("", description="The commit that a dry run told of; refused where it is another by now")


class Names(Schema):
    names: list[Line] = Field([], max_length=1000, description="Empty: all")


class Queued(Schema):
    id: str


class Item(Schema):
    name: str
    state: str = Field(description="loaded, disabled, failed or found")
    builtin: bool
    error: str
    traceback: str
    permissions: list[str] | None = Field(None, description="What it declares to do; null: it says nothing of that")
    remote: str = ""
    branch: str = ""
    commit: str = ""


def routes(services: Services) -> APIRouter:
    """The caller guards it."""
    router = APIRouter(prefix="/extensions")
    manager = services.installing

    def queued(act: str, values: dict[str, Any], request: Request) -> Queued:
        return Queued(id=manager.submit(act, values, owner=getattr(request.state, "user", "")))

    @router.get("", response_model=list[Item])
    def get_extensions() -> list[Item]:
        """All that are on the disk."""
        return [_item(each) for each in services.extensions()]

    @router.get("/available")
    def get_available(url: Line = INDEX) -> dict[str, Any]:
        """A list in the form of A1111's index.json; `installed` is the name of what is here already."""
        return manager.available(url)

    @router.get("/states")
    def get_states() -> list[dict[str, Any]]:
        """Every state of all extensions, the newest first."""
        return manager.states()

    @router.get("/trash")
    def get_trash() -> list[str]:
        """What was uninstalled, the newest first."""
        return manager.trash()

    @router.post("/install")
    def install(body: Installation, request: Request) -> Queued:
        """A job that installs one, whole or not at all."""
        return queued("install", body.model_dump(), request)

    @router.post("/check")
    def check(body: Names, request: Request) -> Queued:
        """A job that looks for updates and changes nothing."""
        return queued("check", body.model_dump(), request)

    @router.post("/update")
    def update(body: Names, request: Request) -> Queued:
        """A job that updates them, each whole or not at all."""
        return queued("update", body.model_dump(), request)

    @router.post("/states/{number}/roll-back")
    def roll_back(number: Whole, request: Request) -> Queued:
        """A job that brings all extensions and their packages back to a state."""
        return queued("roll-back", {"number": number}, request)

    @router.delete("/{name}")
    def uninstall(name: str, request: Request) -> Queued:
        """A job that moves one to the trash."""
        return queued("uninstall", {"name": name}, request)

    @router.post("/{name}/restore")
    def restore(name: str, request: Request) -> Queued:
        """A job that brings one back from the trash."""
        return queued("restore", {"name": name}, request)

    @router.post("/{name}/{act}")
    def manage(name: str, act: Literal["enable", "disable", "reload"]) -> dict[str, Any]:
        """At once -> what only a restart can do, and what went wrong."""
        manager.allow()
        words = services.manage_extension(act, name)
        found = next((each for each in services.extensions() if each.name == name), None)
        if found is None:
            raise NotFound("Extension", name)
        return {"words": words, "extension": _item(found).model_dump()}

    return router


def _item(each: KnownExtension) -> Item:
    git = each.repository()
    known = {"remote": LOGIN.sub("", git.remote), "branch": git.branch, "commit": git.commit} if git is not None else {}
    said = each.manifest.permissions
    return Item(
        name=each.name,
        state=each.state,
        builtin=each.builtin,
        error=each.error,
        traceback=each.traceback,
        permissions=None if said is None else list(said),
        **known,
    )
