"""Pictures that jobs start from, kept as files so that a job row names them in 64 letters and a restart loses none.

The API and the page put them in before they submit, scripts put in what they made; `generate.img2img` opens them.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

from PIL import Image

from modules.core.errors import EaselError, NotFound
from modules.core.store import explain_disk, write_atomically
from modules.imaging.reading import read_picture

_NAME = re.compile(r"[0-9a-f]{64}")
KEPT = 500
"""Pictures that no waiting job needs and that stay nevertheless, the newest ones."""


class Inputs:
    """A folder of picture files named by the SHA-256 of their bytes: the same picture is there once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, data: bytes, *, field: str) -> str:
        """Keep a picture file -> its name. Raises BadRequest(field) if it is none, EaselError if the disk refuses."""
        read_picture(data, field=field)
        return self._keep(data)

    def add_image(self, image: Image.Image) -> str:
        """Keep a picture -> its name."""
        target = io.BytesIO()
        image.save(target, format="PNG", compress_level=1)
        return self._keep(target.getvalue())

    def open(self, name: str, *, field: str) -> Image.Image:
        """The picture, as `read_picture` gives it. Raises NotFound(field) when it is not there any more."""
        return read_picture(self.read(name, field=field), field=field)

    def read(self, name: str, *, field: str) -> bytes:
        """The file as it came. Raises NotFound(field) when it is not there any more."""
        try:
            data = (self.folder / name).read_bytes() if _NAME.fullmatch(name) else None
        except OSError:
            data = None
        if data is None:
            raise NotFound("Picture", name, field=field, hint="Send it again: the job cannot be done without it.")
        return data

    def sweep(self, needed: Callable[[], Collection[str]], *, keep: int = KEPT) -> None:
        """Remove all but the needed ones and the newest `keep` others. needed: asked only where there are more."""
        try:
            entries = list(os.scandir(self.folder))
            if len(entries) <= keep:
                return
            names = needed()
            spare = [entry for entry in entries if entry.name not in names]
            spare.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
            for entry in spare[keep:]:
                os.unlink(entry.path)
        except FileNotFoundError:  # another process swept too
            return

    def _keep(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        path = self.folder / name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.exists():
                os.utime(path)
            else:
                write_atomically(path, data)
        except OSError as error:
            raise EaselError(explain_disk(error, f"The picture cannot be kept in {self.folder}")) from error
        return name
