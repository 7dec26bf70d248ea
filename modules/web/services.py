"""What the composition root hands to the web: the one argument of every route builder and every tab."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from modules.samplers.catalog import Catalog, builtin

if TYPE_CHECKING:
    from modules.core.paths import Paths
    from modules.core.types import JsonObject
    from modules.generate.request import Txt2Img
    from modules.jobs.queue import Queue
    from modules.loading.library import Library
    from modules.settings.flags import Flags
    from modules.settings.options import Options


class SubmitTxt2Img(Protocol):
    """Check a request, freeze today's options with it and queue it -> job id. Raises BadRequest, NotFound."""

    def __call__(self, request: Txt2Img, *, id: str | None = None, owner: str = "") -> str: ...


class Memory(Protocol):
    """RAM and accelerator memory in bytes, in the shape of A1111's /sdapi/v1/memory."""

    def __call__(self) -> JsonObject: ...


class CountTokens(Protocol):
    """(tokens in the text, tokens that its chunks hold: 75, 150, …), for the counter beside the prompt."""

    def __call__(self, text: str) -> tuple[int, int]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Services:
    """The running program as the web layer sees it."""

    flags: Flags
    paths: Paths
    options: Options
    library: Library
    queue: Queue
    version: str
    submit_txt2img: SubmitTxt2Img
    memory: Memory
    count_tokens: CountTokens
    catalog: Catalog = dataclasses.field(default_factory=builtin)
    allowed_folders: tuple[Path, ...] = ()
