"""`p`: A1111's processing objects as a view of Easel's requests, and what is made of them.

`of_request` shows a request as a `p`; `to_request` is the way back; `process_images` makes the pictures of a `p`. Every
attribute may be set, also ones that A1111 does not know; those that a request has reach the picture.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from modules.compat import room as rooms
from modules.generate.request import Generation, Img2Img, Txt2Img
from modules.settings.version import VERSION

if TYPE_CHECKING:
    from modules.compat.room import Room

opt_C = 4  # noqa: N816
opt_f = 8


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessing:
    """A job. Lists `all_*` have one entry a picture, `prompts` and `seeds` those of the batch under way."""

    sd_model: Any = None
    outpath_samples: str | None = None
    outpath_grids: str | None = None
    prompt: Any = ""
    prompt_for_display: str | None = None
    negative_prompt: Any = ""
    styles: list[str] | None = None
    seed: Any = -1
    subseed: Any = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    seed_enable_extras: bool = True
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: dict[str, Any] | None = None
    overlay_images: Any = None
    eta: float | None = None
    do_not_reload_embeddings: bool = False
    denoising_strength: float | None = None
    ddim_discretize: str | None = None
    s_min_uncond: float | None = None
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool = True
    sampler_index: Any = None
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    token_merging_ratio: float = 0
    token_merging_ratio_hr: float = 0
    disable_extra_networks: bool = False
    firstpass_image: Any = None
    scripts_value: Any = dataclasses.field(default=None, init=False)
    script_args_value: Any = dataclasses.field(default=None, init=False)
    scripts_setup_complete: bool = dataclasses.field(default=False, init=False)

    cached_uc: ClassVar[list[Any]] = [None, None]
    cached_c: ClassVar[list[Any]] = [None, None]
    kind: ClassVar[type[Generation]] = Txt2Img

    def __post_init__(self) -> None:
        self.styles = list(self.styles or [])
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = dict(self.override_settings or {})
        self.sampler_noise_scheduler_override = None
        self.comments: dict[str, Any] = {}
        self.sampler: Any = None
        self.rng: Any = None
        self.c: Any = None
        self.uc: Any = None
        self.is_using_inpainting_conditioning = False
        self.paste_to: Any = None
        self.is_hr_pass = False
        self.step_multiplier = 1
        self.color_corrections: Any = None
        self.all_prompts: Any = None
        self.all_negative_prompts: Any = None
        self.all_seeds: Any = None
        self.all_subseeds: Any = None
        self.prompts: Any = None
        self.negative_prompts: Any = None
        self.seeds: Any = None
        self.subseeds: Any = None
        self.main_prompt: Any = None
        self.main_negative_prompt: Any = None
        self.extra_network_data: Any = None
        self.iteration = 0
        self.batch_index = 0
        self.user: str | None = None
        self.is_api = False
        self.sd_model_name = self.sd_model_hash = self.sd_vae_name = self.sd_vae_hash = None
        self._request: Generation | None = None
        self._inputs: dict[int, tuple[Any, str]] = {}
        if self.sampler_index is not None and self.sampler_name is None:
            self.sampler_name = self.sampler_index if isinstance(self.sampler_index, str) else None

    @property
    def scripts(self) -> Any:
        return self.scripts_value

    @scripts.setter
    def scripts(self, value: Any) -> None:
        self.scripts_value = value
        self._set_up()

    @property
    def script_args(self) -> Any:
        return self.script_args_value

    @script_args.setter
    def script_args(self, value: Any) -> None:
        self.script_args_value = value
        self._set_up()

    def _set_up(self) -> None:
        if self.scripts_value and self.script_args_value and not self.scripts_setup_complete:
            self.setup_scripts()

    def setup_scripts(self) -> None:
        self.scripts_setup_complete = True
        self.scripts_value.setup_scrips(self)

    def comment(self, text: str) -> None:
        """A remark for the user."""
        self.comments[text] = 1

    def clear_prompt_cache(self) -> None:
        """Easel's own cache knows texts from one another."""
        type(self).cached_c = [None, None]
        type(self).cached_uc = [None, None]

    def setup_prompts(self) -> None:
        """One prompt for every picture, with styles."""
        count = self.batch_size * self.n_iter
        many = [self.prompt] * count if isinstance(self.prompt, str) else list(self.prompt)
        negative = self.negative_prompt
        others = [negative] * len(many) if isinstance(negative, str) else list(negative)
        book = rooms.current().app.styles
        pairs = [book.apply(self.styles, each, other)[:2] for each, other in zip(many, others, strict=True)]
        self.all_prompts = [each for each, _ in pairs]
        self.all_negative_prompts = [other for _, other in pairs]
        self.main_prompt, self.main_negative_prompt = pairs[0]

    def setup_conds(self) -> None:
        """Easel encodes prompts when a batch is ready; `c` and `uc` are there from then on."""

    def calculate_hr_conds(self) -> None:
        """Easel encodes the second pass' prompts itself."""

    def get_conds(self) -> tuple[Any, Any]:
        return self.c, self.uc

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        return 0.0

    def save_samples(self) -> bool:
        """Whether pictures of this job are to be saved."""
        return bool(rooms.current().opts.samples_save) and not self.do_not_save_samples

    def init(self, all_prompts: Any, all_seeds: Any, all_subseeds: Any) -> None:
        """A1111's step before sampling; Easel plans."""

    def sample(self, conditioning: Any, unconditional_conditioning: Any, seeds: Any, subseeds: Any, **more: Any) -> Any:
        """Sampling is Easel's; a `p` of its own goes to process_images."""
        raise NotImplementedError("p.sample() cannot be called here: use processing.process_images(p).")

    def close(self) -> None:
        self.sampler = self.c = self.uc = None

    def parse_extra_network_prompts(self) -> None:
        from modules.compat.prompting import parse_prompts

        self.prompts, self.extra_network_data = parse_prompts(self.prompts)

    def __str__(self) -> str:
        return json.dumps({"prompt": self.prompt, "seed": self.seed, "steps": self.steps}, default=str)


