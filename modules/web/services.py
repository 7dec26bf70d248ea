"""What the composition root hands to the web: the one argument of every route builder and every tab."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from modules.samplers.catalog import Catalog, builtin

if TYPE_CHECKING:
    from modules.core.paths import Paths
    from modules.core.types import JsonObject
    from modules.generate.extras import Extras
    from modules.generate.extras_jobs import Upload
    from modules.generate.postprocess import Steps
    from modules.generate.request import Generation
    from modules.generate.scripts.registry import Menus, Scripts
    from modules.imaging.inputs import Inputs
    from modules.jobs.queue import Queue
    from modules.loading.faces import FaceRestorers
    from modules.loading.library import Library
    from modules.loading.upscale.catalog import Upscalers
    from modules.merging.request import Merge
    from modules.networks.apply import Networks
    from modules.networks.embeddings import Embedding
    from modules.prompts.styles import StyleBook
    from modules.settings.flags import Flags
    from modules.settings.options import Options


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


class ListEmbeddings(Protocol):
    """Textual inversions that the chosen checkpoint can use, and those that it cannot."""

    def __call__(self) -> tuple[list[Embedding], list[Embedding]]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Services:
    """The running program as the web layer sees it."""

    flags: Flags
    paths: Paths
    options: Options
    library: Library
    queue: Queue
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
    catalog: Catalog = dataclasses.field(default_factory=builtin)
    allowed_folders: tuple[Path, ...] = ()
