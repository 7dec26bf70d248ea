"""The callable that everything in sampling wraps, and the small types shared by many packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # torch is heavy: only the code that computes imports it
    from torch import Tensor

Json: TypeAlias = "bool | int | float | str | list[Any] | dict[str, Any] | None"
JsonObject: TypeAlias = "dict[str, Any]"


class Denoiser(Protocol):
    """Best guess of the clean latent. x (B, C, H, W) at noise level sigma () -> (B, C, H, W)."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor: ...


class Noise(Protocol):
    """The next draw of standard normal noise, (B, C, H, W): each picture of the batch from its own generator."""

    def __call__(self) -> Tensor: ...


class StepNoise(Protocol):
    """Standard normal noise (B, C, H, W) for a step between two noise levels, from one path of Brownian motion."""

    def __call__(self, sigma: Tensor, target: Tensor) -> Tensor: ...


class PathNoise(Noise, Protocol):
    """Noise that can also be had as a path over the noise levels low () .. high (), the same for any way to step."""

    def brownian(self, low: Tensor, high: Tensor) -> StepNoise: ...


class GuidedDenoise(Denoiser, Protocol):
    """A denoiser that keeps its newest guesses with the prompt alone and (unless left out) the negative one alone."""

    @property
    def positive(self) -> Tensor | None: ...
    @property
    def negative(self) -> Tensor | None: ...


class OnStep(Protocol):
    """Told after each model call of a step; may raise `Interrupted`.

    step counts from 0; x (B, C, H, W) is the latent that went in at noise level sigma (), denoised (B, C, H, W) the
    model's guess of the clean latent.
    """

    def __call__(self, step: int, x: Tensor, sigma: Tensor, denoised: Tensor) -> None: ...