def _model(p: Any) -> Any:
    """`shared.sd_model`: the job's own while it runs."""
    from modules.compat import model

    return model.now(rooms.current())


StableDiffusionProcessing.sd_model = property(_model, lambda p, value: None)


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    """Text to image; fields `hr_*` are those of the second pass."""

    enable_hr: bool = False
    denoising_strength: float | None = 0.75
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
    hr_prompt: Any = ""
    hr_negative_prompt: Any = ""
    force_task_id: str | None = None

    cached_hr_uc: ClassVar[list[Any]] = [None, None]
    cached_hr_c: ClassVar[list[Any]] = [None, None]
    kind: ClassVar[type[Generation]] = Txt2Img

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hr_checkpoint_info = None
        self.hr_upscale_to_x = self.hr_resize_x
        self.hr_upscale_to_y = self.hr_resize_y
        self.truncate_x = self.truncate_y = 0
        self.latent_scale_mode = None
        self.hr_c = self.hr_uc = None
        self.hr_prompts = self.hr_negative_prompts = None
        self.all_hr_prompts = self.all_hr_negative_prompts = None
        self.hr_extra_network_data = None

    def calculate_target_resolution(self) -> None:
        """hr_upscale_to_x and _y: the size of the second pass."""
        if self.hr_resize_x == 0 and self.hr_resize_y == 0:
            self.hr_upscale_to_x = int(self.width * self.hr_scale)
            self.hr_upscale_to_y = int(self.height * self.hr_scale)
        else:
            self.hr_upscale_to_x = self.hr_resize_x or self.hr_resize_y * self.width // self.height
            self.hr_upscale_to_y = self.hr_resize_y or self.hr_resize_x * self.height // self.width


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    """Image to image; `mask` of the constructor is the attribute `image_mask`."""

    init_images: list[Any] | None = None
    resize_mode: int = 0
    denoising_strength: float | None = 0.75
    image_cfg_scale: float | None = None
    mask: Any = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_blur: dataclasses.InitVar[int | None] = None
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: Any = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float | None = None
    latent_mask: Any = None
    force_task_id: str | None = None

    kind: ClassVar[type[Generation]] = Img2Img

    def __post_init__(self, mask_blur: Any) -> None:
        super().__post_init__()
        self.image_mask = self.mask
        self.mask = None
        self.nmask: Any = None
        self.image_conditioning: Any = None
        self.init_img_hash: str | None = None
        self.mask_for_overlay: Any = None
        self.init_latent: Any = None
        if isinstance(mask_blur, int | float):
            self.mask_blur_x = self.mask_blur_y = int(mask_blur)


def _blur(p: StableDiffusionProcessingImg2Img) -> int | None:
    return p.mask_blur_x if p.mask_blur_x == p.mask_blur_y else None


def _set_blur(p: StableDiffusionProcessingImg2Img, value: Any) -> None:
    if isinstance(value, int | float):
        p.mask_blur_x = p.mask_blur_y = int(value)


StableDiffusionProcessingImg2Img.mask_blur = property(_blur, _set_blur)  # type: ignore[attr-defined]

KINDS: Mapping[str, type[StableDiffusionProcessing]] = {
    "txt2img": StableDiffusionProcessingTxt2Img,
    "img2img": StableDiffusionProcessingImg2Img,
}

