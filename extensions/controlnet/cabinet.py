"""Loaded control models and image encoders, kept between jobs: as many as `control_net_model_cache_size` says."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from modules.core.device import Placement

from . import layouts, vision
from .files import Files
from .ip_adapter import Adapter
from .layouts import Net
from .vision import Encoder


class Cabinet:
    """Used by the one worker thread. files: where they are."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._nets: OrderedDict[object, Any] = OrderedDict()

    def net(self, name: str, placement: Placement, *, keep: int) -> Net:
        """By a file's name; at least this one and `keep` in all stay loaded. Raises NotFound, DamagedFile."""
        path = self.files.find(name).path
        found: Net = self._kept(path, placement.device, placement.dtype, keep, lambda: layouts.load(path, placement))
        return found

    def encoder(self, adapter: Adapter, placement: Placement, *, keep: int) -> Encoder:
        """The one that an IP-Adapter needs. Raises NotFound, DamagedFile."""
        files = self.files
        path = vision.find(files.encoders(), files.encoder_folder, width=adapter.wants, plus=adapter.plus)
        device, dtype = placement.device, placement.dtype
        found: Encoder = self._kept(path, device, dtype, keep, lambda: vision.load(path, device, dtype))
        return found

    def clear(self) -> None:
        """Let everything go."""
        self._nets.clear()

    def _kept(self, path: Path, device: torch.device, dtype: torch.dtype, keep: int, load: Callable[[], Any]) -> Any:
        facts = path.stat()
        key = (str(path), facts.st_size, facts.st_mtime_ns, str(device), dtype)
        found = self._nets.pop(key, None)
        while len(self._nets) >= max(keep, 1):
            self._nets.popitem(last=False)
        self._nets[key] = load() if found is None else found
        return self._nets[key]
