"""The extensions of a running program: found, loaded in order, unloaded and loaded again without a restart.

The composition root makes one `Extensions` and calls `load_all` before the page is built, `opened` when it is.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest, EaselError, NotFound
from modules.plugins import finding, loading, state
from modules.plugins.api import ExtensionApi
from modules.plugins.extension import Extension
from modules.plugins.state import Marker, Wanted
from modules.web.additions import Translation

if TYPE_CHECKING:
    from fastapi import FastAPI

    from modules.plugins.guest import Guests
    from modules.plugins.house import House
    from modules.settings.flags import Flags

log = logging.getLogger(__name__)

MARKER = Path("cache") / "extension-being-loaded"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of loading or unloading. later: what the next start of the program brings or takes, in words."""

    extension: Extension
    later: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


class Extensions:
    """folders: where they lie; shipped: the one with Easel's own; guests: runs those of A1111's layout."""

    def __init__(
        self, house: House, flags: Flags, folders: Sequence[Path], *, shipped: Path, guests: Guests | None = None
    ) -> None:
        self.guests = guests
        self.seconds: dict[str, float] = {}
        self._house, self._flags, self._folders, self._shipped = house, flags, folders, shipped
        self._marker = Marker(house.data / MARKER)
        self._listed: dict[str, Extension] = {}
        self._apis: dict[str, ExtensionApi] = {}
        self._guests: dict[str, list[Callable[[], object]]] = {}
        self._page_built = False
        self._broken = ""
        self._guard = threading.RLock()

    def all(self) -> list[Extension]:
        """In the order of their names."""
        return sorted(self._listed.values(), key=lambda each: each.name.casefold())

    def get(self, name: str) -> Extension:
        """By name. Raises NotFound."""
        if name not in self._listed:
            raise NotFound("Extension", name, self._listed, field="extension")
        return self._listed[name]

    def look(self) -> list[Extension]:
        """All of them as they are on the disk now: newcomers too, without what is gone and not loaded."""
        with self._guard:
            self._refresh()
            self._tell_failures()
            return self.all()

    def in_use(self, extension: Extension) -> bool:
        """Whether the list of disabled ones lets it be loaded."""
        return state.is_enabled(self._house.options, extension)

    def refusal(self, extension: Extension) -> str:
        """Why settings and flags do not let it be loaded, "" where they do."""
        return Wanted.of(self._house.options, self._flags).refusal(extension)

    def choose(self, name: str, wanted: bool) -> None:
        """Enable or disable it, now and at the next starts. Raises as `enable` and `disable`."""
        self.enable(name) if wanted else self.disable(name)

    def load_all(self) -> None:
        """Find them and load what is wanted. Never raises for what one of them does."""
        with self._guard:
            found = self._found()
            self._disable_breaker(found)
            self._listed = {each.name: each for each in found}
            for each in self._wanted(found):
                self._listed[each.name] = each
                if each.state == "found" and each.own:
                    self._load(each)
            self._load_guests([each for each in self._listed.values() if each.state == "found" and not each.own])

    def opened(self, asgi: FastAPI) -> None:
        """The server's application and the page are there."""
        self._page_built = True
        self._house.routes.open(asgi)
        self._tell_failures()

    def close(self) -> None:
        """The program ends: everything they added is taken out, the last first."""
        with self._guard:
            for name in [*reversed(self._guests), *reversed(self._apis)]:
                self._withdrawn(self._listed[name])
            if self.guests is not None:
                self.guests.close()

    def load(self, name: str) -> Outcome:
        """Load one that is found and not loaded, whatever the settings say. Raises NotFound, BadRequest."""
        with self._guard:
            self._refresh()
            extension = self.get(name)
            if extension.state == "loaded":
                return Outcome(extension=extension)
            fresh = dataclasses.replace(extension, state="found", error="", traceback="")
            others = [each for each in self._listed.values() if each.state == "loaded"]
            checked = next(each for each in finding.in_order([*others, fresh]) if each.name == name)
            self._listed[name] = checked
            if checked.state == "found":
                self._load(checked) if checked.own else self._load_guest(checked)
            return Outcome(extension=self._listed[name], later=self._at_a_restart(name))

    def unload(self, name: str) -> Outcome:
        """Take out everything it added. Raises NotFound, BadRequest where others need it."""
        with self._guard:
            extension = self.get(name)
            if extension.state != "loaded":
                return Outcome(extension=extension)
            needed = [
                each.name
                for each in self.all()
                if each.state == "loaded" and extension.names & {other.casefold() for other in each.manifest.requires}
            ]
            if needed:
                raise BadRequest(f"{name} is needed by {', '.join(needed)}: unload that first.")
            later = self._at_a_restart(name)
            failures = self._withdrawn(extension)
            self._listed[name] = dataclasses.replace(extension, state="disabled", settings=())
            return Outcome(extension=self._listed[name], later=later, failures=tuple(failures))

    def reload(self, name: str) -> Outcome:
        """Unload it and read its files again."""
        with self._guard:
            before = self.unload(name)
            after = self.load(name)
            return dataclasses.replace(
                after, later=tuple(dict.fromkeys((*before.later, *after.later))), failures=before.failures
            )

    def disable(self, name: str) -> Outcome:
        """Unload it, now and at the next starts. Raises as `unload`, and BadRequest where settings are frozen."""
        extension = self.get(name)
        state.disable(self._house.options, extension)
        return self.unload(name)

    def enable(self, name: str) -> Outcome:
        """Load it, now and at the next starts. Raises as `load`, and BadRequest where settings are frozen."""
        extension = self.get(name)
        state.enable(self._house.options, extension)
        return self.load(name)

    def _found(self) -> list[Extension]:
        accepts = self.guests.accepts if self.guests is not None else lambda folder: False
        return finding.find(self._folders, shipped=self._shipped, guest=accepts)

    def _refresh(self) -> None:
        """Folders that came since are there too, those that went are not; manifests of what is not loaded are read
        again.
        """
        found = {each.name: each for each in self._found()}
        for name, known in list(self._listed.items()):
            if name not in found and known.state != "loaded":
                del self._listed[name]
        for name, each in found.items():
            before = self._listed.get(name)
            if before is None or before.state == "found":
                self._listed[name] = each
            elif before.state != "loaded" and each.state == "found":
                told: dict[str, Any] = {"state": before.state, "error": before.error, "traceback": before.traceback}
                self._listed[name] = dataclasses.replace(each, **told)
            elif before.state != "loaded":
                self._listed[name] = each

    def _disable_breaker(self, found: Sequence[Extension]) -> None:
        """One that ended the program while it was loaded is not tried again."""
        name = self._marker.left()
        breaker = next((each for each in found if each.name == name), None)
        if breaker is None:
            return
        log.error("The extension %s: %s", name, state.BROKE)
        try:
            state.disable(self._house.options, breaker)
        except EaselError as error:
            log.error("%s", error)
        self._broken = name

    def _wanted(self, found: Sequence[Extension]) -> list[Extension]:
        wanted = Wanted.of(self._house.options, self._flags)
        in_use = []
        for each in found:
            refusal = state.BROKE if each.name == self._broken else wanted.refusal(each)
            if refusal:
                self._listed[each.name] = dataclasses.replace(each, state="disabled", error=refusal)
            else:
                in_use.append(each)
        return finding.in_order(in_use)

    def _load(self, extension: Extension) -> None:
        """Run its `register`; a failure leaves nothing behind but its words."""
        missing = [name for name in extension.manifest.requires if not self._is_loaded(name)]
        if missing:
            names = ", ".join(f'"{name}"' for name in missing)
            self._listed[extension.name] = extension.failed(f"It needs {names}, which could not be loaded.")
            return
        api = ExtensionApi(extension, self._house, self._flags)
        started = time.perf_counter()
        with self._marker.loading(extension.name):
            try:
                loading.register(extension)(api)
            except (Exception, SystemExit) as error:
                api.withdraw()
                loading.forget(extension)
                words = str(error) if isinstance(error, EaselError) else f"{type(error).__name__}: {error}"
                log.error("The extension %s cannot be loaded: %s", extension.name, words)
                self._listed[extension.name] = extension.failed(words, traceback.format_exc())
                return
        self._apis[extension.name] = api
        self._listed[extension.name] = dataclasses.replace(extension, state="loaded", settings=tuple(api.settings))
        self.seconds[extension.name] = time.perf_counter() - started

    def _is_loaded(self, name: str) -> bool:
        return any(name.casefold() in each.names and each.state == "loaded" for each in self._listed.values())

    def _load_guests(self, extensions: Sequence[Extension]) -> None:
        if self.guests is None:
            return
        for extension in extensions:
            self._load_guest(extension)
        self.guests.loaded()
        for extension in extensions:
            self._tell_settings(extension.name)

    def _load_guest(self, extension: Extension) -> None:
        """One of A1111's; what of it works stays, also where some of its scripts failed."""
        assert self.guests is not None
        translations = self._house.additions.translations
        with self._marker.loading(extension.name):
            guest = self.guests.load(extension.folder)
        undo: list[Callable[[], object]] = [guest.remove]
        for language, path in guest.localizations.items():
            undo.append(translations.add(Translation(name=language, texts=_texts_of(path))))
        self._guests[extension.name] = undo
        if guest.error:
            self._listed[extension.name] = extension.failed(guest.error, guest.traceback)
        else:
            self._listed[extension.name] = dataclasses.replace(extension, state="loaded")
        self._tell_settings(extension.name)

    def _tell_settings(self, name: str) -> None:
        """The settings that one of A1111's has declared; some do so when all are there."""
        assert self.guests is not None
        listed = self._listed[name]
        self._listed[name] = dataclasses.replace(listed, settings=tuple(self.guests.settings(listed.folder)))

    def _tell_failures(self) -> None:
        """What code of A1111's extensions failed at after it was loaded: these stay loaded, with its traceback."""
        for name in self._guests if self.guests is not None else ():
            listed = self._listed[name]
            failed = self.guests.failures(listed.folder) if self.guests is not None and listed.state == "loaded" else ()
            if failed:
                first = failed[-1].splitlines()
                words = f"{first[0].partition(': ')[0]}: {first[-1]}"
                self._listed[name] = dataclasses.replace(listed, error=words, traceback="\n".join(failed))

    def _at_a_restart(self, name: str) -> tuple[str, ...]:
        """What of a loaded one the built page does not take or give back."""
        if not self._page_built:
            return ()
        if name in self._guests:
            return ("its widgets and tabs",)
        api = self._apis.get(name)
        return tuple(dict.fromkeys(api.later)) if api is not None else ()

    def _withdrawn(self, extension: Extension) -> list[str]:
        """Take out everything -> what failed at it."""
        if extension.name in self._guests:
            for undo in reversed(self._guests.pop(extension.name)):
                undo()
            return []
        failures = self._apis.pop(extension.name).withdraw()
        loading.forget(extension)
        return failures


def _texts_of(path: Path) -> Callable[[], Mapping[str, str]]:
    def texts() -> Mapping[str, str]:
        try:
            found = json.loads(path.read_text("utf-8-sig"))
        except (OSError, ValueError) as error:
            log.warning("The localization %s cannot be read: %s", path, error)
            return {}
        return {str(text): str(told) for text, told in found.items()} if isinstance(found, dict) else {}

    return texts