_PICTURES = {"init_images": "init_images", "mask": "image_mask", "latent_mask": "latent_mask"}
"""Fields of a request that are names of pictures -> the attribute that has the picture."""
_OWN = {"extension_args", "firstpass_image", "soft_inpainting", "hr_cfg"}
"""Fields of a request that a `p` does not show."""
_WHOLE = {
    *("width", "height", "steps", "batch_size", "n_iter", "seed", "subseed", "seed_resize_from_h", "hr_resize_x"),
    *("seed_resize_from_w", "hr_resize_y", "hr_second_pass_steps", "resize_mode", "mask_blur_x", "mask_blur_y"),
    *("inpainting_fill", "inpaint_full_res_padding", "inpainting_mask_invert", "firstphase_width", "firstphase_height"),
}


def of_request(room: Room, request: Generation) -> StableDiffusionProcessing:
    """A request as a `p`."""
    kind = KINDS[request.kind]
    known = {field.name for field in dataclasses.fields(kind)}
    fields = {field.name for field in dataclasses.fields(request)} & known - set(_PICTURES) - _OWN
    p = kind(**{name: _shown(getattr(request, name)) for name in fields})
    p._request = request
    p.user = request.user or None
    for field, attribute in _PICTURES.items():
        if hasattr(request, field):
            setattr(p, attribute, _opened(room, p, getattr(request, field), field))
    options = room.opts
    p.outpath_samples = options.outdir_samples or options.get(f"outdir_{request.kind}_samples")
    p.outpath_grids = options.outdir_grids or options.get(f"outdir_{request.kind}_grids")
    return p


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _opened(room: Room, p: StableDiffusionProcessing, names: Any, field: str) -> Any:
    """Pictures behind names, remembered with them."""
    if names is None:
        return None
    if isinstance(names, tuple):
        return [_opened(room, p, name, field) for name in names]
    image = room.app.inputs.open(names, field=field)
    p._inputs[id(image)] = (image, names)
    return image


def to_request(room: Room, p: StableDiffusionProcessing) -> Generation:
    """The request of a `p` as it is now."""
    kind = p.kind
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        name = field.name
        if name in _PICTURES:
            values[name] = _named(room, p, getattr(p, _PICTURES[name], None))
        elif name not in _OWN and hasattr(p, name):
            values[name] = _taken(name, getattr(p, name))
    values = {name: value for name, value in values.items() if value is not None or name in _NONE}
    if p._request is not None and isinstance(p._request, kind):
        return dataclasses.replace(p._request, **values)
    return kind(**values)


_NONE = {"mask", "latent_mask", "scheduler", "denoising_strength", "tiling", "restore_faces", "hr_upscaler", "eta"}
_FLOATS = {
    *("cfg_scale", "subseed_strength", "denoising_strength", "hr_scale", "eta", "s_churn", "s_tmin", "s_tmax"),
    *("s_noise", "s_min_uncond", "refiner_switch_at", "image_cfg_scale", "initial_noise_multiplier"),
}


def _taken(name: str, value: Any) -> Any:
    if name in ("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt", "seed", "subseed"):
        value = value[0] if isinstance(value, list | tuple) and value else value
    if name in _WHOLE:
        return int(value) if value not in (None, "") else (-1 if "seed" in name else 0)
    if name in _FLOATS and value is not None:
        return float(value)
    if name == "inpaint_full_res":
        return bool(value)
    if name == "styles":
        return tuple(value or ())
    if name == "override_settings":
        registry = rooms.current().app.options.registry
        return {key: each for key, each in (value or {}).items() if key in registry}
    return value


def _named(room: Room, p: StableDiffusionProcessing, picture: Any) -> Any:
    if picture is None:
        return None
    if isinstance(picture, list | tuple):
        return tuple(_named(room, p, each) for each in picture)
    known = p._inputs.get(id(picture))
    if known is not None and known[0] is picture:
        return known[1]
    if not isinstance(picture, Image.Image):
        picture = _decoded(picture)
    name = room.app.inputs.add_image(picture)
    p._inputs[id(picture)] = (picture, name)
    return name


def _decoded(picture: Any) -> Image.Image:
    import numpy as np

    if isinstance(picture, np.ndarray):
        return Image.fromarray(picture)
    from modules.compat.picture import decode_base64_to_image

    return decode_base64_to_image(picture)


def get_fixed_seed(seed: Any) -> int:
    """The seed, or a random one for -1, "" and None."""
    try:
        number = int(seed)
    except (TypeError, ValueError):
        number = -1
    return random.randrange(4294967294) if number == -1 else number


def fix_seed(p: StableDiffusionProcessing) -> None:
    """Random seeds become real ones."""
    p.seed, p.subseed = get_fixed_seed(p.seed), get_fixed_seed(p.subseed)


