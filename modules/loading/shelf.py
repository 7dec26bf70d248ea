"""The models in memory: the one in use, and as many idle ones in RAM as the option `sd_checkpoint_cache` allows."""

from __future__ import annotations

import gc
import logging
from collections import OrderedDict

import torch

from modules.core.device import Placement
from modules.loading import loader
from modules.loading.library import Checkpoint
from modules.loading.loader import Model
from modules.loading.residency import Residency

log = logging.getLogger(__name__)


class Shelf:
    """Loads models when they are asked for. Used by one worker thread."""

    def __init__(self, placement: Placement, *, residency: str = "normal") -> None:
        self.placement = placement
        self._residency = residency
        self._models: OrderedDict[tuple[str, int, int], Model] = OrderedDict()

    def get(self, checkpoint: Checkpoint, *, keep: int = 0) -> Model:
        """The model of a checkpoint, loaded if need be; `keep` more may stay in RAM. Raises DamagedFile."""
        key = (str(checkpoint.path), checkpoint.size, checkpoint.mtime)
        found = self._models.pop(key, None)
        if found is None:
            self._make_room(keep)
            found = loader.load(checkpoint, self.placement, Residency(self._residency, self.placement.device))
        else:
            self._send_away()
            found.residency.enter()
        self._models[key] = found
        return found

    def clear(self) -> None:
        """Forget all models."""
        self._models.clear()
        self._collect()

    def _make_room(self, keep: int) -> None:
        """Before loading another model: send the newest `keep` to RAM and forget the rest."""
        while len(self._models) > keep:
            self._models.popitem(last=False)
        self._send_away()
        self._collect()

    def _send_away(self) -> None:
        for model in self._models.values():
            model.residency.leave()

    def _collect(self) -> None:
        gc.collect()
        if self.placement.device.type == "cuda":
            torch.cuda.empty_cache()
