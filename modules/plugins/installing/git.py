"""git, as a program of its own that asks nobody and runs nothing that a repository names.

A bare mirror for each address keeps every commit that was installed, so that going back needs no network.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from modules.core.errors import EaselError, NotFound
from modules.plugins.installing.sources import Source, hidden

COMMIT = re.compile(r"[0-9a-f]{40}")
SECONDS = 600
QUIET = (
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "credential.interactive=false"),
    *("-c", "advice.detachedHead=false"),
    *("-c", "gc.auto=0"),
)
KEPT = ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSH_COMMAND", "GIT_EXEC_PATH")


class GitFailed(EaselError):
    """git could not do it; the message is its own, without logins."""


def run(*words: str, where: Path | None = None, source: Source | None = None) -> str:
    """What git says. Raises GitFailed."""
    place = ("-C", str(where)) if where is not None else ()
    try:
        done = subprocess.run(
            ["git", *QUIET, *place, *words],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=_environment(source),
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise GitFailed("git is not installed here: install it, then try again.") from error
    except subprocess.TimeoutExpired as error:
        raise GitFailed(f"git gave no answer within {SECONDS} seconds.") from error
    if done.returncode:
        said = hidden(done.stderr.strip()) or f"exit code {done.returncode}"
        raise GitFailed(f"git {words[0]}: {said[-2000:]}")
    return done.stdout


def references(source: Source) -> dict[str, str]:
    """Name ("HEAD", "refs/heads/main", …) -> commit, asked from the address. Raises GitFailed."""
    lines = run("ls-remote", "--", source.url, source=source).splitlines()
    return {name: commit for commit, _, name in (line.partition("\t") for line in lines)}


def newest(source: Source) -> str:
    """The commit that a source means today. Raises NotFound for a branch that it lacks, GitFailed."""
    if COMMIT.fullmatch(source.branch):
        return source.branch
    found = references(source)
    if not source.branch:
        if "HEAD" not in found:
            raise NotFound("Branch", "HEAD", _branches(found), field="branch", hint="The repository may be empty.")
        return found["HEAD"]
    wanted = source.branch
    for name in (f"refs/heads/{wanted}", f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}"):
        if name in found:
            return found[name]
    raise NotFound("Branch", wanted, _branches(found), field="branch")


def _branches(found: Sequence[str] | dict[str, str]) -> list[str]:
    return [name.removeprefix("refs/heads/") for name in found if name.startswith("refs/heads/")]


class Mirror:
    """The commits of one address, below `folder`."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.source = source
        self.path = folder / f"{hashlib.sha256(source.url.encode()).hexdigest()[:24]}.git"

    def has(self, commit: str) -> bool:
        """Whether a commit is kept."""
        if not self.path.is_dir():
            return False
        try:
            run("rev-parse", "--verify", "--quiet", f"refs/easel/{commit}^{{tree}}", where=self.path)
        except GitFailed:
            return False
        return True

    def keep(self, commit: str, *, out_of: Path | None = None) -> None:
        """Fetch a commit, from the address or out of a folder that has it, unless it is kept. Raises GitFailed."""
        if self.has(commit):
            return
        if not self.path.is_dir():
            run("init", "--quiet", "--bare", "--template=", "--", str(self.path))
        wanted = f"+{commit}:refs/easel/{commit}"
        if out_of is not None:
            local = Source(url=str(out_of), protocols=("file",))
            self._fetch(local, "--update-shallow", "--", local.url, f"+HEAD:refs/easel/{commit}")
            return
        name = self._name_of(commit)
        for words in (
            ("--depth=1", "--", self.source.url, f"+{name}:refs/easel/{commit}"),
            ("--depth=1", "--", self.source.url, wanted),
            ("--", self.source.url, "+refs/heads/*:refs/easel-heads/*"),  # a server that gives whole branches only
        ):
            try:
                self._fetch(self.source, *words)
                run("update-ref", f"refs/easel/{commit}", commit, where=self.path)
            except GitFailed as error:
                failed = error
            else:
                return
        raise failed

    def _name_of(self, commit: str) -> str:
        branch = self.source.branch
        return f"refs/heads/{branch}" if branch and branch != commit else "HEAD"

    def _fetch(self, source: Source, *words: str) -> None:
        run("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *words, where=self.path, source=source)

    def files(self, commit: str, subfolder: str = "") -> set[str]:
        """Names of what a commit has in a folder, from that folder."""
        where = f"{commit}:{subfolder}" if subfolder else commit
        return {name for name in run("ls-tree", "-r", "-z", "--name-only", where, where=self.path).split("\0") if name}

    def check_out(self, commit: str, folder: Path) -> None:
        """Make `folder` a working tree of a kept commit, with the address as its origin. Raises GitFailed."""
        source, branch = self.source, self.source.branch
        on_branch = branch if branch and branch != commit else ""
        run("init", "--quiet", "--template=", "--", str(folder))
        run("config", "remote.origin.url", source.url, where=folder)
        run("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*", where=folder)
        local = Source(url=str(self.path), protocols=("file",))
        words = ("--depth=1", "--", local.url, f"+refs/easel/{commit}:refs/remotes/origin/{on_branch or 'HEAD'}")
        run("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *words, where=folder, source=local)
        named = ("-B", on_branch) if on_branch else ("--detach",)
        run("checkout", "--quiet", *named, commit, "--", where=folder, source=local)
        if (folder / ".gitmodules").is_file():
            modules = ("update", "--init", "--recursive", "--quiet", "--depth", "1")
            run("submodule", *modules, where=folder, source=source)


def changed(folder: Path) -> bool:
    """Whether somebody edited files that came with the repository."""
    try:
        return bool(run("status", "--porcelain", "--untracked-files=no", where=folder).strip())
    except GitFailed:
        return True


def _environment(source: Source | None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in KEPT}
    asked = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GCM_INTERACTIVE": "never",
        "GIT_ALLOW_PROTOCOL": ":".join(source.protocols) if source is not None else "file",
        "LC_ALL": "C",
    }
    kept.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    if source is not None and source.login:  # neither among the words that every user of the machine sees, nor kept
        parts = urlsplit(source.url)
        secret = base64.b64encode(source.login.encode()).decode()
        asked |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {secret}",
        }
    return {**kept, **asked}
