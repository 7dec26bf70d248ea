"""The settings `hypertile_*`: attention in tiles while a job samples and decodes. `run` calls `told` and `cut`.

Which tiles are drawn comes from the job's first seed, as in A1111.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from modules.generate.moments import Decoded, Sampled, Sampling
from modules.generate.plan import Plan
from modules.generate.studio import Studio
from modules.loading import hypertile
from modules.loading.hypertile import Cut

if TYPE_CHECKING:
    from modules.loading.loader import Model

KEYS = {
    "U-Net": ("hypertile_max_depth_unet", "hypertile_max_tile_unet", "hypertile_swap_size_unet"),
    "VAE": ("hypertile_max_depth_vae", "hypertile_max_tile_vae", "hypertile_swap_size_vae"),
}
"""For each part the settings of depth, largest tile and choices."""
USUAL = {"U-Net": (3, 256, 3), "VAE": (3, 128, 3)}
"""Their values that go without saying."""
WORDS = ("max depth", "max tile size", "swap size")


def told(work: Plan) -> Plan:
    """The plan with what its infotext says of tiles."""
    options = work.options
    facts: dict[str, Any] = {}
    if options["hypertile_enable_unet"]:
        facts["Hypertile U-Net"] = True
    elif work.hires and options["hypertile_enable_unet_secondpass"]:
        facts["Hypertile U-Net second pass"] = True
    if facts:
        facts |= _numbers(work, "U-Net")
    if options["hypertile_enable_vae"]:
        facts |= {"Hypertile VAE": True, **_numbers(work, "VAE")}
    return dataclasses.replace(work, opening={**facts, **work.opening}) if facts else work


def _numbers(work: Plan, part: str) -> dict[str, int]:
    values = zip(WORDS, KEYS[part], USUAL[part], strict=True)
    found = {word: (work.options[key], usual) for word, key, usual in values}
    return {f"Hypertile {part} {word}": value for word, (value, usual) in found.items() if value != usual}


@contextlib.contextmanager
def cut(studio: Studio, work: Plan) -> Iterator[Studio]:
    """The studio of a job whose models attend in tiles where the options want it; as they were afterwards."""
    options = work.options
    first, second = options["hypertile_enable_unet"], options["hypertile_enable_unet_secondpass"]
    if not (first or second or options["hypertile_enable_vae"]):
        yield studio
        return
    tiled = _Tiled(work)
    own = studio.moments
    moments = dataclasses.replace(
        own,
        sampling=own.sampling.followed(tiled.sampling),
        sampled=own.sampled.followed(tiled.sampled),
        decoded=own.decoded.followed(tiled.decoded),
    )
    try:
        yield dataclasses.replace(studio, moments=moments)
    finally:
        tiled.off()


class _Tiled:
    """The listeners of one job."""

    def __init__(self, work: Plan) -> None:
        self._options = work.options
        self._seed = work.seeds[0]
        self._chance = random.Random(self._seed)
        self._model: Model | None = None
        self._taken: list[Callable[[], None]] = []

    def sampling(self, event: Sampling) -> None:
        self.off()
        self._model = event.model
        again = event.plan.earlier_calls is not None  # the second pass of hires fix
        wanted = self._options["hypertile_enable_unet"] or (again and self._options["hypertile_enable_unet_secondpass"])
        if not wanted:
            return
        if again:
            self._chance.seed(self._seed)
        self._taken.append(hypertile.put_on_unet(event.model.unet, self._cut(event.plan, "U-Net"), self._chance))

    def sampled(self, event: Sampled) -> None:
        self.off()
        if self._options["hypertile_enable_vae"] and self._model is not None:
            network, how = self._model.vae.network, self._cut(event.plan, "VAE")
            self._taken.append(hypertile.put_on_decoder(network, how, self._chance))

    def decoded(self, event: Decoded) -> None:
        self.off()

    def off(self) -> None:
        """Everything as it was."""
        while self._taken:
            self._taken.pop()()

    def _cut(self, plan: Plan, part: str) -> Cut:
        depth, largest, choices = (self._options[key] for key in KEYS[part])
        return Cut(size=(plan.width, plan.height), largest=largest, choices=choices, depth=depth)
