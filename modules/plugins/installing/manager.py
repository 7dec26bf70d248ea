"""Install, look for updates, update, uninstall, restore, roll back: each act happens whole or not at all.

Everything is made ready in a temporary folder, tried in a process of its own, and renamed into place; Python packages
are compared before, installed last and put back where a later step fails. Acts are jobs of the queue (`KIND`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest, DamagedFile, EaselError, Forbidden, NotFound
from modules.plugins import manifest
from modules.plugins.extension import CODE, Extension
from modules.plugins.installing import assumed, git, index, packages, trial
from modules.plugins.installing.git import GitFailed, Mirror
from modules.plugins.installing.lock import Entry, Lock, State
from modules.plugins.installing.packages import Packages
from modules.plugins.installing.sources import Source, hidden, source
from modules.plugins.installing.works import Works, carry
from modules.plugins.manifest import Manifest
from modules.web.security.exposure import reachable

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.jobs.progress import Control
    from modules.jobs.queue import Queue
    from modules.plugins.desk import Extensions
    from modules.settings.flags import Flags

log = logging.getLogger(__name__)

KIND = "extensions"
FLAG = "--enable-insecure-extension-access"
MIRRORS, WHEELS = Path("cache") / "extension-mirrors", Path("cache") / "extension-wheels"
ON_DISK = "found on the disk"


def nothing(folder: Path) -> str:
    """An installer that has nothing to do -> what went wrong: nothing."""
    return ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ready:
    """An extension made ready in a temporary folder."""

    name: str
    folder: Path
    entry: Entry
    requirements: tuple[str, ...] = ()
    welcome: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Desk:
    """A manager and the queue that does its acts: `web.installing.Installing`."""

    manager: Manager
    queue: Queue

    def refusal(self) -> str:
        return self.manager.refusal()

    def allow(self) -> None:
        self.manager.allow()

    def submit(self, act: str, values: JsonObject, *, id: str | None = None, owner: str = "") -> str:
        return self.manager.submit(self.queue, act, values, id=id, owner=owner)

    def available(self, where: str) -> JsonObject:
        return self.manager.available(where)

    def states(self) -> list[JsonObject]:
        return self.manager.states()

    def trash(self) -> list[str]:
        return self.manager.trash()


class Manager:
    """folder: the user's extensions/; accepts: which folders without extension.py are extensions; installer: runs an
    install.py -> what it said where it failed; trial_run: see `trial.imported`.
    """

    def __init__(
        self,
        desk: Extensions,
        flags: Flags,
        *,
        folder: Path,
        data: Path,
        packages: Packages,
        lock: Path | None = None,
        accepts: Callable[[Path], bool] = lambda folder: False,
        installer: Callable[[Path], str] = nothing,
        trial_run: Callable[[Path], list[str]] = lambda folder: [],
    ) -> None:
        self._desk, self._flags, self._folder = desk, flags, folder
        self._packages, self._accepts, self._installer = packages, accepts, installer
        self._trial_run = trial_run
        self._works = Works(folder)
        self._lock = Lock(lock or data / "extensions.lock.json")
        self._mirrors = data / MIRRORS
        self._logins: dict[str, str] = {}
        self._one = threading.Lock()

    # --- what others ask

    @property
    def local(self) -> bool:
        """Whether everybody who can ask sits at this machine."""
        return not reachable(self._flags)

    def refusal(self) -> str:
        """Why nobody may install here, "" where they may."""
        if self.local or self._flags.enable_insecure_extension_access:
            return ""
        return (
            "An extension is a program. Where other machines reach this server, extensions are installed and changed "
            f"only if its owner started it with {FLAG}."
        )

    def allow(self) -> None:
        """Raises Forbidden where `refusal` has a reason."""
        if reason := self.refusal():
            raise Forbidden(reason)

    def sweep(self) -> None:
        """At the start, before extensions are loaded: what installers that were killed left is put back or away."""
        for name in self._works.sweep():
            log.warning("The extension %s is back: its update had been cut off.", name)

    def submit(self, queue: Queue, act: str, values: JsonObject, *, id: str | None = None, owner: str = "") -> str:
        """Check an act and queue it -> job id. Raises Forbidden, BadRequest, NotFound."""
        self.allow()
        if act not in ACTS:
            raise NotFound("Act", act, ACTS, field="act")
        request = dict(values)
        if act == "install":
            asked = self._asked(request)
            request |= {"url": asked.url, "name": asked.name}
            if asked.login:  # kept in memory alone: the queue's table is on the disk
                request["login"] = secrets.token_hex(8)
                self._logins[request["login"]] = asked.login
        return queue.submit(KIND, {"act": act, "values": request}, id=id, owner=owner)

    def on(self, queue: Queue) -> Desk:
        """The manager with its queue, as the web asks it."""
        return Desk(manager=self, queue=queue)

    def run(self, job: JsonObject, control: Control) -> JsonObject:
        """The queue's runner."""
        values = dict(job["values"])
        control.text(f"Extensions: {job['act']} {values.get('name', '')}")
        return ACTS[job["act"]](self, values)

    def available(self, where: str) -> JsonObject:
        """A list of extensions, each with the name that it is installed as, "" for none. Raises as `index.read`."""
        self.allow()
        found = index.read(where, local=self.local)
        here = {_bare(entry.url): name for name, entry in self._now().items() if entry.url}
        rows = [row | {"installed": here.get(_bare(row["url"]), "")} for row in found["extensions"]]
        return {"extensions": rows, "tags": found["tags"]}

    def states(self) -> list[JsonObject]:
        """The newest first."""
        return [dataclasses.asdict(each) for each in reversed(self._lock.states())]

    def trash(self) -> list[str]:
        """What was uninstalled, the newest first."""
        return self._works.trashed()

    # --- the acts

    def install(self, values: JsonObject) -> JsonObject:
        """{"url", "branch", "subfolder", "name", "requirements": "install" or "skip", "dry_run", "commit"} -> what came
        of it. commit: the one that a dry run told of; another one by now is refused.

        Raises BadRequest, NotFound (branch), Conflict, Broken, GitFailed.
        """
        asked = self._asked(values)
        if key := values.get("login"):
            login = self._logins.pop(key, "")
            if not login:
                raise BadRequest("Its password was not kept over a restart: install it again.", field="url")
            asked = dataclasses.replace(asked, login=login)
        skip, dry = values.get("requirements") == "skip", bool(values.get("dry_run"))
        with self._act() as (work, before):
            self._refuse_twice(asked, before)
            commit = git.newest(asked)
            if values.get("commit") not in (None, "", commit):
                raise BadRequest("It has changed since you looked at it: look again.", field="commit")
            ready = self._ready(work, asked, commit)
            plan = {} if skip else self._packages.plan(ready.requirements, ready.welcome)
            if dry:
                return _result(
                    ready.name, packages=plan, commit=ready.entry.commit, installed=False, folder=ready.folder
                )
            trial_after = bool(plan)  # it may import what is not here yet
            if not trial_after:
                trial.tried(ready.folder)
            with self._with_packages(plan) as changed:
                if trial_after:
                    trial.tried(ready.folder)
                words = [*(self._run_installer(ready.folder) if not skip else ()), *self._tried(ready.folder)]
                back = self._works.swap(work, ready.name, ready.folder)
                try:
                    now = {**before, ready.name: ready.entry}
                    self._lock.add(f"installed {ready.name}", now, **changed())
                except BaseException:
                    back()
                    raise
            return _result(
                ready.name, words=[*words, *self._load(ready.name)], packages=plan, commit=ready.entry.commit
            )

    def check(self, values: JsonObject) -> JsonObject:
        """{"names": [...]}, none = all -> {"extensions": {name: "latest", "new commit …" or what went wrong}}."""
        told: dict[str, str] = {}
        with self._one:
            for name, entry in self._chosen(values, self._now()).items():
                try:
                    newest = git.newest(self._source(entry, name)) if entry.url else ""
                    told[name] = "latest" if newest in ("", entry.commit) else f"new commit {newest[:8]}"
                    if not entry.url:
                        told[name] = "not from a repository"
                except EaselError as error:
                    told[name] = str(error)
        return {"extensions": told}

    def update(self, values: JsonObject) -> JsonObject:
        """{"names": [...]}, none = all -> words for each. One that fails stays as it was; the others go on; where a
        single one was asked for its failure is raised.
        """
        told: dict[str, str] = {}
        words: list[str] = []
        with self._one:
            names = list(self._chosen(values, self._now()))
        for name in names:
            try:
                told[name], more = self._update(name)
                words += more
            except EaselError as error:
                if len(names) == 1:
                    raise
                log.error("The extension %s cannot be updated: %s", name, error)
                told[name] = str(error)
        return {"extensions": told, "words": words}

    def uninstall(self, values: JsonObject) -> JsonObject:
        """{"name"}: to the trash. Its packages stay: others may use them; rolling back removes them."""
        name = str(values["name"])
        with self._act() as (work, before):
            if name not in before:
                raise NotFound("Installed extension", name, before, field="name")
            self._desk.unload(name)
            back = self._works.swap(work, name, None)
            try:
                self._lock.add(f"uninstalled {name}", {key: each for key, each in before.items() if key != name})
            except BaseException:
                back()
                self._desk.load(name)
                raise
            self._works.done(work, name, keep=True)
            self._desk.look()
        return _result(name, words=["It is in the trash, and can be restored."], installed=False)

    def restore(self, values: JsonObject) -> JsonObject:
        """{"name"}: from the trash; one that took its place meanwhile stays. Raises NotFound, BadRequest."""
        with self._act() as (work, before):
            trashed = self._works.from_trash(str(values["name"]))
            name = trashed.name.rpartition("~")[0]
            if (self._folder / name).exists():
                raise BadRequest(f"{name} is installed: uninstall it first.", field="name")
            known = next((state.extensions[name] for state in self._known(name)), Entry())
            back = self._works.swap(work, name, trashed)
            try:
                entry = self._entry(self._found(name), known)
                self._lock.add(f"restored {name}", {**before, name: entry})
            except BaseException:
                back()
                raise
            return _result(name, words=self._load(name))

    def roll_back(self, values: JsonObject) -> JsonObject:
        """{"number"}: all extensions and packages as they were in that state. Everything is fetched before the first
        change. Raises NotFound, GitFailed, EaselError.
        """
        number = int(values["number"])
        wanted = self._lock.get(number).extensions
        with self._act() as (work, before):
            versions = self._lock.packages_of(number)
            other = {name: entry for name, entry in wanted.items() if _place(before.get(name)) != _place(entry)}
            ready, words = self._bring_back(work, other)
            gone = [name for name in before if name not in wanted]
            undo: list[Callable[[], None]] = []
            old = self._packages.installed() if versions else {}
            try:
                changed = self._packages.restore(versions) if versions else []
                for name in (*gone, *ready):
                    self._unload(name)
                    undo.append(self._works.swap(work, name, ready.get(name)))
                self._choose(wanted)
                now, (was, versions_now) = self._now(wanted), packages.difference(old, self._installed_if(versions))
                self._lock.add(f"rolled back to {number}", now, packages=versions_now, before=was)
            except BaseException:
                for each in reversed(undo):
                    each()
                with contextlib.suppress(EaselError):
                    self._packages.restore({name: old.get(name) for name in versions})
                raise
            for name in (*gone, *ready):
                self._works.done(work, name, keep=name in gone or git.changed(work / "old" / name))
            self._desk.look()
            for name in ready:
                words += self._load(name)
        return {"number": number, "extensions": [*ready], "removed": gone, "packages": changed, "words": words}

    # --- how

    @contextlib.contextmanager
    def _act(self) -> Iterator[tuple[Path, dict[str, Entry]]]:
        """One at a time: a temporary folder, and what there is; changes by hand become a state of their own."""
        with self._one, self._works.temporary() as work:
            now = self._now()
            states = self._lock.states()
            if not states or {**states[-1].extensions} != now:
                self._lock.add(ON_DISK if states or now else "before the first", now)
            yield work, now

    def _asked(self, values: JsonObject) -> Source:
        texts = {key: str(values.get(key) or "") for key in ("branch", "subfolder", "name")}
        return source(str(values.get("url") or ""), local=self.local, **texts)

    def _refuse_twice(self, asked: Source, before: dict[str, Entry]) -> None:
        if (self._folder / asked.name).exists() or any(asked.name in each.names for each in self._desk.look()):
            raise BadRequest(
                f"There is an extension {asked.name} already: update it, or give another name.", field="name"
            )
        same = [
            name
            for name, each in before.items()
            if (_bare(each.url), each.subfolder) == (_bare(asked.url), asked.subfolder)
        ]
        if same:
            raise BadRequest(f"This is installed as {same[0]} already: update that.", field="url")

    def _ready(self, work: Path, asked: Source, commit: str) -> Ready:
        """Fetch a commit and look at what it has; nothing of it is run. Raises GitFailed, BadRequest, DamagedFile."""
        mirror = Mirror(self._mirrors, asked)
        self._mirrors.mkdir(parents=True, exist_ok=True)
        mirror.keep(commit)
        folder = self._checked_out(work, mirror, commit, asked)
        if not (folder / CODE).is_file() and not self._accepts(folder):
            where = f"its folder {asked.subfolder}" if asked.subfolder else hidden(asked.url)
            raise BadRequest(
                f"This is no extension: {where} has neither extension.py nor scripts of A1111's.", field="url"
            )
        said = manifest.read(folder)
        entry = Entry(url=asked.url, branch=asked.branch, subfolder=asked.subfolder, commit=commit)
        wanted = tuple(packages.asked(folder, said.requirements))
        welcome = () if (folder / CODE).is_file() else assumed.assumed(folder)
        return Ready(name=asked.name, folder=folder, entry=entry, requirements=wanted, welcome=welcome)

    def _checked_out(self, work: Path, mirror: Mirror, commit: str, asked: Source) -> Path:
        """The extension's folder, below the temporary one and with the name that it will have."""
        whole = work / "new" / asked.name
        mirror.check_out(commit, whole)
        if not asked.subfolder:
            return whole
        inside = (whole / asked.subfolder).resolve()
        if not inside.is_dir() or whole.resolve() not in inside.parents:
            raise NotFound("Folder", asked.subfolder, _folders(whole), field="subfolder")
        part = work / "part"
        part.mkdir(exist_ok=True)
        return inside.rename(part / asked.name)

    @contextlib.contextmanager
    def _with_packages(self, plan: dict[str, str]) -> Iterator[Callable[[], dict[str, Any]]]:
        """These packages are here; if the block fails they are as before -> what tells the changes, for the lock."""
        old = self._packages.installed()
        if plan:
            self._lock.pend({name: old.get(name) for name in plan})

        def changed() -> dict[str, Any]:
            before, after = packages.difference(old, self._packages.installed())
            return {"packages": after, "before": before}

        try:
            self._packages.put(plan)
            yield changed
        except BaseException:
            self._packages.restore(changed()["before"])
            self._lock.pend({})
            raise

    def _run_installer(self, folder: Path) -> list[str]:
        said = self._installer(folder)
        return [f"Its install.py failed: {said[-2000:]}"] if said else []

    def _tried(self, folder: Path) -> list[str]:
        """Run the scripts of one of A1111's beside a program of their own -> what of it fails. Raises Broken."""
        return [] if (folder / CODE).is_file() else self._trial_run(folder)

    def _update(self, name: str) -> tuple[str, list[str]]:
        with self._act() as (work, before):
            entry = before[name]
            if not entry.url:
                raise BadRequest(f"{name} did not come from a repository: there is nothing to update it from.")
            asked = self._source(entry, name)
            commit = git.newest(asked)
            if commit == entry.commit:
                return "latest", []
            before_update = _said(self._folder / name)
            ready = self._ready(work, asked, commit)
            plan = self._packages.plan(ready.requirements, ready.welcome)
            if not plan:
                trial.tried(ready.folder)
            with self._with_packages(plan) as changed:
                if plan:
                    trial.tried(ready.folder)
                self._carry(name, entry, ready.folder)
                words = [*self._run_installer(ready.folder), *self._tried(ready.folder)]
                self._replace(
                    work, ready, {**before, name: dataclasses.replace(ready.entry, enabled=entry.enabled)}, changed
                )
        more = _more(before_update, manifest.read(self._folder / name))
        return f"updated to {commit[:8]}", [*more, *words, *(self._load(name) if entry.enabled else [])]

    def _replace(self, work: Path, ready: Ready, now: dict[str, Entry], changed: Callable[[], dict[str, Any]]) -> None:
        edited = git.changed(self._folder / ready.name) if (self._folder / ready.name / ".git").exists() else False
        self._unload(ready.name)
        back = self._works.swap(work, ready.name, ready.folder)
        try:
            self._lock.add(f"updated {ready.name}", now, **changed())
        except BaseException:
            back()
            self._load(ready.name)
            raise
        self._works.done(work, ready.name, keep=edited)

    def _carry(self, name: str, entry: Entry, new: Path) -> None:
        """The user's files in the old folder are in the new one too."""
        mirror = Mirror(self._mirrors, self._source(entry, name))
        if not mirror.has(entry.commit):
            mirror.keep(entry.commit, out_of=self._folder / name)
        carry(self._folder / name, new, mirror.files(entry.commit, entry.subfolder))

    def _bring_back(self, work: Path, wanted: dict[str, Entry]) -> tuple[dict[str, Path], list[str]]:
        """Folders of these, made ready; what cannot be had is told."""
        ready: dict[str, Path] = {}
        words = []
        for name, entry in wanted.items():
            here = self._folder / name
            if entry.commit:
                asked = self._source(entry, name)
                mirror = Mirror(self._mirrors, asked)
                self._mirrors.mkdir(parents=True, exist_ok=True)
                mirror.keep(entry.commit)
                ready[name] = self._checked_out(work, mirror, entry.commit, asked)
                if here.exists():
                    self._carry_all(name, ready[name])
            elif here.exists():
                words.append(f"{name} was a folder of your own then: it stays as it is.")
            else:
                try:
                    ready[name] = self._works.from_trash(name)
                except NotFound:
                    words.append(f"{name} is neither in a repository nor in the trash: it cannot be had back.")
        return ready, words

    def _carry_all(self, name: str, new: Path) -> None:
        now = self._now().get(name)
        if now is not None and now.commit:
            self._carry(name, now, new)

    def _choose(self, wanted: dict[str, Entry] | Any) -> None:
        """Enabled and disabled as they were."""
        for each in self._desk.look():
            entry = wanted.get(each.name)
            if entry is not None and entry.enabled != self._desk.in_use(each):
                self._desk.choose(each.name, entry.enabled)

    def _installed_if(self, versions: dict[str, str | None]) -> dict[str, str]:
        return self._packages.installed() if versions else {}

    def _now(self, hints: Any = None) -> dict[str, Entry]:
        """Every extension that the user installed, as it is on the disk."""
        states = self._lock.states()
        known = {**(states[-1].extensions if states else {}), **(hints or {})}
        users = [
            each for each in self._desk.look() if not each.builtin and each.folder.parent == self._folder.resolve()
        ]
        return {
            each.name: self._entry(each, known.get(each.name, Entry())) for each in sorted(users, key=lambda e: e.name)
        }

    def _entry(self, each: Extension, known: Entry) -> Entry:
        """What its folder says; for one that came out of a subfolder, what the lock says."""
        enabled = self._desk.in_use(each)
        here = each.repository()
        if here is None:
            known = known if known.subfolder else Entry()
            return dataclasses.replace(known, enabled=enabled)
        same = known.url == hidden(here.remote) and known.commit == here.commit
        branch = known.branch if same else here.branch
        entry = Entry(url=_without_login(here.remote), branch=branch, commit=here.commit, enabled=enabled)
        mirror = Mirror(self._mirrors, self._source(entry, each.name))
        if not mirror.has(here.commit):
            self._mirrors.mkdir(parents=True, exist_ok=True)
            try:
                mirror.keep(here.commit, out_of=each.folder)
            except GitFailed as error:
                log.warning("The commit of %s cannot be kept for going back: %s", each.name, error)
        return entry

    def _source(self, entry: Entry, name: str) -> Source:
        """Where one that is here came from. Its owner put it here, so its address may be any that git takes."""
        scheme = entry.url.partition("://")[0]
        protocols = ("https", "ssh", "git", *([scheme] if scheme == "http" else []))
        local = "file" if entry.url.startswith("/") or scheme == "file" or Path(entry.url).is_absolute() else ""
        return Source(
            url=entry.url,
            branch=entry.branch,
            subfolder=entry.subfolder,
            name=name,
            protocols=(*protocols, *([local] if local else [])),
        )

    def _chosen(self, values: JsonObject, now: dict[str, Entry]) -> dict[str, Entry]:
        names = [str(name) for name in values.get("names") or ()]
        for name in names:
            if name not in now:
                raise NotFound("Installed extension", name, now, field="names")
        return {name: now[name] for name in names} if names else {name: each for name, each in now.items() if each.url}

    def _known(self, name: str) -> Sequence[State]:
        return [state for state in reversed(self._lock.states()) if name in state.extensions]

    def _found(self, name: str) -> Extension:
        self._desk.look()
        return self._desk.get(name)

    def _unload(self, name: str) -> None:
        """Others that need it keep the old code until the next start."""
        with contextlib.suppress(BadRequest, NotFound):
            self._desk.unload(name)

    def _load(self, name: str) -> list[str]:
        """Load it into the running program, if it is wanted -> what is to be said."""
        found = self._found(name)
        if refusal := self._desk.refusal(found):
            return [f"It is not loaded: {refusal}"]
        outcome = self._desk.load(name)
        error = [outcome.extension.error] if outcome.extension.error else []
        later = [f"A restart brings {', '.join(outcome.later)}."] if outcome.later else []
        return [*error, *later]


