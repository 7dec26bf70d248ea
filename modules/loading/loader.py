"""A checkpoint file to a model that can be called. Weights are mapped from the file; nothing asks any hub.

The file's family names the builder that makes its parts (`parts.Builder`).
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import logging
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from modules.core import device
from modules.core.device import Placement
from modules.core.errors import DamagedFile
from modules.core.process import NoiseProcess, TrainedLevels
from modules.loading import families, opening, packed, prediction
from modules.loading.companions import NOWHERE, Companions
from modules.loading.families import Family
from modules.loading.library import Checkpoint
from modules.loading.mmdit.names import Rule
from modules.loading.parts import Ask, Builder, Source
from modules.loading.prediction import Given, Network, Predict
from modules.loading.residency import Residency
from modules.loading.text import TextModel
from modules.loading.vae import Vae

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded checkpoint: its parts, and the facts of its family that sampling needs.

    unet: the denoiser, of whatever kind; ask: how it is called; prediction: a key of `prediction.KINDS`; variant: what
    further input channels make of it (`families.INPAINTING` …), "" = a plain model; rules: see `parts.Parts`;
    wears: what the denoiser's layers were told to do otherwise than they were made (tiling, …).
    """

    checkpoint: Checkpoint
    family: Family
    placement: Placement
    unet: nn.Module
    ask: Ask
    text: TextModel
    vae: Vae
    levels: TrainedLevels
    process: NoiseProcess
    prediction: str
    variant: str
    residency: Residency
    rules: tuple[Rule, ...] = ()
    wears: set[str] = dataclasses.field(default_factory=set, compare=False)

    @property
    def network(self) -> Network:
        """The raw prediction, in the model's number format."""

        def call(x: Tensor, time: Tensor, given: Given) -> Tensor:
            return self.ask(self.unet, x.to(self.placement.dtype), time, given)

        return call

    def predict(
        self,
        levels: TrainedLevels,
        *,
        whole_times: bool = False,
        asked: Mapping[str, str] = MappingProxyType({}),
        around: Callable[[Network], Network] = lambda network: network,
    ) -> Predict:
        """The denoiser of one prompt; levels: the trained ones as the options bend them; asked: the kind in place of
        another, where a sampler has a way of its own; around: makes of the network what is called in its place.
        """
        kind = prediction.KINDS[asked.get(self.prediction, self.prediction)]
        return kind(around(self.network), levels, whole_times=whole_times)


def load(
    checkpoint: Checkpoint,
    placement: Placement,
    residency: Residency,
    companions: Companions = NOWHERE,
    *,
    keep_packed: bool = True,
) -> Model:
    """Read a checkpoint; companions: where parts may lie that its file lacks; keep_packed: small numbers stay as the
    files have them (`packed`), else they become ordinary weights once they are where they belong.

    Raises DamagedFile where parts have odd shapes, EaselError where they are nowhere.
    """
    started = time.perf_counter()
    import_libraries()
    facts = opening.header(checkpoint.path)
    family = families.detect(facts)
    obstacle = families.obstacle(family, facts)
    if obstacle:
        raise DamagedFile(f"{checkpoint.name}: {obstacle}")
    weights = opening.stored(checkpoint.path)
    placement = device.wide(placement) if family.wide else placement
    source = Source(
        header=facts,
        family=family,
        weights=weights,
        placement=placement,
        home=residency.home,
        companions=companions,
        keep_packed=keep_packed,
    )
    try:
        made = _builder(family)(source)
    except (KeyError, StopIteration, RuntimeError, ValueError) as error:
        raise DamagedFile(f"{checkpoint.name}: not a complete {family.title} checkpoint ({error}).") from error
    towers = nn.ModuleDict(made.text.towers)
    for network in () if keep_packed else (towers, made.denoiser):
        packed.unpack(network, source.pages.let_go)
    packed.unpack(made.autoencoder, source.pages.let_go)  # it is small, and works once a picture
    residency.manage({"text": towers, "denoiser": made.denoiser, "vae": made.autoencoder})
    taken = packed.size(nn.ModuleList([towers, made.denoiser, made.autoencoder])) / 1e9
    seconds = time.perf_counter() - started
    log.info("Loaded %s (%s) in %.1f s: %.1f GB of weights.", checkpoint.title, family.title, seconds, taken)
    return Model(
        checkpoint=checkpoint,
        family=family,
        placement=placement,
        unet=made.denoiser,
        ask=made.ask,
        text=made.text,
        vae=Vae(made.autoencoder, family.latent),
        levels=made.levels,
        process=made.process,
        prediction=made.prediction,
        variant=families.variant(family, facts),
        residency=residency,
        rules=made.rules,
    )


def _builder(family: Family) -> Builder:
    """The function that a row names: builders import heavy libraries, the table must not."""
    module, _, function = family.build.partition(":")
    builder: Builder = getattr(importlib.import_module(module), function)
    return builder


def import_libraries() -> None:
    """Import the heavy libraries (seconds, the first time). Harmless to call early or twice."""
    declare_vision_operators()
    importlib.import_module("transformers.models.clip.modeling_clip")
    importlib.import_module("diffusers.models.unets.unet_2d_condition")
    importlib.import_module("diffusers.models.autoencoders.autoencoder_kl")
    importlib.import_module("diffusers.loaders.single_file_utils")


@functools.cache
def declare_vision_operators() -> object | None:
    """Keep a CUDA-linked torchvision from breaking transformers and diffusers beside a CPU-only torch.

    Its import fails for want of two operators; declaring them (they are never called here) lets it through. The cache
    keeps the declaration alive with the process.
    """
    if importlib.util.find_spec("torchvision") is None or torch.version.cuda or torch.version.hip:
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call, unused-ignore]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library
