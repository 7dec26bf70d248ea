"""/sdapi/v1/extensions, and the files that extensions put into the page.

The page loads one script, `additions.PAGE_SCRIPT`, which loads what there is at that moment.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from pydantic import Field

from modules.core.errors import NotFound
from modules.web.additions import FILES, PAGE_SCRIPT
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.web.additions import PageFile
    from modules.web.services import Services

TYPES = {".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript"}
LOADER = """for (const [address, kind] of %s) {
  const made = document.createElement(kind === "css" ? "link" : "script");
  if (kind === "css") { made.rel = "stylesheet"; made.href = address; }
  else { made.async = false; if (kind === "mjs") made.type = "module"; made.src = address; }
  document.head.append(made);
}
"""


class ExtensionItem(Schema):
    name: str = Field(description="Extension name")
    remote: str = Field(description="Where its repository is")
    branch: str = Field(description="Branch of its repository")
    commit_hash: str = Field(description="Commit that is here")
    version: str = Field(description="The commit, short")
    commit_date: str = Field(description="Time of the commit")
    enabled: bool = Field(description="Whether it is in use")


def routes(services: Services) -> APIRouter:
    """The list of A1111's: extensions that came from a git repository."""
    router = APIRouter()

    @router.get("/extensions", response_model=list[ExtensionItem])
    def get_extensions_list() -> list[ExtensionItem]:
        found = [(each, each.repository()) for each in services.extensions()]
        return [
            ExtensionItem(
                name=each.name,
                remote=git.remote,
                branch=git.branch,
                commit_hash=git.commit,
                version=git.version,
                commit_date=str(git.date),
                enabled=each.state != "disabled",
            )
            for each, git in found
            if git is not None and git.remote
        ]

    return router


def files(services: Services) -> APIRouter:
    """The script that loads extensions' files, and these files; no others."""
    router = APIRouter(include_in_schema=False)
    subpath = (services.flags.subpath or "").strip("/")
    root = f"/{subpath}" if subpath else ""

    @router.get(PAGE_SCRIPT)
    def script() -> Response:
        found = [
            (f"{root}{FILES}/{_key(file)}/{file.path.name}?{_changed(file)}", file.path.suffix[1:])
            for file in services.additions.files.all()
        ]
        told = json.dumps(found).replace("</", "<\\/")
        return Response(LOADER % told, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    @router.get(FILES + "/{key}/{name}")
    def file(key: str, name: str) -> Response:
        for each in services.additions.files.all():
            if _key(each) == key and each.path.name == name and each.path.is_file():
                return FileResponse(each.path, media_type=TYPES[each.path.suffix])
        raise NotFound("File", name, [each.path.name for each in services.additions.files.all()])

    return router


def _key(file: PageFile) -> str:
    """Tells files of one name apart."""
    return hashlib.sha256(str(file.path).encode()).hexdigest()[:12]


def _changed(file: PageFile) -> int:
    """Another number when the file is another."""
    try:
        return file.path.stat().st_mtime_ns
    except OSError:
        return 0
