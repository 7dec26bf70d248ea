"""`Processed`: what `process_images` gives back and scripts hand on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from modules.compat import room as rooms
from modules.settings.version import VERSION

if TYPE_CHECKING:
    from modules.compat.processing import StableDiffusionProcessing


class Processed:
    """Pictures with what is told of them; lists have one entry a picture but for grids at the front."""

    def __init__(
        self,
        p: StableDiffusionProcessing,
        images_list: list[Any],
        seed: Any = -1,
        info: str = "",
        subseed: Any = None,
        all_prompts: list[str] | None = None,
        all_negative_prompts: list[str] | None = None,
        all_seeds: list[int] | None = None,
        all_subseeds: list[int] | None = None,
        index_of_first_image: int = 0,
        infotexts: list[str] | None = None,
        comments: str = "",
    ) -> None:
        self.images = images_list
        self.extra_images: list[Any] = []
        self.prompt = _first(p.prompt)
        self.negative_prompt = _first(p.negative_prompt)
        self.seed = int(_first(seed)) if _first(seed) is not None else -1
        self.subseed = int(_first(subseed)) if _first(subseed) is not None else -1
        self.subseed_strength = p.subseed_strength
        self.info = info
        self.comments = comments or "".join(f"{comment}\n" for comment in p.comments)
        self.width, self.height = p.width, p.height
        self.sampler_name = p.sampler_name
        self.cfg_scale = p.cfg_scale
        self.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.steps = p.steps
        self.batch_size = p.batch_size
        self.restore_faces = p.restore_faces
        self.face_restoration_model = None
        self.sd_model_name, self.sd_model_hash = p.sd_model_name, p.sd_model_hash
        self.sd_vae_name, self.sd_vae_hash = p.sd_vae_name, p.sd_vae_hash
        self.seed_resize_from_w, self.seed_resize_from_h = p.seed_resize_from_w, p.seed_resize_from_h
        self.denoising_strength = p.denoising_strength
        self.extra_generation_params = p.extra_generation_params
        self.index_of_first_image = index_of_first_image
        self.styles = p.styles
        self.job_timestamp = str(rooms.current().state.job_timestamp)
        self.clip_skip = rooms.current().opts.CLIP_stop_at_last_layers
        self.token_merging_ratio = p.token_merging_ratio
        self.token_merging_ratio_hr = p.token_merging_ratio_hr
        self.eta, self.ddim_discretize = p.eta, p.ddim_discretize
        self.s_churn, self.s_tmin, self.s_tmax, self.s_noise = p.s_churn, p.s_tmin, p.s_tmax, p.s_noise
        self.s_min_uncond = p.s_min_uncond
        self.sampler_noise_scheduler_override = p.sampler_noise_scheduler_override
        self.is_using_inpainting_conditioning = p.is_using_inpainting_conditioning
        self.all_prompts = all_prompts or p.all_prompts or [self.prompt]
        self.all_negative_prompts = all_negative_prompts or p.all_negative_prompts or [self.negative_prompt]
        self.all_seeds = all_seeds or p.all_seeds or [self.seed]
        self.all_subseeds = all_subseeds or p.all_subseeds or [self.subseed]
        self.infotexts = infotexts or [info] * len(images_list)
        self.version = VERSION

    def js(self) -> str:
        """A1111's `info` object as JSON."""
        names = (
            *("prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds", "subseed"),
            *("all_subseeds", "subseed_strength", "width", "height", "sampler_name", "cfg_scale", "steps"),
            *("batch_size", "restore_faces", "face_restoration_model", "sd_model_name", "sd_model_hash"),
            *("sd_vae_name", "sd_vae_hash", "seed_resize_from_w", "seed_resize_from_h", "denoising_strength"),
            *("extra_generation_params", "index_of_first_image", "infotexts", "styles", "job_timestamp", "clip_skip"),
            *("is_using_inpainting_conditioning", "version"),
        )
        return json.dumps({name: getattr(self, name) for name in names}, default=lambda value: None)

    def infotext(self, p: StableDiffusionProcessing, index: int) -> str:
        """The text of picture `index` (without grids)."""
        place = index + self.index_of_first_image
        return self.infotexts[place] if place < len(self.infotexts) else self.info

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        return self.token_merging_ratio_hr if for_hr else self.token_merging_ratio


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and value else value
