"""What an extension is handed: `def register(app: ExtensionApi) -> None` in its extension.py.

Everything that is added through it is taken out again when the extension is unloaded, in the reverse order. What is
offered elsewhere in the program is re-exported here, so that an author imports from this module alone.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modules.core.errors import BadRequest, DamagedFile, EaselError, Interrupted, NotFound
from modules.core.hooks import Moment
from modules.generate.postprocess import Piece, Step, Tools
from modules.generate.scripts.registry import TABS, AlwaysOn, Argument, Kind, Menus, Script, Tab, Work
from modules.loading.family import Family
from modules.loading.upscale.catalog import Upscaler
from modules.plugins.extension import Extension
from modules.plugins.house import House
from modules.prompts.network_tags import Tag
from modules.samplers.catalog import Sampler, Scheduler
from modules.settings.flags import Flags
from modules.settings.options import Option, Snapshot
from modules.web.additions import Label, PageFile, PageTab, Translation

if TYPE_CHECKING:
    from fastapi import APIRouter
    from PIL.Image import Image

    from modules.generate.moments import Moments, NetworksApplied, Planned
    from modules.generate.plan import Plan
    from modules.generate.scripts.axes import Axis
    from modules.generate.studio import Studio

__all__ = [
    "TABS",
    "AlwaysOn",
    "Argument",
    "BadRequest",
    "DamagedFile",
    "EaselError",
    "ExtensionApi",
    "Family",
    "Interrupted",
    "Kind",
    "Menus",
    "NotFound",
    "Option",
    "Panel",
    "Piece",
    "Sampler",
    "Scheduler",
    "Script",
    "Step",
    "Tab",
    "Tag",
    "Tools",
    "Upscaler",
    "flag",
    "number",
]

Event = TypeVar("Event")
SCRIPTS, STYLES = (".js", ".mjs"), (".css",)


def flag(name: str, label: str, default: bool = False, *, infotext: str = "", help: str = "") -> Argument:
    """A box to tick."""
    return Argument(name=name, label=label, kind="bool", default=default, infotext=infotext, help=help)


def number(
    name: str, label: str, default: float, least: float, most: float, step: float, *, infotext: str = "", help: str = ""
) -> Argument:
    """A slider; of whole numbers where default and step are whole."""
    kind: Kind = "int" if isinstance(default, int) and isinstance(step, int) else "float"
    return Argument(
        name=name,
        label=label,
        kind=kind,
        default=default,
        minimum=least,
        maximum=most,
        step=step,
        infotext=infotext,
        help=help,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """Widgets that an always-on script makes itself. build(tab): makes them with Gradio inside the open page -> the
    components whose values count, in order; gather: those values -> its arguments; spread: values of arguments by name,
    from an infotext (none: it says nothing of the script) -> values of those components by their place.
    """

    build: Callable[[Tab], Sequence[Any]]
    gather: Callable[[list[Any]], list[Any]]
    spread: Callable[[Mapping[str, Any]], Mapping[int, Any]]


class ExtensionApi:
    """The program as an extension sees it while `register` runs, and afterwards."""

    def __init__(self, extension: Extension, house: House, flags: Flags | None = None) -> None:
        self._flags = flags or Flags()
        self._extension = extension
        self._house = house
        self._undo: list[Callable[[], object]] = []
        self.later: list[str] = []
        """What of it only a restart of the program takes out, in words."""
        self.settings: list[str] = []
        """Keys of its settings."""

    # --- what there is

    @property
    def name(self) -> str:
        """The extension's: its folder's."""
        return self._extension.name

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self._extension.folder

    @property
    def data(self) -> Path:
        """A folder for what it keeps, in the user's data; made when first asked for."""
        folder = self._house.data / "extension-data" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def user_data(self) -> Path:
        """The user's folder: settings, outputs, what is shared by extensions."""
        return self._house.data

    @property
    def models(self) -> Path:
        """The folder of models (--models-dir): what the extension wants the user to put into a folder below it."""
        return self._house.models or self._house.data / "models"

    @property
    def log(self) -> logging.Logger:
        """Python's logger in its name."""
        return logging.getLogger(f"easel.{self.name}")

    @property
    def moments(self) -> Moments:
        """Every moment of making a picture; see modules/generate/moments.py."""
        return self._house.moments

    @property
    def options(self) -> Snapshot:
        """All settings as they are now. In a job, read `plan.options`: those that the job was queued with."""
        return self._house.options.snapshot()

    @property
    def flags(self) -> Flags:
        """The command line that the program was started with."""
        return self._flags

    @property
    def studio(self) -> Studio:
        """What makes pictures: library, models, networks, upscalers. Not in `register`: its first use imports torch."""
        return self._house.studio()

    # --- what can be added

    def on(self, moment: Moment[Event], listener: Callable[[Event], None], *, order: int = 0) -> None:
        """Call `listener(event)` at this moment of every job; smaller orders first. What it raises is logged in the
        extension's name and the job goes on.
        """
        self._later(moment.add(listener, owner=self.name, order=order))

    def sampler(self, sampler: Sampler) -> None:
        """One more sampling method. Raises ValueError for a name that is taken, as all of these do."""
        self._later(self._house.catalog.add_sampler(sampler))

    def scheduler(self, scheduler: Scheduler) -> None:
        """One more schedule of noise levels."""
        self._later(self._house.catalog.add_scheduler(scheduler))

    def upscaler(self, name: str, once: Callable[[Image, float], Image], *, scale: float = 4) -> None:
        """One more upscaler: once(picture, wanted scale) -> a larger picture, by a factor of its own."""
        self._later(self._house.upscalers.add(Upscaler(name=name, once=once, scale=scale)))

    def script(self, script: Script) -> None:
        """A script for the menu "Script": it makes the cells of a job itself. See modules/generate/scripts."""
        self._later(self._house.scripts.add(script))
        self.later.append("widgets of its scripts")

    def always_on(
        self,
        title: str,
        parameters: Sequence[Argument],
        work: Work,
        *,
        tabs: tuple[Tab, ...] = TABS,
        check: Callable[[Mapping[str, Any]], None] = lambda values: None,
        wanted: Callable[[Mapping[str, Any]], bool] = lambda values: bool(values.get("enabled", True)),
        accept: Callable[[list[Any]], list[Any]] = lambda values: values,
        panel: Panel | None = None,
    ) -> None:
        """Work for jobs that ask for it, with widgets below the menu "Script".

        parameters: described once; widgets, `alwayson_scripts`, /script-info, what infotexts say and what is pasted
        from them follow. work(values by name, studio, request) is called when a job begins whose values are `wanted`
        (usually: "enabled" is ticked); methods of what it returns are called at the moments after which they are named,
        in this job alone. check: raises BadRequest for values that do not go together. accept: arguments as a request
        brings them -> as a job keeps them, in JSON (pictures go into `studio.inputs`); it may raise BadRequest.
        panel: widgets of its own in place of those of the parameters.
        """

        def checked(values: Sequence[Any]) -> None:
            for tab in tabs:
                found = row.read(tab, self._house.menus, values)
                if wanted(found):
                    check(found)

        row = AlwaysOn(
            title=title,
            name=title.lower(),
            arguments=lambda tab, menus: parameters,
            tabs=tabs,
            check=checked,
            work=work,
            wanted=wanted,
            owner=self.name,
            accept=accept,
            build=panel.build if panel else None,
            gather=panel.gather if panel else None,
            spread=panel.spread if panel else None,
        )
        self._later(self._house.scripts.add_always_on(row))
        self.later.append("widgets of its scripts")

    def axis(self, axis: Axis) -> None:
        """One more thing that an X/Y/Z plot can vary."""
        self._later(self._house.axes.add(axis))

    def option(self, option: Option, *, section: str = "") -> None:
        """A setting; `section` is the title of its section, by default the extension's name. Read it from
        `self.options` or, in a job, from `plan.options`.
        """
        registry = self._house.options.registry
        key = option.section or self.name
        placed = dataclasses.replace(option, section=key, works=True)
        registry.add(placed, title=section or self._extension.manifest.name or self.name)
        self._later(lambda: registry.remove(placed.key))
        self.settings.append(placed.key)

    def honour(self, *keys: str) -> None:
        """Settings of A1111's that Easel knows and nothing reads: the extension does, so they are shown in Settings.
        Raises ValueError for a key that is unknown or that works already.
        """
        registry = self._house.options.registry
        for key in keys:
            if key not in registry or registry[key].works:
                raise ValueError(f'the setting "{key}" works already, or is none of A1111\'s')
            before = registry[key]
            registry.replace(dataclasses.replace(before, works=True))
            self._later(functools.partial(registry.replace, before))
            self.settings.append(key)

    def route(self, router: APIRouter) -> None:
        """Routes of FastAPI. They stand behind the logins and checks of all others; below /easel/ behind --api-auth,
        elsewhere behind --gradio-auth. EaselError becomes an answer with its words. Raises EaselError where its
        manifest declares permissions and "routes" is not among them.
        """
        allowed = self._extension.manifest.permissions
        if allowed is not None and "routes" not in allowed:
            raise EaselError(
                f'{self.name} adds routes, and the permissions in its extension.toml do not have "routes": its author '
                "must name it there."
            )
        self._later(self._house.routes.add(router))

    def tab(self, id: str, title: str, build: Callable[[], object]) -> None:
        """A tab of the page: `build` makes its widgets with Gradio when the page is built."""
        self._later(self._house.additions.tabs.add(PageTab(id=id, title=title, build=build, owner=self.name)))
        self.later.append(f'its tab "{title}"')

    def network(self, word: str, apply: Callable[[NetworksApplied, Sequence[Tag]], None]) -> None:
        """A kind of extra networks: `<word:…>` in prompts. apply(event, its tags) is called for every batch, also
        without any, so that what the last batch had can be taken off `event.model`.
        """
        words = self._house.network_words
        if word in words or Tag(word, (), {}).kind is not None:
            raise ValueError(f'"<{word}:…>" in prompts means something already')
        words.add(word)
        self._later(lambda: words.discard(word))

        def applied(event: NetworksApplied) -> None:
            apply(event, [tag for tag in event.tags if tag.word == word])

        self.on(self.moments.networks_applied, applied)

    def family(self, family: Family) -> None:
        """One more model family: how it is recognised, and who builds it ("module:function"). See modules/loading."""
        from modules.loading import families

        self._later(families.add(family))

    def infotext(
        self,
        label: str,
        write: Callable[[Plan, int], Any] | None = None,
        *,
        field: str = "",
        read: Callable[[str], Any] = str,
    ) -> None:
        """A field of infotexts. write(plan, index of the picture) -> its value, None for none; field: the form's field
        that `read` of it fills when it is pasted ("steps", "prompt", … as in modules/web/ui/fields.py).
        """
        if field:
            self._later(self._house.additions.labels.add(Label(label=label, field=field, read=read)))
        if write is None:
            return

        def planned(event: Planned) -> None:
            def tell(plan: Plan, index: int) -> Mapping[str, Any]:
                value = write(plan, index)
                return {} if value is None else {label: value}

            event.plan = dataclasses.replace(event.plan, tellers=(*event.plan.tellers, tell))

        self.on(self.moments.planned, planned)

    def page_file(self, file: str | Path) -> None:
        """A JavaScript file (.js, .mjs) or style sheet (.css) of its folder, loaded by the page."""
        path = (self.folder / file).resolve()
        if path.suffix not in (*SCRIPTS, *STYLES):
            raise ValueError(f"{path.name}: a page loads {', '.join((*SCRIPTS, *STYLES))}")
        if not path.is_file():
            raise DamagedFile(f"{path} is not there.")
        self._later(self._house.additions.files.add(PageFile(path=path, owner=self.name)))

    def translation(self, language: str, texts: Mapping[str, str]) -> None:
        """Texts of the page in a language: English -> translation. They join those that the language has."""
        self._later(self._house.additions.translations.add(Translation(name=language, texts=lambda: texts)))

    def step(self, step: Step) -> None:
        """A step of postprocessing: in the Extras tab's chain and the API's `postprocessing`."""
        self._later(self._house.steps.add(step))

    def captioner(self, name: str, caption: Callable[[Image], str]) -> None:
        """One that puts pictures into words, for the step "Caption" of the Extras tab."""
        captioners = self._house.captioners
        if name in captioners:
            raise ValueError(f'there is a captioner "{name}" already')
        captioners[name] = caption
        self._later(lambda: captioners.pop(name, None))

    def at_unload(self, undo: Callable[[], object]) -> None:
        """Call this when the extension is unloaded: for what it did by itself."""
        self._later(undo)

    # --- for the desk

    def withdraw(self) -> list[str]:
        """Take out everything, the last first -> what failed at it, in words."""
        failures = []
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as error:
                self.log.exception("Unloading it failed in part.")
                failures.append(f"{type(error).__name__}: {error}")
        return failures

    def _later(self, undo: Callable[[], object]) -> None:
        self._undo.append(undo)
