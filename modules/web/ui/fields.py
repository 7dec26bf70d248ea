"""From infotext to the form's fields and back to a request: plain dictionaries of field name -> value.

Called by the txt2img and PNG Info tabs. The names are those of `txt2img.Tab`; nothing here knows Gradio.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest, NotFound
from modules.generate.request import Img2Img, Txt2Img
from modules.prompts import infotext

if TYPE_CHECKING:
    from modules.samplers.catalog import Catalog
    from modules.settings.options import Registry

CHECKPOINT = "sd_model_checkpoint"
SEED_FIELDS = ("seed", "subseed", "subseed_strength")
SIZE_FIELDS = ("width", "height")

# infotext label -> (field, type)
LABELS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "Prompt": ("prompt", str),
    "Negative prompt": ("negative_prompt", str),
    "Steps": ("steps", int),
    "CFG scale": ("cfg_scale", float),
    "Seed": ("seed", int),
    "Size-1": ("width", int),
    "Size-2": ("height", int),
    "Batch size": ("batch_size", int),
    "Variation seed": ("subseed", int),
    "Variation seed strength": ("subseed_strength", float),
    "Seed resize from-1": ("seed_resize_from_w", int),
    "Seed resize from-2": ("seed_resize_from_h", int),
    "Denoising strength": ("denoising_strength", float),
    "Hires upscale": ("hr_scale", float),
    "Hires upscaler": ("hr_upscaler", str),
    "Hires steps": ("hr_second_pass_steps", int),
    "Hires resize-1": ("hr_resize_x", int),
    "Hires resize-2": ("hr_resize_y", int),
    "Hires checkpoint": ("hr_checkpoint_name", str),
    "Hires sampler": ("hr_sampler_name", str),
    "Hires schedule type": ("hr_scheduler", str),
    "Hires prompt": ("hr_prompt", str),
    "Hires negative prompt": ("hr_negative_prompt", str),
    "Hires CFG Scale": ("hr_cfg", float),
    "Refiner": ("refiner_checkpoint", str),
    "Refiner switch at": ("refiner_switch_at", float),
    "Mask blur": ("mask_blur", int),
    "Masked area padding": ("inpaint_full_res_padding", int),
    "Image CFG scale": ("image_cfg_scale", float),
}
HIRES_LABELS = ("Hires upscale", "Hires upscaler", "Hires resize-1")
PICTURE_FIELDS = ("prompt", "negative_prompt", "subseed_show", "subseed", "subseed_strength")
"""What a picture that is enlarged keeps of how it was made."""
EXTRA_LABELS = ("Variation seed", "Variation seed strength", "Seed resize from-1", "Seed resize from-2")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pasted:
    """What an infotext says about the form: field values, override settings as "label: value", and remarks."""

    values: Mapping[str, Any]
    overrides: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def paste(
    parsed: Mapping[str, str],
    *,
    registry: Registry,
    current: Mapping[str, Any],
    catalog: Catalog,
) -> Pasted:
    """Fields of the form from a parsed infotext; labels in `current`'s option infotext_skip_pasting are left alone.

    Options whose labels are there and whose values differ from `current` become override settings.
    """
    if "Steps" in parsed:  # parameters, not just a prompt: what they leave out had a meaning too
        parsed = infotext.with_defaults(parsed, backward_compatible=bool(current["auto_backcompat"]))
    skipped = set(current["infotext_skip_pasting"])
    parsed = {label: str(text) for label, text in parsed.items() if label not in skipped}
    values, notes = plain_values(parsed)
    names, more = sampling(parsed, catalog)
    if "Seed" in parsed or any(label in parsed for label in EXTRA_LABELS):
        values["subseed_show"] = any(label in parsed for label in EXTRA_LABELS)
    if "Steps" in parsed:
        values["enable_hr"] = "Denoising strength" in parsed and any(label in parsed for label in HIRES_LABELS)
        values["enable_refiner"] = "Refiner" in parsed
    overrides = tuple(override_texts(parsed, registry, current))
    return Pasted(values=values | names, overrides=overrides, notes=(*notes, *more))


def plain_values(parsed: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The fields that one label names, and a remark for every text that is no number."""
    values: dict[str, Any] = {}
    notes = []
    for label, (field, kind) in LABELS.items():
        if label not in parsed:
            continue
        try:
            values[field] = kind(parsed[label])
        except ValueError:
            notes.append(f'{label}: "{parsed[label]}" is not a number; left as it was.')
    return values, notes


def sampling(parsed: Mapping[str, str], catalog: Catalog) -> tuple[dict[str, str], list[str]]:
    """Sampler and schedule as the dropdowns name them; old texts have both in one name ("DPM++ 2M Karras")."""
    values: dict[str, str] = {}
    notes = []
    try:
        if schedule := parsed.get("Schedule type"):
            values["scheduler"] = catalog.find_scheduler(schedule).label
    except NotFound as error:
        notes.append(f"{error} Left as it was.")
    try:
        if name := parsed.get("Sampler"):
            sampler, inside = catalog.find_sampler(name)
            values |= {"sampler": sampler.name} | ({"scheduler": inside.label} if inside else {})
    except NotFound as error:
        notes.append(f"{error} Left as it was.")
    return values, notes