def process_images(p: StableDiffusionProcessing) -> Any:
    """Make the pictures of a `p` -> Processed. Called from any thread; outside a job it waits its turn."""
    from modules.compat.running import make

    return make(rooms.current(), p)


process_images_inner = process_images


def program_version() -> str:
    return VERSION


class DecodedSamples(list[Any]):
    """Pictures that need no decoding any more."""

    already_decoded = True


def create_infotext(
    p: Any,
    all_prompts: Any,
    all_seeds: Any,
    all_subseeds: Any,
    comments: Any = None,
    iteration: int = 0,
    position_in_batch: int = 0,
    use_main_prompt: bool = False,
    index: int | None = None,
    all_negative_prompts: Any = None,
) -> str:
    """The infotext of a picture of the job under way, or of what a `p` would make."""
    from modules.generate import describe

    room = rooms.current()
    index = position_in_batch + iteration * p.batch_size if index is None else index
    frame = room.frame
    if frame is not None and frame.p is p and frame.plan is not None:
        plan = frame.plan
    else:
        plan = room.app.desk.check(to_request(room, p), room.app.options.snapshot().overlay(p.override_settings or {}))
    count = plan.count
    place = min(max(index, 0), count - 1)

    def said(given: Any, planned: Any, fallback: Any = None) -> Any:
        return given[index] if given and index < len(given) else (fallback or planned[place])

    prompt = p.main_prompt if use_main_prompt and p.main_prompt else said(all_prompts, plan.prompts)
    negative = said(all_negative_prompts, plan.negative_prompts, p.main_negative_prompt if use_main_prompt else None)
    plan = dataclasses.replace(
        plan,
        prompts=_with(plan.prompts, place, prompt),
        negative_prompts=_with(plan.negative_prompts, place, negative),
        seeds=_with(plan.seeds, place, int(said(all_seeds, plan.seeds))),
        subseeds=_with(plan.subseeds, place, int(said(all_subseeds, plan.subseeds))),
        tellers=(),
    )
    told = {key: value for key, value in p.extra_generation_params.items() if not callable(value)}
    return describe.text_of(plan, place, {**plan.extra, **told})


def _with(items: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    return (*items[:place], value, *items[place + 1 :])


def setup_color_correction(image: Image.Image) -> Any:
    """(H, W, 3) of 8-bit Lab: what apply_color_correction takes."""
    import numpy as np

    from modules.imaging import colour

    return colour.to_lab(np.asarray(image.convert("RGB")).copy())


def apply_color_correction(correction: Any, original_image: Image.Image) -> Image.Image:
    """The picture with the colours that setup_color_correction read of another."""
    from modules.imaging import colour

    return colour.corrected(original_image, Image.fromarray(colour.to_rgb(correction)))


def apply_overlay(image: Image.Image, paste_loc: Any, overlay: Any) -> Any:
    """(the picture below its untouched rest, the picture at its place)."""
    if overlay is None:
        return image, image.copy()
    if paste_loc is not None:
        x, y, w, h = paste_loc
        canvas = Image.new("RGBA", (overlay.width, overlay.height))
        canvas.paste(image.resize((w, h), Image.Resampling.LANCZOS), (x, y))
        image = canvas
    denoised = image.copy()
    under = image.convert("RGBA")
    under.alpha_composite(overlay)
    return under.convert("RGB"), denoised


def txt2img_image_conditioning(sd_model: Any, x: Any, width: int, height: int) -> Any:
    """What models without further channels are told: zeros (B, 5, 1, 1)."""
    return x.new_zeros(x.shape[0], 5, 1, 1, dtype=x.dtype)


_ELSEWHERE = {
    "Processed": "modules.compat.processed",
    "create_binary_mask": "modules.compat.picture",
    "images_tensor_to_samples": "modules.compat.sampling",
    "decode_first_stage": "modules.compat.sampling",
    "decode_latent_batch": "modules.compat.sampling",
    "create_random_tensors": "modules.compat.sampling",
    "slerp": "modules.core.noise",
}
_MODULES = {
    **{"sd_models": "modules.sd_models", "shared": "modules.shared", "images": "modules.images"},
    **{"devices": "modules.devices", "prompt_parser": "modules.prompt_parser", "masking": "modules.masking"},
    **{"scripts": "modules.scripts", "sd_samplers": "modules.sd_samplers", "infotext_utils": "modules.infotext_utils"},
    **{"extra_networks": "modules.extra_networks", "rng": "modules.rng", "sd_vae": "modules.sd_vae"},
    **{"errors": "modules.errors", "paths": "modules.paths"},
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in ("opts", "state", "cmd_opts"):
        from modules.compat import shared

        return shared.LIVE[name]()
    if name == "model_hijack":
        from modules.compat import hijack

        return hijack.model_hijack
    raise AttributeError(f"modules.processing has no {name}")
