"""The models in memory: the one in use, and as many idle ones in RAM as the option `sd_checkpoint_cache` allows."""

from __future__ import annotations

import gc
import logging
from collections import OrderedDict

import torch
from torch import nn

from modules.core.device import Placement
from modules.loading import loader, storage, vae_file
from modules.loading.companions import NOWHERE, Companions
from modules.loading.library import Checkpoint
from modules.loading.loader import Model
from modules.loading.residency import Residency
from modules.loading.vaes import VaeFile

log = logging.getLogger(__name__)


class Shelf:
    """Loads models when they are asked for. Used by one worker thread.

    residency: see `Residency`; for_xl: that of the SDXL line, if it is another; companions: where parts may lie that a
    file lacks.
    """

    def __init__(
        self,
        placement: Placement,
        *,
        residency: str = "normal",
        for_xl: str | None = None,
        companions: Companions = NOWHERE,
    ) -> None:
        self.placement = placement
        self._for_xl = for_xl or residency
        self._companions = companions
        self._residency = residency
        self._models: OrderedDict[tuple[str, int, int, bool, bool], Model] = OrderedDict()
        self._vaes: OrderedDict[tuple[str, int, int], nn.Module] = OrderedDict()

    def get(
        self,
        checkpoint: Checkpoint,
        *,
        keep: int = 0,
        vae: VaeFile | None = None,
        keep_vaes: int = 0,
        eight_bits: bool = False,
        packed: bool = True,
    ) -> Model:
        """The model of a checkpoint, loaded if need be; `keep` more may stay in RAM. Raises DamagedFile.

        vae: the file whose VAE it has now, None: its own; `keep_vaes` more stay in RAM. eight_bits: its denoiser's
        weights are kept so (see `storage`); packed: those of quantized files stay as they are there.
        """
        key = (str(checkpoint.path), checkpoint.size, checkpoint.mtime, eight_bits, packed)
        found = self._models.pop(key, None)
        self._make_room(keep)
        if found is None:
            large = (checkpoint.family or "").startswith("sdxl")
            residency = Residency(self._for_xl if large else self._residency, self.placement.device)
            found = loader.load(checkpoint, self.placement, residency, self._companions, keep_packed=packed)
            if eight_bits:
                storage.compress(found.unet, found.placement.dtype)
        else:
            found.residency.enter()
        self._models[key] = found
        self._fit(found, vae, keep_vaes)
        return found

    @property
    def holds(self) -> int:
        """How many models are in memory."""
        return len(self._models)

    def clear(self) -> None:
        """Forget all models."""
        self._models.clear()
        self._vaes.clear()
        self._collect()

    def _fit(self, model: Model, file: VaeFile | None, keep: int) -> None:
        """Give a model the VAE that is asked for; no work when it has it."""
        key = (str(file.path), file.size, file.mtime) if file else None
        if model.vae.file != key:
            network = None if file is None or key is None else self._vae(model, file, key)
            model.vae.put(network, key)
            model.residency.replace("vae", model.vae.network)
        if key:
            self._vaes[key] = model.vae.network
            self._vaes.move_to_end(key)
        while len(self._vaes) > (keep + 1 if keep else 0):
            self._vaes.popitem(last=False)

    def _vae(self, model: Model, file: VaeFile, key: tuple[str, int, int]) -> nn.Module:
        found = self._vaes.get(key)
        if found is None:
            found = vae_file.read(file, model.family, model.placement, torch.device("cpu"))
        return found

    def _make_room(self, keep: int) -> None:
        """Of the models that are not in use: send the newest `keep` to RAM and forget the rest."""
        dropped = len(self._models) > keep
        while len(self._models) > keep:
            self._models.popitem(last=False)
        moved = [model.residency.leave() for model in self._models.values()]
        if dropped or any(moved):
            self._collect()

    def _collect(self) -> None:
        gc.collect()
        if self.placement.device.type == "cuda":
            torch.cuda.empty_cache()