ACTS: dict[str, Callable[[Manager, JsonObject], JsonObject]] = {
    "install": Manager.install,
    "check": Manager.check,
    "update": Manager.update,
    "uninstall": Manager.uninstall,
    "restore": Manager.restore,
    "roll-back": Manager.roll_back,
}


def _result(
    name: str,
    *,
    words: Sequence[str] = (),
    packages: Any = None,
    commit: str = "",
    installed: bool = True,
    folder: Path | None = None,
) -> JsonObject:
    """folder: where its files lie before they are installed; the answer then has what its manifest says."""
    declared = {} if folder is None else _declared(folder)
    return {
        **declared,
        "name": name,
        "installed": installed,
        "commit": commit,
        "packages": dict(packages or {}),
        "words": [word for word in words if word],
    }


def _declared(folder: Path) -> JsonObject:
    """What it is and asks for; permissions are None where its manifest says nothing of them."""
    said = manifest.read(folder)
    permissions = None if said.permissions is None else list(said.permissions)
    return {"version": said.version, "requires": list(said.requires), "permissions": permissions}


def _said(folder: Path) -> Manifest:
    """Its manifest, an empty one where it cannot be understood."""
    try:
        return manifest.read(folder)
    except DamagedFile:
        return Manifest()


def _more(before: Manifest, now: Manifest) -> list[str]:
    """What it declares to do that it did not before an update, in words."""
    new = [each for each in now.permissions or () if each not in (before.permissions or ())]
    return [f"It declares permissions that it did not have before: {', '.join(new)}."] if new else []


def _place(entry: Entry | None) -> tuple[str, str, str, str] | None:
    """What a folder was made of."""
    return None if entry is None else (entry.url, entry.subfolder, entry.commit, entry.branch if entry.commit else "")


def _bare(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").casefold()


def _without_login(url: str) -> str:
    return (
        url.partition("://")[0] + "://" + url.rpartition("@")[2]
        if url.startswith(("https://", "http://")) and "@" in url
        else url
    )


def _folders(whole: Path) -> list[str]:
    return sorted(each.name for each in whole.iterdir() if each.is_dir() and not each.name.startswith("."))
