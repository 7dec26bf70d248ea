"""Where an extension may come from: https, ssh and git addresses; folders and this machine for its own user alone."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modules.core.errors import BadRequest
from modules.web.security import addresses
from modules.web.security.exposure import LOOPBACK

PLAIN = re.compile(r"[A-Za-z0-9._~%/@:+,=\[\]-]+")
SCP = re.compile(r"(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*@)(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^:-][^:]*)")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,199}")
DEVICES = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))))
FAR = {"https": "https", "ssh": "ssh", "git": "git"}
"""Scheme -> git's protocol."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """url: without a password; login: "user:password", "" for none, never shown; protocols: that git may speak."""

    url: str
    login: str = dataclasses.field(default="", repr=False)
    protocols: tuple[str, ...] = ("https", "ssh", "git")
    branch: str = ""
    subfolder: str = ""
    name: str = ""


def source(url: str, *, branch: str = "", subfolder: str = "", name: str = "", local: bool) -> Source:
    """What was asked for, checked. local: the caller sits at this machine. Raises BadRequest."""
    text = url.strip()
    if not text:
        raise BadRequest("Say from where: an address of a git repository.", field="url")
    if text.startswith("-") or "::" in text or any(ord(sign) < 32 for sign in text):
        raise BadRequest(f"{hidden(text)!r} is no address of a git repository.", field="url")
    branch, subfolder = branch.strip(), subfolder.strip().strip("/")
    if branch and (not BRANCH.fullmatch(branch) or ".." in branch or branch.endswith((".lock", "/", "."))):
        raise BadRequest(f"{branch!r} is no name of a branch.", field="branch")
    parts = subfolder.split("/") if subfolder else []
    if any(part in ("", ".", "..", ".git") or part.startswith("-") or "\\" in part for part in parts):
        raise BadRequest(f"{subfolder!r} is no folder inside a repository.", field="subfolder")
    found = _address(text, local=local)
    last = parts[-1] if parts else unquote(found.url.rstrip("/").replace(":", "/").rsplit("/", 1)[-1])
    called = named(name.strip() or last.removesuffix(".git"))
    return dataclasses.replace(found, branch=branch, subfolder=subfolder, name=called)


def named(name: str) -> str:
    """A folder's name that is safe everywhere. Raises BadRequest."""
    if not NAME.fullmatch(name) or name.endswith(".") or name.split(".")[0].casefold() in DEVICES:
        raise BadRequest(f"{name!r} cannot be the name of an extension's folder: choose another.", field="name")
    return name


def hidden(text: str) -> str:
    """A text without the logins of addresses in it: for messages and logs."""
    return re.sub(r"(?<=://)[^/@\s]+@", lambda found: "git@" if found[0] == "git@" else "***@", text)


def _address(text: str, *, local: bool) -> Source:
    scheme, colon, _ = text.partition("://")
    if not colon:
        if SCP.fullmatch(text) and PLAIN.fullmatch(text):
            return Source(url=text)
        return _folder(text, local=local)
    if scheme.lower() == "file":
        return _folder(unquote(text[len("file://") :]), local=local)
    if not PLAIN.fullmatch(text):
        raise BadRequest(f"{hidden(text)!r} has signs that no address of a repository has.", field="url")
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise BadRequest(f"{hidden(text)!r} is no address: {error}.", field="url") from error
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*|[0-9a-f:]+:[0-9a-f:]*", host):
        raise BadRequest(f"{hidden(text)!r} names no server.", field="url")
    here = local and parts.scheme == "http" and host in LOOPBACK
    if parts.scheme not in FAR and not here:
        raise BadRequest(
            f'"{parts.scheme}" is not taken: use https, ssh or git'
            + (", or a folder of this machine." if local else "; what lies on this machine only its own user names."),
            field="url",
        )
    if not local and parts.scheme == "https":
        addresses.resolve(text, field="url", forbid_local=True)
    where = f"[{host}]" if ":" in host else host
    user, _, password = (parts.netloc.rpartition("@")[0]).partition(":")
    if parts.scheme in ("https", "http"):
        login, kept = (f"{unquote(user)}:{unquote(password)}" if user else ""), ""
    else:
        if password or user.startswith("-"):
            raise BadRequest("ssh takes no password in an address: use a key.", field="url")
        login, kept = "", f"{user}@" if user else ""
    protocols = (parts.scheme,) if here else ("https", "ssh", "git")
    return Source(url=f"{parts.scheme}://{kept}{where}{port}{parts.path}", login=login, protocols=protocols)


def _folder(text: str, *, local: bool) -> Source:
    if not local:
        raise BadRequest(
            "Folders and files of this machine only its own user names: use an https or ssh address.", field="url"
        )
    path = Path(os.path.expanduser(text))
    if not path.is_absolute() or not path.is_dir():
        raise BadRequest(
            f"{hidden(text)!r} is neither an https or ssh address nor the whole path of a folder here.", field="url"
        )
    return Source(url=str(path), protocols=("file", "https", "ssh", "git"))
