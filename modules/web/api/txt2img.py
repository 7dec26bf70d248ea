"""From the body of /sdapi/v1/txt2img to a `Txt2Img`: features that are not there yet, infotext, old field names.

Pure: what the options say comes in as a snapshot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from modules.core.errors import BadRequest
from modules.generate.request import Txt2Img
from modules.imaging.inputs import Inputs
from modules.prompts import importing, infotext, pasted_styles
from modules.prompts.styles import StyleBook
from modules.settings.options import Registry, Snapshot
from modules.web.api.pictures import NO_ADDRESSES, decode
from modules.web.api.schemas import Processing, StableDiffusionProcessingTxt2Img
from modules.web.security.fetching import Policy

Body = TypeVar("Body", bound=Processing)

FIELD_OF_LABEL = {
    "Prompt": "prompt",
    "Negative prompt": "negative_prompt",
    "Steps": "steps",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Size-1": "width",
    "Size-2": "height",
    "Batch size": "batch_size",
    "Variation seed": "subseed",
    "Variation seed strength": "subseed_strength",
    "Seed resize from-1": "seed_resize_from_w",
    "Seed resize from-2": "seed_resize_from_h",
    "Denoising strength": "denoising_strength",
    "Refiner": "refiner_checkpoint",
    "Refiner switch at": "refiner_switch_at",
    "Hires upscale": "hr_scale",
    "Hires upscaler": "hr_upscaler",
    "Hires steps": "hr_second_pass_steps",
    "Hires resize-1": "hr_resize_x",
    "Hires resize-2": "hr_resize_y",
    "Hires checkpoint": "hr_checkpoint_name",
    "Hires sampler": "hr_sampler_name",
    "Hires schedule type": "hr_scheduler",
    "Hires prompt": "hr_prompt",
    "Hires negative prompt": "hr_negative_prompt",
    "Hires CFG Scale": "hr_cfg",
    pasted_styles.STYLES: "styles",
}
_SIGNS_OF_HIRES = ("Hires upscale", "Hires upscaler", "Hires resize-1", "First pass size-1")
_SIZES = ("Size-1", "Size-2", "Hires resize-1", "Hires resize-2")

SHARED_FIELDS = (
    *("prompt", "negative_prompt", "seed", "subseed", "subseed_strength", "seed_resize_from_h", "seed_resize_from_w"),
    *("scheduler", "batch_size", "n_iter", "steps", "cfg_scale", "width", "height"),
    *("restore_faces", "tiling", "denoising_strength"),
    *("refiner_checkpoint", "refiner_switch_at"),
    *("eta", "s_min_uncond", "s_churn", "s_tmax", "s_tmin", "s_noise"),
)
"""Fields that go into any request as they are."""

REQUEST_FIELDS = (
    *SHARED_FIELDS,
    *("enable_hr", "firstphase_width", "firstphase_height", "hr_scale", "hr_upscaler"),
    *("hr_second_pass_steps", "hr_resize_x", "hr_resize_y", "hr_checkpoint_name", "hr_sampler_name", "hr_scheduler"),
    *("hr_prompt", "hr_negative_prompt", "hr_cfg"),
)
"""Fields that go into the `Txt2Img` as they are, the shared ones first."""


def complete(body: Body, options: Snapshot, registry: Registry, styles: StyleBook) -> Body:
    """The body with the fields that are absent taken from its `infotext`, if it has one. What is given stays.

    Settings in the text that are not the ones of now go into `override_settings`; option infotext_styles says what
    becomes of `styles` that its prompts have. Raises BadRequest(field="infotext").
    """
    if not body.infotext:
        return body
    skipped = set(options["infotext_skip_pasting"])
    heard = pasted_styles.inferred(importing.parse(body.infotext), styles, options["infotext_styles"])
    found = {label: value for label, value in heard.items() if label not in skipped}
    fields: dict[str, Any] = {field: found[label] for label, field in FIELD_OF_LABEL.items() if label in found}
    if "First pass size-1" in found:
        implied = infotext.with_defaults(found)
        fields |= {FIELD_OF_LABEL[label]: implied[label] for label in _SIZES if label in implied}
    if any(label in found for label in _SIGNS_OF_HIRES):
        fields["enable_hr"] = True
    fields = {field: value for field, value in fields.items() if field in type(body).model_fields}
    given = body.model_dump(exclude_unset=True)
    if "sampler_index" in given:
        fields.pop("sampler_name", None)
    overrides = _settings(found, skipped, options, registry) | (body.override_settings or {})
    merged = {**fields, **given, "override_settings": overrides}
    try:
        return type(body).model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"infotext: {where}: {first['msg']}", field="infotext") from error


def _settings(found: Mapping[str, Any], skipped: set[str], options: Snapshot, registry: Registry) -> dict[str, Any]:
    """Settings that the text names or implies and that differ from those of now."""
    implied = infotext.with_defaults(found, backward_compatible=options["auto_backcompat"])
    working = {label: key for label, key in registry.labels().items() if registry[key].works}
    keys = {label: key for label, key in working.items() if label in implied and label not in skipped}
    if options["disable_weights_auto_swap"]:
        keys.pop("Model hash", None)
    values = {key: registry.check(key, implied[label], field="infotext") for label, key in keys.items()}
    return {key: value for key, value in values.items() if value != options[key]}


def request(body: StableDiffusionProcessingTxt2Img) -> Txt2Img:
    """The job that a complete body asks for."""
    return Txt2Img(**shared(body), **{field: getattr(body, field) for field in REQUEST_FIELDS[len(SHARED_FIELDS) :]})


def shared(body: Processing) -> dict[str, Any]:
    """What a request of either kind takes from a complete body."""
    return {field: getattr(body, field) for field in SHARED_FIELDS} | {
        "styles": tuple(body.styles or ()),
        "sampler_name": body.sampler_name or body.sampler_index or "Euler",
        "do_not_save_samples": body.do_not_save_samples or not body.save_images,
        "do_not_save_grid": body.do_not_save_grid or not body.save_images,
        "override_settings": body.override_settings or {},
    }


def with_first_pass(asked: Txt2Img, picture: str, inputs: Inputs, addresses: Policy = NO_ADDRESSES) -> Txt2Img:
    """The job with this picture in the first pass's place, which has its size then. Without hires fix it is of
    no use. Raises BadRequest(field="firstpass_image").
    """
    if not asked.enable_hr or not picture:
        return asked
    name = inputs.add(decode(picture, field="firstpass_image", addresses=addresses), field="firstpass_image")
    width, height = inputs.open(name, field="firstpass_image").size
    return dataclasses.replace(asked, firstpass_image=name, width=width, height=height)
