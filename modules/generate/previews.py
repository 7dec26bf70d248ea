"""What is shown and asked after each step of sampling: progress, interruption, a live preview when somebody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from modules.core.errors import Interrupted
from modules.generate.guidance import GuidedDenoiser
from modules.generate.plan import Plan
from modules.imaging import grids
from modules.loading import preview
from modules.loading.loader import Model
from modules.loading.tiny import TinyFiles
from modules.loading.vae import to_image

if TYPE_CHECKING:
    from modules.generate.studio import Control


class Watch:
    """An `OnStep`. `latest` (B, C, H, W) is the newest guess of the clean latents; done: steps before this pass."""

    latest: Tensor

    def __init__(
        self,
        model: Model,
        plan: Plan,
        denoise: GuidedDenoiser,
        control: Control,
        tiny: TinyFiles,
        *,
        done: int = 0,
    ) -> None:
        self._model = model
        self._plan = plan
        self._denoise = denoise
        self._control = control
        self._tiny = tiny
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
        pictures = [self._look(latent) for latent in latents]
        if len(pictures) == 1 or not self._plan.options["show_progress_grid"]:
            return pictures[0]
        return grids.grid(pictures)

    def _content(self, denoised: Tensor) -> Tensor:
        """The option `live_preview_content`: Combined, Prompt or Negative prompt."""
        choice = self._plan.options["live_preview_content"]
        chosen = {"Prompt": self._denoise.positive, "Negative prompt": self._denoise.negative}.get(choice)
        return denoised if chosen is None else chosen

    def _look(self, latent: Tensor) -> Image.Image:
        model, way = self._model, self._plan.options["show_progress_type"]
        if way == "Full" and (
            model.residency.mode == "normal" or self._plan.options["live_preview_allow_lowvram_full"]
        ):
            return self._decoded(latent)
        if way == "TAESD":
            decode = self._tiny.decode_with(
                model.family, self._plan.checkpoint.short_name, latent.device, seamless=self._plan.tiling
            )
            if decode is not None:
                return to_image(decode(latent))
        return preview.linear(latent, model.family.latent)

    def _decoded(self, latent: Tensor) -> Image.Image:
        """As the final picture; where not all parts fit on the device, the VAE comes and goes."""
        self._model.residency.use("vae")
        picture = to_image(self._model.vae.decode(latent))
        self._model.residency.use("denoiser")
        return picture
