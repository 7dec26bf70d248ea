"""What making pictures needs from the rest of the house, and what running work tells it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from PIL import Image

from modules.generate.moments import Moments
from modules.generate.plan import Plan, Stock
from modules.generate.recall import NOTHING, Record
from modules.generate.scripts.registry import Asked
from modules.imaging.inputs import Inputs
from modules.loading import attention, storage, vae
from modules.loading.approx import ApproxFiles
from modules.loading.depth import DepthModel
from modules.loading.faces import FaceRestorers
from modules.loading.library import Library
from modules.loading.loader import Model
from modules.loading.shelf import Shelf
from modules.loading.tiling import tile
from modules.loading.tiny import TinyFiles
from modules.loading.upscale.catalog import Upscalers
from modules.networks.apply import Networks
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog

Asks: TypeAlias = Callable[[str, Mapping[str, Any]], Sequence[Asked]]
"""(kind of a request, its extension_args) -> the always-on scripts that take part."""


class Control(Protocol):
    """What running work tells the world and asks of it (`modules.jobs` has the real one)."""

    @property
    def interrupted(self) -> bool: ...
    @property
    def skipped(self) -> bool: ...
    def begin(self, *, batches: int, steps: int) -> None: ...
    def batch(self, index: int) -> None: ...
    def step(self, done: int) -> None: ...
    def text(self, text: str) -> None: ...
    def watched(self) -> bool: ...
    def preview(self, image: Image.Image) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Studio:
    """What making pictures needs from the rest of the house. asked: which always-on scripts a request brings;
    unfinished: the folder in which a job keeps what its network answers, record: where a batch does.
    """

    library: Library
    catalog: Catalog
    shelf: Shelf
    moments: Moments
    networks: Networks
    styles: StyleBook
    tiny: TinyFiles
    upscalers: Upscalers
    faces: FaceRestorers
    inputs: Inputs
    version: str
    depth: DepthModel = dataclasses.field(default_factory=DepthModel)
    approx: ApproxFiles = dataclasses.field(default_factory=ApproxFiles)
    clock: Callable[[], datetime] = datetime.now
    asked: Asks = lambda kind, given: ()
    unfinished: Path | None = None
    record: Record = NOTHING

    @property
    def stock(self) -> Stock:
        """What plans choose from."""
        return Stock(
            library=self.library,
            catalog=self.catalog,
            styles=self.styles,
            upscalers=self.upscalers,
            version=self.version,
        )

    def model(self, work: Plan, *, others: int = 0) -> Model:
        """The model of a plan with its VAE, tiling or not, loaded if need be; at least `others` more stay in memory.

        Raises DamagedFile.
        """
        options = work.options
        model = self.shelf.get(
            work.checkpoint,
            keep=max(others, options["sd_checkpoint_cache"]),
            vae=work.vae,
            keep_vaes=options["sd_vae_checkpoint_cache"],
            **storage.ways(options, work.checkpoint.family),
        )
        model.vae.wider = vae.wider(options)
        wanted = {name for name, on in (("tiling", work.tiling), ("upcast", options["upcast_attn"])) if on}
        if wanted or model.wears:  # else its layers are as they were made, and need not be looked at
            tile(model.unet, work.tiling)
            attention.upcast(model.unet, options["upcast_attn"])
        model.wears.clear()
        model.wears.update(wanted)
        model.vae.seamless = work.tiling
        if not options["persistent_cond_cache"]:
            model.text.forget()
        return model
