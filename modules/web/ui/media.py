"""Pictures as the page shows them: small copies, and addresses that the page's own file route serves.

Only files below the served folders have an address; of others (a user's folder of models) a copy is kept in the cache.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from modules.core.errors import EaselError
from modules.core.store import write_atomically
from modules.imaging.reading import read_picture

SIDE = 320
KEPT = 4000
"""Small copies in the cache; the oldest go first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Media:
    """cache: where copies lie; served: folders whose files have addresses; root: where the page is ("" or "/easel")."""

    cache: Path
    served: Sequence[Path]
    root: str = ""

    def small(self, path: Path, *, side: int = SIDE) -> str:
        """The address of a copy that fits side x side pixels, "" where there is no picture."""
        try:
            target = self._place(path, f"{side}.webp")
            if not target.is_file():
                self._write(target, _shrunk(path, side))
        except (OSError, EaselError):
            return ""
        return self._address(target)

    def known(self, path: Path, *, side: int = SIDE) -> str | None:
        """`small` without any work: None where the copy is still to be made."""
        try:
            target = self._place(path, f"{side}.webp")
        except OSError:
            return ""
        return self._address(target) if target.is_file() else None

    def whole(self, path: Path) -> str:
        """The address of the file itself, "" where it is gone."""
        try:
            real = path.resolve(strict=True)
            if any(real.is_relative_to(folder.resolve()) for folder in self.served):
                return self._address(path)
            target = self._place(path, "whole" + path.suffix.lower())
            if not target.is_file():
                self.cache.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(real, target)
        except OSError:
            return ""
        return self._address(target)

    def _place(self, path: Path, ending: str) -> Path:
        facts = path.stat()
        name = hashlib.sha256(f"{path}\n{facts.st_size}\n{facts.st_mtime_ns}".encode("utf-8", "replace")).hexdigest()
        return self.cache / f"{name[:40]}-{ending}"

    def _write(self, target: Path, data: bytes) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        write_atomically(target, data)

    def _address(self, path: Path) -> str:
        return f"{self.root}/gradio_api/file={urllib.parse.quote(path.as_posix())}"

    def trim(self, keep: int = KEPT) -> None:
        """Forget all but the newest copies."""
        if not self.cache.is_dir():
            return
        found = sorted(self.cache.iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True)
        for entry in found[keep:]:
            entry.unlink(missing_ok=True)


def _shrunk(path: Path, side: int) -> bytes:
    image = read_picture(path.read_bytes(), field="preview")
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    target = io.BytesIO()
    image.save(target, "WEBP", quality=82)
    return target.getvalue()
