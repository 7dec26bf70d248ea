"""Which folders a visitor may name: any, where only this machine is served; else those that the owner opened.

The owner's own settings file may name what it likes. A visitor of a server that others reach has pictures written
below the outputs, `log/` (A1111: kept pictures) and the folders of --gradio-allowed-path, and read from there.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest
from modules.web.security.exposure import reachable

if TYPE_CHECKING:
    from modules.core.paths import Paths
    from modules.settings.flags import Flags

GUARDED = ("api_enable_requests", "api_forbid_local_requests", "control_net_models_path", "font")
"""Settings that only this machine, or the settings file, may change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folders:
    """free: no rule holds; roots: what is open otherwise; data: where relative paths begin."""

    free: bool
    data: Path
    roots: tuple[Path, ...]

    @classmethod
    def of(cls, flags: Flags, paths: Paths) -> Folders:
        opened = (paths.outputs, paths.data / "log", *map(Path, flags.gradio_allowed_path))
        return cls(free=not reachable(flags), data=paths.data, roots=opened)

    def check(self, name: str, *, field: str) -> None:
        """Raises BadRequest(field) for a folder that a visitor may not name; links and ".." are followed first."""
        if self.free or not name.strip():
            return
        real = os.path.realpath(self.data / name.strip())
        if not any(_below(real, os.path.realpath(root)) for root in self.roots):
            hint = "Its owner can open more with --gradio-allowed-path."
            raise BadRequest(
                f"{field}: this server writes and reads below its outputs folder only. {hint}", field=field
            )

    def check_settings(self, changes: Mapping[str, Any], now: Mapping[str, Any], *, prefix: str = "") -> None:
        """Raises BadRequest for settings that would lead elsewhere; what is so already may be sent back as it is."""
        if self.free:
            return
        for key, value in changes.items():
            if key in now and now[key] == value:
                continue
            if key.startswith("outdir_") and isinstance(value, str):
                self.check(value, field=prefix + key)
            elif key in GUARDED:
                told = "is changed on the machine itself, in config.json"
                raise BadRequest(f"{prefix}{key}: {told}, where others reach the server.", field=prefix + key)


def _below(path: str, root: str) -> bool:
    try:
        return os.path.commonpath((path, root)) == root
    except ValueError:  # another drive
        return False
