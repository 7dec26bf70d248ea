"""What ControlNet does in one job: `Control` prepares the units for each pass, steers every call, tidies up at the end.

A unit that does not fit the model is left out and the job's remarks say so; a unit that cannot work at all ends the job
with a message.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modules.generate import pixels
from modules.generate.moments import Decoded, Finished, Gathering, ModelAnswered, ModelCalled, NetworkCalled, Sampling
from modules.generate.request import Generation, Img2Img
from modules.generate.studio import Studio

from . import afterwards, fitting, marks, pictures, preprocessors, steering
from .cabinet import Cabinet
from .maps import Pixels
from .pictures import Map
from .preprocessors import Preprocessor
from .steering import Features, Reference, Residuals, Steer, Weights, Words
from .units import HIRES, Unit, with_model

BOTH, LOW, HIGH = HIRES


class Ready(NamedTuple):
    """A unit in a pass. keeps: what restores the untouched rest of an inpainted picture, None: nothing does."""

    unit: Unit
    steer: Steer
    keeps: afterwards.Restored | None


class Control:
    """The listeners of one job."""

    def __init__(self, values: Mapping[str, Any], studio: Studio, request: Generation, cabinet: Cabinet) -> None:
        read = [Unit.read(value) for value in values.values()]
        self._units = [_bounded(unit, request) for unit in read if unit is not None]
        self._studio = studio
        self._request = request
        self._cabinet = cabinet
        self._ready: list[Ready] = []
        self._ends = contextlib.ExitStack()
        self._unet: object = None
        self._steps = self._calls_a_step = 1
        self._share, self._sigma = 0.0, torch.tensor(0.0)
        self._first: tuple[int, int] | None = None
        self._shown: dict[tuple[int, tuple[int, int]], Map] = {}
        self._remarks: dict[str, None] = {}

    def sampling(self, event: Sampling) -> None:
        """A pass begins. Raises BadRequest, NotFound, DamagedFile."""
        self.close()
        plan = event.plan
        second = plan.earlier_calls is not None
        self._first = self._first if second and self._first else (plan.width, plan.height)
        self._unet = event.model.unet
        self._steps, self._calls_a_step = max(len(event.sigmas) - 1, 1), plan.sampler.calls_per_step
        for number, (unit, way) in enumerate(self._units):
            if unit.hr_option != BOTH and (unit.hr_option == HIGH) != second and (second or plan.hires is not None):
                continue
            ready = self._prepared(event, number, unit, way, second=second)
            if ready is not None:
                ready.steer.begin(self._ends)
                self._ready.append(ready)

    def model_called(self, event: ModelCalled) -> None:
        self._share = min(event.call // self._calls_a_step, self._steps) / self._steps
        self._sigma = event.sigma

    def network_called(self, event: NetworkCalled) -> None:
        own = event.model.unet is self._unet  # a refiner may have taken over
        for unit, steer, _ in self._ready:
            on = own and unit.weight > 0 and unit.guidance_start <= self._share <= unit.guidance_end
            steer.called(event, self._sigma, active=on)

    def model_answered(self, event: ModelAnswered) -> None:
        for ready in self._ready:
            if ready.keeps is not None:
                event.positive = ready.keeps.put_back(event.positive, ready.unit.weight)
                event.negative = (
                    None if event.negative is None else ready.keeps.put_back(event.negative, ready.unit.weight)
                )

    def sampled(self, event: object) -> None:
        """A pass is over."""
        self.close()

    def decoded(self, event: Decoded) -> None:
        for number, (_, way) in enumerate(self._units):
            event.pixels = [afterwards.finished(each, way, self._map_like(number, each)) for each in event.pixels]

    def gathering(self, event: Gathering) -> None:
        if event.plan.options["control_net_no_detectmap"]:
            return
        for number, (unit, _) in enumerate(self._units):
            if unit.save_detected_map:
                maps = [made for (owner, _), made in self._shown.items() if owner == number]
                event.more += [made.picture for made in reversed(maps)]  # that of hires fix first

    def finished(self, event: Finished) -> None:
        if self._remarks:
            event.result["comments"] = [*event.result.get("comments", ()), *self._remarks]

    def close(self) -> None:
        """Take everything out of the model."""
        self._ends.close()
        self._ready = []

    # --- preparing

    def _prepared(self, event: Sampling, number: int, unit: Unit, way: Preprocessor, *, second: bool) -> Ready | None:
        model, plan = event.model, event.plan
        if not fitting.is_unet(model):
            self._remark(
                f"ControlNet was left out: it steers UNets (SD1, SD2, SDXL), and this is {model.family.title}."
            )
            return None
        if way.free:
            made = self._map(event, number, unit, way)
            latents = self._latents(event, made)
            return Ready(unit, Reference(model, latents, unit, second=second, seed=plan.seeds[0]), None)
        net = self._cabinet.net(
            with_model(unit).model, model.placement, keep=plan.options["control_net_model_cache_size"]
        )
        unfit = fitting.obstacle(net, model)
        if unfit:
            self._remark(f"{unit.model} was left out: {unfit}")
            return None
        if net.kind == marks.IP_ADAPTER:
            return Ready(unit, self._words(event, number, unit, way, net.network), None)
        made = self._map(event, number, unit, way)
        hint = steering.hint_of(made.pixels, model.placement)
        region = pictures.opened(unit.effective_region_mask, self._studio.inputs, "effective_region_mask")
        where = None if region is None else pictures.fitted(_rgb(region), (plan.width, plan.height), pictures.STRETCH)
        weights = Weights.of(unit, model.placement, where, soft=second and "canny" in unit.module)
        kinds: dict[str, Callable[..., Steer]] = {marks.CONTROLNET: Residuals, marks.T2I: Features}
        keeps = None
        if way.name == "inpaint_only":
            keeps = afterwards.Restored.of(made, self._latents(event, made))
        return Ready(unit, kinds[net.kind](net, hint, weights), keeps)

    def _words(self, event: Sampling, number: int, unit: Unit, way: Preprocessor, adapter: Any) -> Words:
        placement, keep = event.model.placement, event.plan.options["control_net_model_cache_size"]
        encoder = self._cabinet.encoder(adapter, placement, keep=keep)
        own = dataclasses.replace(unit, module="none")
        source = pictures.source(own, way, self._request, self._studio.inputs)
        self._shown.setdefault((number, (0, 0)), Map(pixels=source.pixels[..., :3]))
        seen, unseen = encoder(Image.fromarray(source.pixels[..., :3]), plus=adapter.plus)
        return Words(event.model, adapter, seen, unseen, unit)

    def _map(self, event: Sampling, number: int, unit: Unit, way: Preprocessor) -> Map:
        """Made once for each size."""
        size = (event.plan.width, event.plan.height)
        if (number, size) not in self._shown:
            self._shown[number, size] = pictures.shown(
                unit,
                way,
                self._request,
                self._studio.inputs,
                size=size,
                first=self._first or size,
                seed=event.plan.seeds[0] + event.plan.subseeds[0],
            )
        return self._shown[number, size]

    def _map_like(self, number: int, picture: Tensor) -> Map | None:
        """That of a unit with the size of a picture (3, H, W)."""
        return self._shown.get((number, (picture.shape[2], picture.shape[1])))

    def _latents(self, event: Sampling, made: Map) -> Tensor:
        """(1, C, H, W) of a map's picture."""
        model = event.model
        model.residency.use("vae")
        encode = pixels.encoder(self._studio, model, event.plan)
        shown = steering.tensor(made.pixels[..., :3], model.placement)[0]
        return encode(shown).unsqueeze(0).to(model.placement.device)

    def _remark(self, text: str) -> None:
        self._remarks[text] = None


def _bounded(unit: Unit, request: Generation) -> tuple[Unit, Preprocessor]:
    """The unit with its sliders' defaults, and its preprocessor. Inpainting already keeps the untouched rest: then
    inpaint_only has nothing to add to the plain one.
    """
    way = preprocessors.find(unit.module)
    if way.name == "inpaint_only" and isinstance(request, Img2Img) and request.mask is not None:
        way = preprocessors.find("inpaint")
    return way.bounded(dataclasses.replace(unit, module=way.name)), way


def _rgb(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))
