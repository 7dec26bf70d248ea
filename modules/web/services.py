"""What the composition root hands to the web: the one argument of every route builder and every tab."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from modules.core.errors import NotFound
from modules.samplers.catalog import Catalog, builtin
from modules.web.additions import Additions
from modules.web.installing import Installing, NoInstalling
from modules.web.security.fetching import Policy
from modules.web.security.folders import Folders

if TYPE_CHECKING:
    from modules.core.paths import Paths
    from modules.core.types import JsonObject
    from modules.generate.extras import Extras
    from modules.generate.extras_jobs import Upload
    from modules.generate.postprocess import Steps
    from modules.generate.request import Generation
    from modules.generate.scripts.registry import Menus, Scripts
    from modules.imaging.inputs import Inputs
    from modules.jobs.history import History
    from modules.jobs.queue import Queue
    from modules.jobs.tally import Tally
    from modules.jobs.trash import Trash
    from modules.loading.describers import Describers
    from modules.loading.faces import FaceRestorers
    from modules.loading.library import Library
    from modules.loading.upscale.catalog import Upscalers
    from modules.merging.request import Merge
    from modules.networks.apply import Networks
    from modules.networks.embeddings import Embedding
    from modules.networks.training_desk import TrainingDesk
    from modules.prompts.styles import StyleBook
    from modules.settings.flags import Flags
    from modules.settings.options import Options
    from modules.web.webhooks import Sender


class Submit(Protocol):
    """Check a request, and the script that is to carry it out, freeze today's options with it and queue it -> job id.
    Its pictures are in `Services.inputs` already. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile.
    """

    def __call__(
        self,
        request: Generation,
        *,
        script: str | None = None,
        arguments: Sequence[Any] = (),
        id: str | None = None,
        owner: str = "",
    ) -> str: ...


class SubmitExtras(Protocol):
    """Check postprocessing and its pictures, keep them and queue the job -> job id. Raises BadRequest, NotFound."""

    def __call__(
        self, request: Extras, uploads: Sequence[Upload] = (), *, id: str | None = None, owner: str = ""
    ) -> str: ...


class SubmitMerge(Protocol):
    """Check a merge of checkpoints and queue it -> job id. Raises BadRequest, NotFound, DamagedFile."""

    def __call__(self, request: Merge, *, id: str | None = None, owner: str = "") -> str: ...


class Memory(Protocol):
    """RAM and accelerator memory in bytes, in the shape of A1111's /sdapi/v1/memory."""

    def __call__(self) -> JsonObject: ...


class CountTokens(Protocol):
    """(tokens in the text, tokens that its chunks hold: 75, 150, …), for the counter beside the prompt."""

    def __call__(self, text: str) -> tuple[int, int]: ...


class Readiness(NamedTuple):
    """Whether the libraries are loaded, and whether a model is."""

    engine: bool
    model: bool


class ListEmbeddings(Protocol):
    """Textual inversions that the chosen checkpoint can use, and those that it cannot."""

    def __call__(self) -> tuple[list[Embedding], list[Embedding]]: ...


class KnownRepository(Protocol):
    """Where an extension came from; see `plugins.repository`."""

    @property
    def remote(self) -> str: ...
    @property
    def branch(self) -> str: ...
    @property
    def commit(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def date(self) -> int: ...


class KnownManifest(Protocol):
    """What an extension says of itself. permissions: what it needs, None where it says nothing."""

    @property
    def permissions(self) -> Sequence[str] | None: ...


class KnownExtension(Protocol):
    """An extension as lists show it. state: "loaded", "disabled", "failed" or "found"; error: why, in one line."""

    @property
    def name(self) -> str: ...
    @property
    def folder(self) -> Path: ...
    @property
    def builtin(self) -> bool: ...
    @property
    def state(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def traceback(self) -> str: ...
    @property
    def settings(self) -> Sequence[str]: ...
    @property
    def manifest(self) -> KnownManifest: ...
    def repository(self) -> KnownRepository | None: ...


ListExtensions: TypeAlias = Callable[[], Sequence[KnownExtension]]


def no_extension(act: str, name: str) -> list[str]:
    """What `Services.manage_extension` does where there are none: ("enable", "disable" or "reload", name) -> words."""
    raise NotFound("Extension", name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Services:
    """The running program as the web layer sees it.

    end: "stop", "restart" or "kill" the program; startup: seconds that the start took, {"total", "records"}.
    """

    flags: Flags
    paths: Paths
    options: Options
    library: Library
    queue: Queue
    history: History
    trash: Trash
    tally: Tally
    webhooks: Sender
    readiness: Callable[[], Readiness]
    version: str
    submit: Submit
    submit_extras: SubmitExtras
    submit_merge: SubmitMerge
    inputs: Inputs
    upscalers: Upscalers
    steps: Steps
    faces: FaceRestorers
    memory: Memory
    count_tokens: CountTokens
    styles: StyleBook
    menus: Menus
    scripts: Scripts
    networks: Callable[[], Networks]
    embeddings: ListEmbeddings
    training: TrainingDesk
    describers: Describers
    end: Callable[[str], None]
    startup: Mapping[str, Any]
    catalog: Catalog = dataclasses.field(default_factory=builtin)
    additions: Additions = dataclasses.field(default_factory=Additions)
    extensions: ListExtensions = list
    manage_extension: Callable[[str, str], list[str]] = no_extension
    installing: Installing = dataclasses.field(default_factory=NoInstalling)
    allowed_folders: tuple[Path, ...] = ()

    @property
    def folders(self) -> Folders:
        """Which folders a visitor may name."""
        return Folders.of(self.flags, self.paths)

    @property
    def fetching(self) -> Policy:
        """Whether pictures may be named by their address."""
        return Policy.of(self.options.snapshot())
