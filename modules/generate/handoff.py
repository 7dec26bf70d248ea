"""Sampling that changes hands: a denoiser that another model takes over. `sampling` wraps with it; see `refiner`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor

from modules.core.process import TrainedLevels
from modules.generate import levels, refiner
from modules.generate.guidance import GuidedDenoiser, Program
from modules.generate.moments import NetworkCalled
from modules.generate.plan import Plan
from modules.generate.studio import Control, Studio
from modules.loading.loader import Model
from modules.loading.prediction import Given, Network, Predict

Read = Callable[[Model], Program]
"""What the text encoders of a model say of a batch's prompts, with its networks put on."""


class Relay:
    """A `GuidedDenoise`. model: who denoises now; take: loads the refiner, None where there is nothing to do for it."""

    def __init__(
        self,
        guided: GuidedDenoiser,
        model: Model,
        work: Plan,
        trained: TrainedLevels,
        take: Callable[[], tuple[Model, Program]] | None,
        studio: Studio,
    ) -> None:
        self.model = model
        self._guided = guided
        self._work = work
        self._trained = trained
        self._take = take
        self._studio = studio
        if work.options["refiner_switch_by_sample_steps"]:
            guided.notes["Refiner switch by sampling steps"] = True

    @property
    def positive(self) -> Tensor | None:
        return self._guided.positive

    @property
    def negative(self) -> Tensor | None:
        return self._guided.negative

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x (B, C, H, W), sigma () -> guess of the clean latent (B, C, H, W)."""
        wanted = self._work.refiner
        if self._take is not None and wanted is not None and self._share(sigma) >= (wanted.switch_at or 0.0):
            (self.model, program), self._take = self._take(), None
            trained = levels.trained(self._work, self.model.levels)
            self._guided.hand_over(predicting(self.model, self._work, trained, self._studio), program)
            self._guided.notes |= wanted.facts(self.model.checkpoint)
        return self._guided(x, sigma)

    def _share(self, sigma: Tensor) -> float:
        """What is done of sampling, 0..1."""
        if self._work.options["refiner_switch_by_sample_steps"]:
            return self._guided.calls / self._work.calls
        return refiner.done(sigma, self._trained)


def predicting(model: Model, work: Plan, trained: TrainedLevels, studio: Studio) -> Predict:
    """A model as the plan's sampler asks it, with what the studio puts around its network; `network_called` is told of
    every call.
    """
    heard = studio.moments.network_called

    def around(network: Network) -> Network:
        network = studio.record.around(network)

        def call(x: Tensor, time: Tensor, given: Given) -> Tensor:
            if not heard:
                return network(x, time, given)
            event = NetworkCalled(x=x, time=time, given=given, model=model)
            heard.fire(event)
            more = {**event.given.more, **event.arguments}
            return network(event.x, event.time, dataclasses.replace(event.given, more=more))

        return call

    whole = work.options["enable_quantization"] and not work.sampler.scaled  # A1111 rounds for k-diffusion's samplers
    return model.predict(trained, whole_times=whole, asked=work.sampler.asks, around=around)


def taking(
    studio: Studio, model: Model, work: Plan, read: Read | None, control: Control
) -> Callable[[], tuple[Model, Program]] | None:
    """How the refiner is brought in, or None where it has nothing to do in this pass."""
    wanted = work.refiner
    second = work.earlier_calls is not None
    if wanted is None or read is None or not wanted.serves(model.checkpoint, second=second):
        return None

    def take() -> tuple[Model, Program]:
        control.text("Loading the refiner")
        # the base model is wanted again for the next batch
        plan = dataclasses.replace(work, checkpoint=studio.library.hashed(wanted.checkpoint), vae=wanted.vae)
        other = studio.model(plan, others=work.models - 1)
        program = read(other)
        other.residency.use("denoiser")
        control.text("")
        return other, program

    return take