def override_texts(parsed: Mapping[str, str], registry: Registry, current: Mapping[str, Any]) -> list[str]:
    """One text such as "Clip skip: 2" for every working option that the infotext sets to another value than now.

    The checkpoint is one of them only where option disable_weights_auto_swap is off.
    """
    texts = []
    for label, key in registry.labels().items():
        if label not in parsed or not registry[key].works:
            continue
        if key == CHECKPOINT and current["disable_weights_auto_swap"]:
            continue
        try:
            differs = registry.check(key, parsed[label]) != current[key]
        except BadRequest:
            differs = True  # shown all the same, so that the job's error names it
        if differs:
            texts.append(f"{label}: {parsed[label]}")
    return texts


def overrides_of(texts: Iterable[str], registry: Registry) -> dict[str, Any]:
    """Override settings of "label: value" texts. BadRequest names the one that cannot be used."""
    labels = registry.labels()
    overrides = {}
    for entry in texts:
        label, _, text = entry.partition(":")
        key = labels.get(label.strip())
        if key is None:
            raise BadRequest(f'Override settings: "{entry}" names no setting.', field="override_settings")
        overrides[key] = registry.check(key, text.strip(), field=f"override_settings.{key}")
    return overrides


def without(values: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """The same values less some fields."""
    return {field: value for field, value in values.items() if field not in fields}


def shared(values: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """What every request takes from the form. BadRequest for an empty number or an unusable override setting.

    The variation fields count only while "Extra" is ticked; an emptied seed means a random one.
    """
    extra, refined = bool(values["subseed_show"]), bool(values.get("enable_refiner"))
    return {
        "prompt": values["prompt"] or "",
        "negative_prompt": values["negative_prompt"] or "",
        "styles": tuple(values.get("styles") or ()),
        "seed": whole(values, "seed", -1),
        "subseed": whole(values, "subseed", -1) if extra else -1,
        "subseed_strength": number(values, "subseed_strength", 0.0) if extra else 0.0,
        "seed_resize_from_w": (whole(values, "seed_resize_from_w", 0) or -1) if extra else -1,
        "seed_resize_from_h": (whole(values, "seed_resize_from_h", 0) or -1) if extra else -1,
        "sampler_name": values["sampler"],
        "scheduler": values["scheduler"],
        "batch_size": whole(values, "batch_size"),
        "n_iter": whole(values, "batch_count"),
        "steps": whole(values, "steps"),
        "cfg_scale": number(values, "cfg_scale"),
        "width": whole(values, "width"),
        "height": whole(values, "height"),
        "refiner_checkpoint": _named(values["refiner_checkpoint"]) if refined else None,
        "refiner_switch_at": number(values, "refiner_switch_at") if refined else None,
        "user": values.get("user") or "",
        "override_settings": overrides_of(values["override_settings"] or (), registry),
    }


def txt2img(values: Mapping[str, Any], registry: Registry) -> Txt2Img:
    """The form's values as a request; the fields of hires fix count only while it is ticked. BadRequest as `shared`."""
    common = shared(values, registry)
    if not values.get("enable_hr"):
        return Txt2Img(**common)
    return Txt2Img(
        **common,
        enable_hr=True,
        denoising_strength=number(values, "denoising_strength"),
        hr_scale=number(values, "hr_scale"),
        hr_upscaler=values["hr_upscaler"],
        hr_second_pass_steps=whole(values, "hr_second_pass_steps"),
        hr_resize_x=whole(values, "hr_resize_x"),
        hr_resize_y=whole(values, "hr_resize_y"),
        hr_checkpoint_name=_named(values["hr_checkpoint_name"]),
        hr_sampler_name=_named(values["hr_sampler_name"]),
        hr_scheduler=_named(values["hr_scheduler"]),
        hr_prompt=values["hr_prompt"] or "",
        hr_negative_prompt=values["hr_negative_prompt"] or "",
        hr_cfg=number(values, "hr_cfg") or None,
    )


def img2img(values: Mapping[str, Any], registry: Registry) -> Img2Img:
    """The form's values as a request; the pictures are in the store of inputs already. BadRequest as `shared`."""
    blur = whole(values, "mask_blur")
    return Img2Img(
        **shared(values, registry),
        init_images=values["init_images"],
        denoising_strength=number(values, "denoising_strength"),
        resize_mode=values["resize_mode"],
        image_cfg_scale=number(values, "image_cfg_scale"),
        mask=values.get("mask"),
        mask_blur_x=blur,
        mask_blur_y=blur,
        inpainting_fill=values["inpainting_fill"],
        inpaint_full_res=bool(values["inpaint_full_res"]),
        inpaint_full_res_padding=whole(values, "inpaint_full_res_padding"),
        inpainting_mask_invert=values["inpainting_mask_invert"],
    )


def _named(choice: str | None) -> str | None:
    """What a menu's choice names; its first entry ("None", "Use same …") names nothing."""
    return None if not choice or choice == "None" or choice.startswith("Use same ") else choice


def number(values: Mapping[str, Any], field: str, default: float | None = None) -> float:
    """A finite number of the form; an empty field is `default`, or BadRequest where there is none."""
    value = values[field]
    value = default if value is None else value
    if value is None or not math.isfinite(value):
        raise BadRequest(f"{field}: a number is needed here.", field=field)
    return float(value)


def whole(values: Mapping[str, Any], field: str, default: int | None = None) -> int:
    """`number` as an int; BadRequest for a fraction."""
    value = values[field]
    if isinstance(value, int):
        return value
    found = number(values, field, default)
    if not found.is_integer():
        raise BadRequest(f"{field}: {found:g} is not a whole number.", field=field)
    return int(found)
