"""What can be asked for, in A1111's vocabulary. Requests are frozen and survive a trip through JSON (durable jobs)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from modules.core.errors import BadRequest
from modules.core.types import JsonObject


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation:
    """What every request has. Names and defaults are A1111's; None means "as the options say".

    steps 1..10000; width, height in pixels: the picture has them rounded down to whole latent pixels (multiples of 8),
    infotexts, hires fix and what SDXL is told do not; cfg_scale >= 1 usual; seed and subseed -1 = random;
    subseed_strength 0..1; batch_size pictures at once, n_iter times. tiling: opposite edges fit together.
    refiner_checkpoint takes over when refiner_switch_at (0..1) of sampling is done. user: who asked on a page with
    logins ("" for everybody else). extension_args: name of an
    always-on script in lower case -> its arguments in order, as they came under `alwayson_scripts`.
    """

    kind: ClassVar[str] = ""

    prompt: str = ""
    negative_prompt: str = ""
    styles: tuple[str, ...] = ()
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str = "Euler"
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool | None = None
    tiling: bool | None = None
    denoising_strength: float | None = None
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    eta: float | None = None
    s_min_uncond: float | None = None
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    user: str = ""
    override_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    extension_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The request as plain JSON; `of_json` is its inverse."""
        return {name: _plain(value) for name, value in vars(self).items()}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Self:
        """Unknown fields raise `BadRequest`: a job written by a newer Easel is refused, not half understood."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in data:
            if name not in known:
                raise BadRequest(f'{cls.kind} has no field "{name}".', field=name)
        values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in data.items()}
        return cls(**values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Txt2Img(Generation):
    """One text-to-image job.

    enable_hr: hires fix, a second pass of hr_second_pass_steps (0 = as many) over the enlarged first picture, of which
    it changes denoising_strength 0..1. It is enlarged hr_scale times, or to hr_resize_x and _y pixels (0 = from the
    other one), by hr_upscaler. hr_checkpoint_name .. hr_cfg: None and "" are those of the first pass.
    firstphase_width and _height, if not 0, are the size of the first pass (older than hr_scale). firstpass_image: a
    picture, by the name that the studio's `Inputs` gave it, in the first pass's place.
    """

    kind: ClassVar[str] = "txt2img"

    enable_hr: bool = False
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    hr_cfg: float | None = None
    firstpass_image: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Img2Img(Generation):
    """One image-to-image job. Pictures are names that the studio's `Inputs` gave them.

    init_images: one for the whole batch, or one for each of its pictures; denoising_strength 0 (nothing changes) .. 1;
    resize_mode: see `imaging.resize.Mode`. mask: white may change, None = everything; blurred by mask_blur_x and _y
    pixels; mask_round: only black and white reach the latents. inpainting_fill: what the masked part begins as
    (0 colours around it, 1 the picture, 2 noise, 3 nothing); inpaint_full_res: the masked part alone is worked on, at
    full size, with inpaint_full_res_padding pixels around it; inpainting_mask_invert: black may change instead;
    latent_mask takes the mask's place in the latents. image_cfg_scale: how closely instruct-pix2pix keeps to the
    picture.
    """

    kind: ClassVar[str] = "img2img"

    init_images: tuple[str, ...] = ()
    denoising_strength: float | None = 0.75
    resize_mode: int = 0
    image_cfg_scale: float | None = None
    mask: str | None = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float | None = None
    latent_mask: str | None = None

    @property
    def mask_blur(self) -> int | None:
        """The blur where it is the same along both axes."""
        return self.mask_blur_x if self.mask_blur_x == self.mask_blur_y else None


def _plain(value: Any) -> Any:
    """A field's value as JSON has it; containers are the caller's own."""
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, dict) else value


KINDS: Mapping[str, type[Generation]] = {each.kind: each for each in (Txt2Img, Img2Img)}
"""Kind of a job -> its request."""
