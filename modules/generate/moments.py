"""Every moment of making a picture at which an extension can look on or step in: the whole list, in order.

Each event is a small mutable object: a listener changes the picture by changing the event's fields. The names in
brackets are what serves the same purpose in A1111's extensions.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from modules.core.hooks import Moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL import Image
    from torch import Tensor

    from modules.generate.guidance import Conditioning, Program
    from modules.generate.plan import Plan
    from modules.generate.request import Generation
    from modules.imaging.overlay import Overlay
    from modules.loading.loader import Model
    from modules.loading.prediction import Given, Predict
    from modules.prompts.network_tags import Tag


@dataclasses.dataclass(kw_only=True)
class Planning:
    """The request, before anything is worked out from it. [before_process]"""

    request: Generation


@dataclasses.dataclass(kw_only=True)
class Planned:
    """Everything that is known before work starts. [process]"""

    plan: Plan


@dataclasses.dataclass(kw_only=True)
class BatchStarting:
    """A batch is about to be prepared; `index` counts from 0. [before_process_batch]"""

    plan: Plan
    index: int
    prompts: list[str]
    negative_prompts: list[str]
    seeds: list[int]
    subseeds: list[int]


@dataclasses.dataclass(kw_only=True)
class NetworksApplied:
    """The networks that `tags` ask for are on the model; `prompts` have no tags any more.
    [after_extra_networks_activate]
    """

    plan: Plan
    index: int
    prompts: list[str]
    tags: tuple[Tag, ...]
    model: Model


@dataclasses.dataclass(kw_only=True)
class BatchReady:
    """Prompts are encoded. [process_batch]"""

    plan: Plan
    index: int
    program: Program


@dataclasses.dataclass(kw_only=True)
class Sampling:
    """Sampling is about to begin from x (B, C, H, W) along sigmas (steps + 1,): from `noise`, over `latents` of a given
    picture if there is one. [process_before_every_sampling]
    """

    plan: Plan
    x: Tensor
    sigmas: Tensor
    program: Program
    noise: Tensor
    latents: Tensor | None
    model: Model


@dataclasses.dataclass(kw_only=True)
class ExtraNoise:
    """The latents of a picture (B, C, H, W) are noised and get extra noise, which is `noise` times the option
    `img2img_extra_noise`. [on_extra_noise]
    """

    plan: Plan
    noise: Tensor
    latents: Tensor
    noised: Tensor


@dataclasses.dataclass(kw_only=True)
class ModelCalled:
    """The model is about to be asked about x (B, C, H, W) at sigma (). [on_cfg_denoiser]

    A listener that wants another picture for each prompt sets rows (P + B, C, H, W): those of the P prompts, then those
    of the negative ones.
    """

    x: Tensor
    sigma: Tensor
    conditioning: Conditioning
    call: int
    rows: Tensor | None = None


@dataclasses.dataclass(kw_only=True)
class NetworkCalled:
    """The network itself is about to be called with x (B, C, H, W), scaled as it was trained, at time (B,), for rows of
    prompts and of negative ones as `given.wanted` says. Once or twice a call of the model. [a patched UNet.forward]

    What `add` is told is summed over all listeners and added inside a UNet of diffusers' layout; `more` are further
    arguments of the network by name.
    """

    x: Tensor
    time: Tensor
    given: Given
    model: Model
    down: list[Tensor] = dataclasses.field(default_factory=list)
    middle: Tensor | None = None
    blocks: list[Tensor] = dataclasses.field(default_factory=list)
    more: dict[str, Any] = dataclasses.field(default_factory=dict)

    def add(self, *, down: Sequence[Tensor] = (), middle: Tensor | None = None, blocks: Sequence[Tensor] = ()) -> None:
        """down: for every connection from the way down to the way up, from the top, and middle: as a ControlNet says;
        blocks: for the end of every block of the way down, as a T2I-Adapter says. Each (B, C', H', W').
        """
        self.down = _summed(self.down, down)
        self.blocks = _summed(self.blocks, blocks)
        if middle is not None:
            self.middle = middle if self.middle is None else self.middle + middle

    @property
    def arguments(self) -> dict[str, Any]:
        """All of it as the network takes it."""
        found = dict(self.more)
        if self.down and self.middle is not None:
            found["down_block_additional_residuals"] = tuple(self.down)
            found["mid_block_additional_residual"] = self.middle
        if self.blocks:
            found["down_intrablock_additional_residuals"] = list(self.blocks)  # the UNet takes them out of the list
        return found


def _summed(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
    if not first or not second:
        return list(first or second)
    return [one + other for one, other in zip(first, second, strict=True)]


@dataclasses.dataclass(kw_only=True)
class ModelAnswered:
    """Guesses of the clean latent with the prompts (P, C, H, W) and with the negative one (None: not asked).
    [on_cfg_denoised]
    """

    x: Tensor
    sigma: Tensor
    positive: Tensor
    negative: Tensor | None


@dataclasses.dataclass(kw_only=True)
class Guided:
    """The two guesses are combined to `denoised`. [on_cfg_after_cfg]

    positive: the guesses with the first prompt of each picture, negative: with the negative one (None: not asked), both
    (B, C, H, W); scale: the CFG scale; ask(x, sigma, what to show) asks the model once more.
    """

    x: Tensor
    sigma: Tensor
    denoised: Tensor
    positive: Tensor
    negative: Tensor | None
    scale: float
    conditioning: Conditioning
    ask: Predict


@dataclasses.dataclass(kw_only=True)
class MaskBlending:
    """Inpainting put a picture's latents back where the mask (1 = may change) is 0: `blended` is what comes of it.
    sigma () is the noise level; None: sampling is at its end. [on_mask_blend]
    """

    current: Tensor
    picture: Tensor
    mask: Tensor
    blended: Tensor
    sigma: Tensor | None


@dataclasses.dataclass(kw_only=True)
class Sampled:
    """Finished latents (B, C, H, W) of a batch. [post_sample]"""

    plan: Plan
    latents: Tensor


@dataclasses.dataclass(kw_only=True)
class Enlarged:
    """Hires fix is about to go over the enlarged latents (B, C, H, W); plan is that of the second pass. [before_hr]"""

    plan: Plan
    index: int
    latents: Tensor
    program: Program


@dataclasses.dataclass(kw_only=True)
class Decoded:
    """Pixels of a batch, each (3, H, W) in 0..1. [postprocess_batch, postprocess_batch_list]"""

    plan: Plan
    index: int
    pixels: list[Tensor]


@dataclasses.dataclass(kw_only=True)
class PictureReady:
    """One finished picture; `index` counts over all batches. [postprocess_image]"""

    plan: Plan
    index: int
    image: Image.Image


@dataclasses.dataclass(kw_only=True)
class Overlaying:
    """An inpainted picture's untouched rest is about to be laid over it; None: nothing is. [postprocess_maskoverlay]"""

    plan: Plan
    index: int
    overlay: Overlay | None


@dataclasses.dataclass(kw_only=True)
class Composited:
    """One finished picture with its untouched rest. [postprocess_image_after_composite]"""

    plan: Plan
    index: int
    image: Image.Image


@dataclasses.dataclass(kw_only=True)
class Saving:
    """A picture is about to be written. [on_before_image_saved]"""

    image: Image.Image
    infotext: str


@dataclasses.dataclass(kw_only=True)
class Saved:
    """A picture is on disk. [on_image_saved]"""

    path: Path
    infotext: str


@dataclasses.dataclass(kw_only=True)
class Arranging:
    """A job's pictures are about to be put into a grid of so many rows; there may be more or fewer of them afterwards.
    [on_image_grid]
    """

    plan: Plan
    images: list[Image.Image]
    rows: int


@dataclasses.dataclass(kw_only=True)
class Gathering:
    """All pictures of a job are made. A listener appends to `more` what is to be shown after them and is not saved.
    [postprocess, which appends to processed.images]
    """

    plan: Plan
    more: list[Image.Image] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(kw_only=True)
class Finished:
    """The job is done; `result` is what its owner gets. [postprocess]"""

    plan: Plan
    result: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Moments:
    """All of them, in the order in which they happen."""

    planning: Moment[Planning] = dataclasses.field(default_factory=lambda: Moment("planning"))
    planned: Moment[Planned] = dataclasses.field(default_factory=lambda: Moment("planned"))
    batch_starting: Moment[BatchStarting] = dataclasses.field(default_factory=lambda: Moment("batch_starting"))
    networks_applied: Moment[NetworksApplied] = dataclasses.field(default_factory=lambda: Moment("networks_applied"))
    batch_ready: Moment[BatchReady] = dataclasses.field(default_factory=lambda: Moment("batch_ready"))
    sampling: Moment[Sampling] = dataclasses.field(default_factory=lambda: Moment("sampling"))
    extra_noise: Moment[ExtraNoise] = dataclasses.field(default_factory=lambda: Moment("extra_noise"))
    model_called: Moment[ModelCalled] = dataclasses.field(default_factory=lambda: Moment("model_called"))
    network_called: Moment[NetworkCalled] = dataclasses.field(default_factory=lambda: Moment("network_called"))
    model_answered: Moment[ModelAnswered] = dataclasses.field(default_factory=lambda: Moment("model_answered"))
    guided: Moment[Guided] = dataclasses.field(default_factory=lambda: Moment("guided"))
    mask_blending: Moment[MaskBlending] = dataclasses.field(default_factory=lambda: Moment("mask_blending"))
    sampled: Moment[Sampled] = dataclasses.field(default_factory=lambda: Moment("sampled"))
    enlarged: Moment[Enlarged] = dataclasses.field(default_factory=lambda: Moment("enlarged"))
    decoded: Moment[Decoded] = dataclasses.field(default_factory=lambda: Moment("decoded"))
    picture_ready: Moment[PictureReady] = dataclasses.field(default_factory=lambda: Moment("picture_ready"))
    overlaying: Moment[Overlaying] = dataclasses.field(default_factory=lambda: Moment("overlaying"))
    composited: Moment[Composited] = dataclasses.field(default_factory=lambda: Moment("composited"))
    saving: Moment[Saving] = dataclasses.field(default_factory=lambda: Moment("saving"))
    saved: Moment[Saved] = dataclasses.field(default_factory=lambda: Moment("saved"))
    arranging: Moment[Arranging] = dataclasses.field(default_factory=lambda: Moment("arranging"))
    gathering: Moment[Gathering] = dataclasses.field(default_factory=lambda: Moment("gathering"))
    finished: Moment[Finished] = dataclasses.field(default_factory=lambda: Moment("finished"))
