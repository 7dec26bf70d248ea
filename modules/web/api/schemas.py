"""Bodies of requests and answers, field for field those of A1111's OpenAPI file; ours only adds bounds.

A field that is null counts as not given, as in A1111. Unknown fields are ignored, as in A1111.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from modules.settings.options import plain_text

MAX_DEPTH = 32
MAX_SIDE = 16384
MAX_SEED = 2**64 - 1


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("wants a number, got true or false")
    return value


def _sane(field: object) -> object:
    """Refuse in free-form fields what cannot be written down later: infinite numbers, and nesting without end."""
    level, depth = [field], 0
    while level:
        below: list[object] = []
        for value in level:
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError("holds a number that is not finite (NaN or Infinity)")
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        level, depth = below, depth + 1
        if depth > MAX_DEPTH:
            raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
    return field


Whole = Annotated[int, BeforeValidator(_no_bool)]
Real = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Text = Annotated[str, AfterValidator(plain_text)]
Seed = Annotated[Whole, Field(ge=-1, le=MAX_SEED)]
Side = Annotated[Whole, Field(ge=8, le=MAX_SIDE)]
Blur = Annotated[Whole, Field(ge=0, le=1024)]
ResizeSide = Annotated[Whole, Field(ge=-1, le=MAX_SIDE)]
Object = Annotated[dict[str, Any], BeforeValidator(_sane)]


class Schema(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class Processing(Schema):
    """What every request for pictures has. Widths and heights are rounded down to multiples of 8."""

    prompt: Text = ""
    negative_prompt: Text = ""
    styles: list[Text] | None = None
    seed: Seed = -1
    subseed: Seed = -1
    subseed_strength: Annotated[Real, Field(ge=0, le=1)] = 0
    seed_resize_from_h: ResizeSide = -1
    seed_resize_from_w: ResizeSide = -1
    sampler_name: Text | None = None
    scheduler: Text | None = None
    batch_size: Annotated[Whole, Field(ge=1, le=64)] = 1
    n_iter: Annotated[Whole, Field(ge=1, le=10_000)] = 1
    steps: Annotated[Whole, Field(ge=1, le=10_000)] = 50
    cfg_scale: Annotated[Real, Field(ge=0, le=1000)] = 7.0
    width: Side = 512
    height: Side = 512
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: Annotated[Real, Field(ge=0, le=1)] | None = None
    denoising_strength: Annotated[Real, Field(ge=0, le=1)] | None = None
    s_min_uncond: Annotated[Real, Field(ge=0)] | None = None
    s_churn: Annotated[Real, Field(ge=0)] | None = None
    s_tmax: Annotated[Real, Field(ge=0)] | None = None
    s_tmin: Annotated[Real, Field(ge=0)] | None = None
    s_noise: Annotated[Real, Field(ge=0, le=10)] | None = None
    override_settings: Object | None = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: Text | None = None
    refiner_switch_at: Real | None = None
    disable_extra_networks: bool = False
    firstpass_image: str | None = None
    comments: Object | None = None
    force_task_id: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    sampler_index: Text | None = "Euler"
    script_name: Text | None = None
    script_args: Annotated[list[Any], BeforeValidator(_sane)] = []
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: Object = {}
    infotext: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, body: Any) -> Any:
        return {key: value for key, value in body.items() if value is not None} if isinstance(body, dict) else body


class StableDiffusionProcessingTxt2Img(Processing):
    """What to make from text."""

    enable_hr: bool = False
    firstphase_width: Annotated[Whole, Field(ge=0, le=MAX_SIDE)] = 0
    firstphase_height: Annotated[Whole, Field(ge=0, le=MAX_SIDE)] = 0
    hr_scale: Annotated[Real, Field(ge=0)] = 2.0
    hr_upscaler: Text | None = None
    hr_second_pass_steps: Annotated[Whole, Field(ge=0, le=10_000)] = 0
    hr_resize_x: Annotated[Whole, Field(ge=0, le=MAX_SIDE)] = 0
    hr_resize_y: Annotated[Whole, Field(ge=0, le=MAX_SIDE)] = 0
    hr_checkpoint_name: Text | None = None
    hr_sampler_name: Text | None = None
    hr_scheduler: Text | None = None
    hr_prompt: Text = ""
    hr_negative_prompt: Text = ""
    hr_cfg: Annotated[Real, Field(ge=0, le=1000)] | None = None


class StableDiffusionProcessingImg2Img(Processing):
    """What to make from pictures, which are files in base64, with or without a data: prefix."""

    denoising_strength: Annotated[Real, Field(ge=0, le=1)] = 0.75
    init_images: list[Any] | None = None
    resize_mode: Annotated[Whole, Field(ge=0, le=3)] = 0
    image_cfg_scale: Annotated[Real, Field(ge=0, le=1000)] | None = None
    mask: str | None = None
    mask_blur_x: Blur = 4
    mask_blur_y: Blur = 4
    mask_blur: Blur | None = None
    mask_round: bool = True
    inpainting_fill: Annotated[Whole, Field(ge=0, le=3)] = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: Annotated[Whole, Field(ge=0, le=MAX_SIDE)] = 0
    inpainting_mask_invert: Annotated[int, Field(ge=0, le=1)] = 0  # some clients send true and false
    initial_noise_multiplier: Annotated[Real, Field(ge=0, le=10)] | None = None
    latent_mask: str | None = None
    include_init_images: bool = False


class TextToImageResponse(Schema):
    images: list[str] | None = Field(default=None, title="Image", description="The pictures, base64 without a prefix.")
    parameters: dict[str, Any] = Field(description="The request, every field of it.")
    info: str = Field(description="JSON: seeds, prompts, infotexts and more, as A1111 writes it.")


class ImageToImageResponse(TextToImageResponse):
    """As for text; the given pictures are in `parameters` only if `include_init_images` asks for them."""


class InterrogateRequest(Schema):
    image: str = Field(default="", description="A picture file, base64, with or without a data: prefix.")
    model: Text = Field(default="clip", description="What describes it: clip or deepdanbooru.")


class ProgressResponse(Schema):
    progress: float = Field(description="0 to 1; 0 when nothing runs.")
    eta_relative: float = Field(title="ETA in secs")
    state: dict[str, Any] = Field(description="Step and batch counters and flags of what runs now.")
    current_image: str | None = Field(default=None, description="A preview, base64 without a prefix.")
    textinfo: str | None = Field(default=None, title="Info text", description="What is going on, in words.")


class TaskProgressRequest(Schema):
    id_task: Text | None = Field(default=None, title="Task ID", description="A job id (force_task_id).")
    id_live_preview: int = Field(default=-1, title="Live preview image ID", description="The last preview received.")
    live_preview: bool = Field(default=True, title="Include live preview")


class TaskProgressResponse(Schema):
    active: bool = Field(title="Whether the task is being worked on right now")
    queued: bool = Field(title="Whether the task is in queue")
    completed: bool = Field(title="Whether the task has already finished")
    progress: float | None = Field(default=None, description="0 to 1.")
    eta: float | None = Field(default=None, title="ETA in secs")
    live_preview: str | None = Field(default=None, title="Live preview image", description="A data: URL.")
    id_live_preview: int | None = Field(default=None, title="Live preview image ID")
    textinfo: str | None = Field(default=None, title="Info text")


class PNGInfoRequest(Schema):
    image: str = Field(description="A picture file, base64, with or without a data: prefix.")


class PNGInfoResponse(Schema):
    info: str = Field(title="Image info", description="The generation parameters; empty if there are none.")
    items: dict[str, Any] = Field(description="The other texts in the file.")
    parameters: dict[str, Any] = Field(description="The generation parameters, field by field.")


class SamplerItem(Schema):
    name: str
    aliases: list[str]
    options: dict[str, str]


class SchedulerItem(Schema):
    name: str
    label: str
    aliases: list[str] | None = None
    default_rho: float | None = None
    need_inner_model: bool | None = Field(default=None, title="Needs Inner Model")


class SDModelItem(Schema):
    title: str
    model_name: str
    hash: str | None = Field(default=None, title="Short hash")
    sha256: str | None = Field(default=None, title="sha256 hash")
    filename: str
    config: str | None = Field(default=None, title="Config file")


class MemoryResponse(Schema):
    ram: dict[str, Any] = Field(title="RAM", description="Bytes of system memory.")
    cuda: dict[str, Any] = Field(title="CUDA", description="Bytes of accelerator memory.")
