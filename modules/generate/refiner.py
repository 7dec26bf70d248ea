"""The refiner: another checkpoint that takes over in the middle of sampling (`handoff` does it).

When that is follows A1111: the share that is done is read off the noise level's place among the trained ones, or
counted in model calls. Prompts are encoded anew by the refiner, and its VAE decodes the picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from modules.core.errors import BadRequest
from modules.core.process import TrainedLevels
from modules.generate.request import Generation, Txt2Img
from modules.loading import families
from modules.loading.library import Checkpoint, Library
from modules.loading.vaes import VaeFile

NONE = ("", "none")
TIMES = 1000
"""Trained times of the models that A1111 refines; whatever the levels, its rule counts with these."""
BOTH, FIRST, SECOND = "both passes", "first pass", "second pass"
"""The option `hires_fix_refiner_pass`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refiner:
    """Which checkpoint takes over, with which VAE, once switch_at (0..1, None = at once) of sampling is done.

    passes: those of hires fix in which it may; None without one.
    """

    checkpoint: Checkpoint
    vae: VaeFile | None
    switch_at: float | None
    passes: str | None

    def serves(self, checkpoint: Checkpoint, *, second: bool) -> bool:
        """Whether it has anything to do in a pass (second: the one of hires fix) that begins with this checkpoint."""
        excluded = SECOND if not second else FIRST
        return self.checkpoint.path != checkpoint.path and (self.passes is None or self.passes != excluded)

    def facts(self, entry: Checkpoint) -> dict[str, Any]:
        """What the infotext says once it has taken over. entry: its checkpoint, with the hash."""
        told = {"Hires refiner": self.passes} if self.passes in (BOTH, FIRST) else {}
        title = f"{entry.short_name} [{entry.hash}]" if entry.hash else entry.short_name
        return {**told, "Refiner": title, "Refiner switch at": self.switch_at}


def asked(request: Generation, options: Mapping[str, Any], base: Checkpoint, library: Library) -> Refiner | None:
    """The refiner of a request on a checkpoint, or None. Raises NotFound, DamagedFile, and BadRequest for one that
    samples in another space than the base model.
    """
    name = request.refiner_checkpoint
    if name is None or name.strip().casefold() in NONE:
        return None
    found = library.find(name, field="refiner_checkpoint")
    if families.space(found.family) != families.space(base.family):
        raise BadRequest(
            f"{found.title} cannot refine pictures of {base.title}: their latents are not of one kind.",
            field="refiner_checkpoint",
        )
    return Refiner(
        checkpoint=found,
        vae=library.vaes.chosen(found.path, options),
        switch_at=request.refiner_switch_at,
        passes=options["hires_fix_refiner_pass"] if isinstance(request, Txt2Img) and request.enable_hr else None,
    )


def done(sigma: Tensor, levels: TrainedLevels) -> float:
    """The share of sampling (0..1) that is done at a noise level (): by the nearest trained one's place among 1000.

    The levels of a consistency model are only 50, so that all of it seems done at once: so it does in A1111.
    """
    nearest = int((levels.sigmas - sigma.to(levels.sigmas)).abs().argmin())
    return (TIMES - 1 - nearest) / TIMES
