"""A list of extensions, in the form of A1111's index.json, from an address or a file."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from modules.core.errors import BadRequest
from modules.plugins.installing.sources import hidden
from modules.web.security import addresses
from modules.web.security.exposure import LOOPBACK

if TYPE_CHECKING:
    from http.client import HTTPMessage

    from modules.core.types import JsonObject

LARGEST = 16 * 2**20
SECONDS = 30


def read(where: str, *, local: bool) -> JsonObject:
    """{"extensions": [{name, url, description, tags, added}], "tags": {tag: meaning}}. local: the caller sits here.

    Raises BadRequest for an address that is not taken, or where there is nothing to be had or understood.
    """
    text = where.strip()
    try:
        data = _file(text) if local and "://" not in text.replace("file://", "", 1) else _fetched(text, local=local)
        found = json.loads(data.decode("utf-8-sig"))
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        raise BadRequest(f"The list {hidden(text)} cannot be had: {reason}.", field="url") from error
    except ValueError as error:
        raise BadRequest(f"{hidden(text)} is no list of extensions: {error}.", field="url") from error
    listed = found.get("extensions") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise BadRequest(f'{hidden(text)} is no list of extensions: it has no "extensions".', field="url")
    tags = found.get("tags")
    rows = [_row(each) for each in listed if isinstance(each, dict) and isinstance(each.get("url"), str)]
    return {"extensions": rows, "tags": tags if isinstance(tags, dict) else {}}


def _row(read: dict[str, Any]) -> JsonObject:
    tags = read.get("tags")
    texts = {key: str(read.get(key) or "") for key in ("name", "url", "description", "added")}
    return texts | {"tags": [str(tag) for tag in tags] if isinstance(tags, list) else []}


def _file(text: str) -> bytes:
    path = Path(os.path.expanduser(text.removeprefix("file://")))
    if not path.is_absolute():
        raise BadRequest(f"{text!r} is neither an https address nor the whole path of a file here.", field="url")
    with path.open("rb") as file:
        return _bounded(file)


def _fetched(text: str, *, local: bool) -> bytes:
    _check(text, local=local)
    opener = urllib.request.build_opener(_SameRules(local=local))
    request = urllib.request.Request(text, headers={"User-Agent": "Easel"})
    with opener.open(request, timeout=SECONDS) as answer:
        return _bounded(answer)


def _check(text: str, *, local: bool) -> None:
    scheme, _, rest = text.partition("://")
    host = rest.partition("/")[0].rpartition(":")[0] or rest.partition("/")[0]
    if scheme != "https" and not (local and scheme == "http" and host in LOOPBACK):
        raise BadRequest(f"{hidden(text)!r} is not taken: a list comes from an https address.", field="url")
    if not local:
        addresses.resolve(text, field="url", forbid_local=True)


def _bounded(file: IO[bytes]) -> bytes:
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise BadRequest(f"This list is larger than {LARGEST // 2**20} MiB.", field="url")
    return data


class _SameRules(urllib.request.HTTPRedirectHandler):
    """A redirect obeys the rules of the address itself."""

    def __init__(self, *, local: bool) -> None:
        self.local = local

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        _check(newurl, local=self.local)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
