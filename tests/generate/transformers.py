"""A bench for transformers: a family's tiny random files where a user would put them, and what a job computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate.guidance import Conditioning
from modules.generate.request import Txt2Img
from modules.loading.companions import Companions
from modules.loading.library import Library
from modules.loading.loader import Model
from modules.loading.shelf import Shelf
from tests.loading.mmdit.families import Files
from tests.studio import Bench, Silent


@dataclasses.dataclass(kw_only=True)
class Seen:
    """What a job started from and came to. latents in model space; pixels of the first picture, 0..1."""

    noise: Tensor
    sigmas: Tensor
    conditioning: Conditioning
    latents: Tensor
    pixels: Tensor
    result: JsonObject


class TransformerBench(Bench):
    """The engine with one family's files."""

    def __init__(self, folder: Path, files: Files) -> None:
        super().__init__(folder)
        models = folder / "models"
        for place, weights in files.weights.items():
            (models / place).parent.mkdir(parents=True, exist_ok=True)
            save_file(weights, models / place)
        for place, write in files.others.items():
            write(models / place)
        self.library = Library(
            [models / "Stable-diffusion"], Store(folder / "library.sqlite"), vae_folders=[models / "VAE"]
        )
        self.companions = Companions(text=(models / "text_encoder",), vae=(models / "VAE",))
        shelf = Shelf(self.studio.shelf.placement, companions=self.companions)
        self.studio = dataclasses.replace(self.studio, library=self.library, shelf=shelf)
        self.name = self.library.checkpoints()[0].name

    def options(self, changes: Mapping[str, Any]) -> Any:
        return super().options({"sd_model_checkpoint": self.name, **changes})

    @property
    def model(self) -> Model:
        return self.studio.shelf.get(self.library.find(self.name))

    def see(self, request: Txt2Img, **options: Any) -> Seen:
        """Make pictures and keep what went by."""
        caught: dict[str, Any] = {}

        def starting(event: Any) -> None:
            caught["noise"], caught["sigmas"] = event.x.clone(), event.sigmas.clone()
            caught["conditioning"] = event.program.at(0)

        takes = [
            self.moments.sampling.add(starting, owner="test"),
            self.moments.sampled.add(lambda event: caught.update(latents=event.latents.clone()), owner="test"),
            self.moments.decoded.add(lambda event: caught.update(pixels=event.pixels[0].clone()), owner="test"),
        ]
        try:
            result = self.make(request, Silent(), **options)
        finally:
            for take in takes:
                take()
        return Seen(result=result, **caught)
