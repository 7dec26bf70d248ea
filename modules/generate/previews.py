"""What is shown and asked after each step of sampling: progress, interruption, a live preview when somebody watches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from modules.core.errors import Interrupted
from modules.generate.guidance import GuidedDenoiser
from modules.generate.plan import Plan
from modules.imaging import grids
from modules.loading import preview
from modules.loading.approx import ApproxFiles
from modules.loading.loader import Model
from modules.loading.tiny import TinyFiles
from modules.loading.vae import of_image, to_image

if TYPE_CHECKING:
    from modules.generate.studio import Control


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """How the option `show_progress_type` wants unfinished latents of a model to be shown."""

    model: Model
    plan: Plan
    tiny: TinyFiles
    approx: ApproxFiles

    def picture(self, latent: Tensor) -> Image.Image:
        """Latent (C, H, W) -> an RGB picture, by some ways smaller than the final one."""
        model, way = self.model, self.plan.options["show_progress_type"]
        if way == "Full" and (model.residency.mode == "normal" or self.plan.options["live_preview_allow_lowvram_full"]):
            return self._decoded(latent)
        decode = self._quick(way, latent)
        return preview.linear(latent, model.family.latent) if decode is None else to_image(decode(latent))

    def whole(self, latent: Tensor) -> Tensor:
        """The same as pixels (3, H, W) in 0..1 of the final size."""
        picture, factor = self.picture(latent), self.model.family.latent.factor
        size = (latent.shape[-1] * factor, latent.shape[-2] * factor)
        return of_image(picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC))

    def _quick(self, way: str, latent: Tensor) -> Callable[[Tensor], Tensor] | None:
        """The user's small network for this, if there is one."""
        family, name = self.model.family, self.plan.checkpoint.short_name
        if way == "TAESD":
            return self.tiny.decode_with(family, name, latent.device, seamless=self.plan.tiling)
        return self.approx.decode_with(family, latent.device) if way == "Approx NN" else None

    def _decoded(self, latent: Tensor) -> Image.Image:
        """As the final picture; where not all parts fit on the device, the VAE comes and goes."""
        self.model.residency.use("vae")
        picture = to_image(self.model.vae.decode(latent))
        self.model.residency.use("denoiser")
        return picture


class Watch:
    """An `OnStep`. `latest` (B, C, H, W) is the newest guess of the clean latents; done: steps before this pass."""

    latest: Tensor

    def __init__(self, look: Look, denoise: GuidedDenoiser, control: Control, *, done: int = 0) -> None:
        plan = look.plan
        self._look = look
        self._plan = plan
        self._denoise = denoise
        self._control = control
        self._done = done
        self._every = plan.options["show_progress_every_n_steps"] if plan.options["live_previews_enable"] else -1

    def __call__(self, step: int, x: Tensor, sigma: Tensor, denoised: Tensor) -> None:
        self.latest = denoised
        self._control.step(self._done + step + 1)
        if self._control.interrupted or self._control.skipped:
            raise Interrupted
        if self._every > 0 and step % self._every == 0 and self._control.watched():
            self._control.preview(self._picture(denoised))

    def _picture(self, denoised: Tensor) -> Image.Image:
        latents = self._content(denoised)
        pictures = [self._look.picture(latent) for latent in latents]
        if len(pictures) == 1 or not self._plan.options["show_progress_grid"]:
            return pictures[0]
        return grids.grid(pictures)

    def _content(self, denoised: Tensor) -> Tensor:
        """The option `live_preview_content`: Combined, Prompt or Negative prompt."""
        choice = self._plan.options["live_preview_content"]
        chosen = {"Prompt": self._denoise.positive, "Negative prompt": self._denoise.negative}.get(choice)
        return denoised if chosen is None else chosen
