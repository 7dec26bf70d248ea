"""The upscalers there are: None, Lanczos, Nearest, a row for each file that spandrel reads, and what extensions add.

`generate` and the API share one `Upscalers`. Listing opens no file and imports no torch; a network is read when it is
first used and kept until another one is wanted or `release` is called.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from modules.core.errors import BadRequest, EaselError, NotFound
from modules.imaging import upscale
from modules.loading.upscale import files
from modules.loading.upscale.files import UpscalerFile
from modules.loading.walking import Asked, always

if TYPE_CHECKING:
    from modules.core.device import Placement
    from modules.loading.upscale.networks import Network

NONE, LANCZOS, NEAREST = "None", "Lanczos", "Nearest"
OnTile = Callable[[int, int], None]
MOST_PIXELS = 2**28
"""Of a result: 16384 x 16384. What is larger is a slip of the hand or an attack."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upscaler:
    """A row. once: (picture, wanted scale) -> a larger picture, by a factor of its own; None for a file's network.
    scale: its own factor as far as it is known before it is used.
    """

    name: str
    once: Callable[[Image.Image, float], Image.Image] | None = None
    file: UpscalerFile | None = None
    scale: float = 4

    @property
    def path(self) -> Path | None:
        return self.file.path if self.file else None


BUILT_IN = (
    Upscaler(name=NONE, once=lambda image, scale: image),
    Upscaler(name=LANCZOS, once=lambda image, scale: upscale.by_filter(image, scale, Image.Resampling.LANCZOS)),
    Upscaler(name=NEAREST, once=lambda image, scale: upscale.by_filter(image, scale, Image.Resampling.NEAREST)),
)


class Upscalers:
    """All of them. folders: by the name of their folder below models/; placement: where a part ("esrgan") computes;
    hidden: whether folders count whose names begin with a dot.

    Listing is safe from any thread; upscaling is done by one at a time.
    """

    def __init__(
        self, folders: Mapping[str, Sequence[Path]], placement: Callable[[str], Placement], *, hidden: Asked = always
    ) -> None:
        self.folders = folders
        self._hidden = hidden
        self._placement = placement
        self._added: tuple[Upscaler, ...] = ()
        self._guard = threading.Lock()
        self._at_work = threading.RLock()
        self._network: tuple[tuple[Any, ...], Network] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Look for files again."""
        found = files.scan(self.folders, hidden=self._hidden())
        self._files = tuple(Upscaler(name=file.name, file=file, scale=file.scale) for file in found)

    def rows(self) -> list[Upscaler]:
        """In A1111's order: the three without a model, then the others by name. An added row hides a file's."""
        added = {row.name.casefold() for row in self._added}
        others = [*self._added, *(row for row in self._files if row.name.casefold() not in added)]
        return [*BUILT_IN, *sorted(others, key=lambda row: row.name.casefold())]

    def names(self) -> list[str]:
        return [row.name for row in self.rows()]

    def add(self, row: Upscaler) -> Callable[[], None]:
        """Add a row; returns the function that takes it out again. Raises ValueError for a name that is taken."""
        if row.once is None:
            raise ValueError(f'The upscaler "{row.name}" needs a function.')
        with self._guard:
            if row.name.casefold() in {other.name.casefold() for other in (*BUILT_IN, *self._added)}:
                raise ValueError(f'The name "{row.name}" is taken.')
            self._added = (*self._added, row)

        def remove() -> None:
            with self._guard:
                self._added = tuple(other for other in self._added if other is not row)

        return remove

    def find(self, name: str, *, field: str = "upscaler") -> Upscaler:
        """By name, in any case; new files are found. Raises NotFound(field), with the file to get where it is known."""
        found = self._named(name)
        if found is None:
            self.refresh()
            found = self._named(name)
        if found is None:
            raise NotFound("Upscaler", name, self.names(), field=field, hint=files.hint(name, self.folders))
        return found

    def upscale(
        self, image: Image.Image, scale: float, name: str, options: Mapping[str, Any], *, on_tile: OnTile | None = None
    ) -> Image.Image:
        """The picture about `scale` times as large: sides are rounded down to multiples of 8, as in A1111.

        on_tile(done, all) hears of a network's tiles; what it raises ends the work. Raises NotFound, DamagedFile,
        BadRequest for a size that no memory holds, EaselError where spandrel is missing.
        """
        row = self.find(name)
        _refuse_too_large(image, scale)
        return upscale.towards(image, scale, lambda picture: self._once(row, picture, scale, options, on_tile))

    def to_size(
        self,
        image: Image.Image,
        width: int,
        height: int,
        name: str,
        options: Mapping[str, Any],
        *,
        on_tile: OnTile | None = None,
    ) -> Image.Image:
        """The picture at exactly this size: upscaled where it must grow, then Lanczos, as img2img and hires do it."""
        row = self.find(name)
        scale = max(width / image.width, height / image.height)
        if row.name != NONE and scale > 1:
            image = self.upscale(image, scale, row.name, options, on_tile=on_tile)
        return upscale.resized(image, width, height)

    @property
    def kept(self) -> Network | None:
        """The network in memory."""
        return self._network[1] if self._network else None

    def release(self) -> None:
        """Free the network that was used last; nothing happens if there is none."""
        with self._at_work:
            if self._network is None:
                return
            self._network = None
        _collect()

    def _named(self, name: str) -> Upscaler | None:
        wanted = name.strip().casefold()
        return next((row for row in self.rows() if row.name.casefold() == wanted), None)

    def _once(
        self, row: Upscaler, image: Image.Image, scale: float, options: Mapping[str, Any], on_tile: OnTile | None
    ) -> Image.Image:
        if row.once is not None:
            return row.once(image, scale)
        assert row.file is not None
        kind = row.file.kind
        with self._at_work:
            network = self._loaded(row.file)
            _refuse_too_large(image, network.scale)
            enlarged = upscale.in_tiles(
                np.asarray(image.convert("RGB")),
                network,
                scale=network.scale,
                tile=int(options[kind.tile]),
                overlap=int(options[kind.overlap]),
                align=network.align,
                on_tile=on_tile or (lambda done, all: None),
            )
        return Image.fromarray(enlarged)

    def _loaded(self, file: UpscalerFile) -> Network:
        """The file's network; only one is kept."""
        from modules.loading.upscale import networks

        placement = self._placement(file.kind.part)
        try:
            facts = file.path.stat()
        except OSError as error:
            raise EaselError(f"{file.path} cannot be read: {error.strerror}.") from error
        key = (file.path, facts.st_size, facts.st_mtime_ns, placement)
        if self._network is None or self._network[0] != key:
            self._network = None
            self._network = (key, networks.load(file.path, placement))
        return self._network[1]


def _refuse_too_large(image: Image.Image, scale: float) -> None:
    if image.width * image.height * scale**2 > MOST_PIXELS:
        size = f"{int(image.width * scale)}x{int(image.height * scale)}"
        raise BadRequest(f"Upscaling to {size} is more than 16384x16384 pixels: choose a smaller factor.")


def _collect() -> None:
    """Give freed memory back, if torch was ever used."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
