"""A1111's types of axes for X/Y/Z plots: the table, and what its rows do to a request."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest, NotFound
from modules.generate.scripts.axes import (
    FIELD,
    NOTHING,
    Apply,
    Axes,
    Axis,
    Check,
    Choices,
    in_range,
    rounded,
    with_field,
    with_setting,
)
from modules.generate.scripts.registry import Menus

if TYPE_CHECKING:
    from modules.generate.scripts.context import Request


# --- legends


def _plain(axis: Axis, value: Any) -> str:
    return str(rounded(value))


def _joined(axis: Axis, value: Any) -> str:
    return ", ".join(value)


def _empty(axis: Axis, value: Any) -> str:
    return ""


def _file_name(axis: Axis, value: Any) -> str:
    return posixpath.basename(str(value).replace("\\", "/"))


# --- what an axis changes


def _field(name: str) -> Apply:
    return lambda request, value, values: with_field(request, name, value)


def _setting(key: str, *, boolean: bool = False) -> Apply:
    def apply(request: Request, value: Any, values: Sequence[Any]) -> Request:
        return with_setting(request, key, value.lower() == "true" if boolean else value)

    return apply


def _nothing(request: Request, value: Any, values: Sequence[Any]) -> Request:
    return request


def _replaced(request: Request, value: str, values: Sequence[str]) -> Request:
    """Prompt S/R: the first value of the axis, wherever it stands, becomes this one."""
    first = values[0]
    if first not in request.prompt and first not in request.negative_prompt:
        message = f'{FIELD}: Prompt S/R looks for "{first}", which neither the prompt nor the negative prompt has.'
        raise BadRequest(message, field=FIELD)
    return dataclasses.replace(
        request,
        prompt=request.prompt.replace(first, value),
        negative_prompt=request.negative_prompt.replace(first, value),
    )


def _ordered(request: Request, value: Sequence[str], values: Sequence[Any]) -> Request:
    """Prompt order: the places where the words stand are filled with them in this order."""
    rest, between = request.prompt, []
    for word in sorted(value, key=request.prompt.find):
        at = rest.find(word)
        if at < 0:
            raise BadRequest(f'{FIELD}: Prompt order looks for "{word}", which the prompt has not.', field=FIELD)
        between.append(rest[:at])
        rest = rest[at + len(word) :]
    prompt = "".join(part + word for part, word in zip(between, value, strict=True)) + rest
    return dataclasses.replace(request, prompt=prompt)


def _styled(request: Request, value: str, values: Sequence[str]) -> Request:
    return dataclasses.replace(request, styles=(*request.styles, *value.split(",")))


def _sized(request: Request, value: str, values: Sequence[str]) -> Request:
    width, height = size(value)
    return dataclasses.replace(request, width=width, height=height)


def size(text: str) -> tuple[int, int]:
    """ "512x768" -> (512, 768). Raises BadRequest."""
    width, _, height = text.lower().partition("x")
    if not (width.strip().isdecimal() and height.strip().isdecimal()):
        raise BadRequest(f'{FIELD}: "{text}" is no size; write it as 512x768.', field=FIELD)
    return int(width), int(height)


def _faces(request: Request, value: str, values: Sequence[str]) -> Request:
    restorer = {"codeformer": "CodeFormer", "gfpgan": "GFPGAN"}.get(value.lower())
    wanted = restorer is not None or value.lower() in ("true", "yes", "y", "1")
    request = with_field(request, "restore_faces", wanted)
    return with_setting(request, "face_restoration_model", restorer) if restorer else request


def _uni_pc_order(request: Request, value: int, values: Sequence[int]) -> Request:
    return with_setting(request, "uni_pc_order", min(value, request.steps - 1))


def _vae(request: Request, value: str, values: Sequence[str]) -> Request:
    return with_setting(request, "sd_vae", _VAE_WORDS.get(value.strip().lower(), value.strip()))


def _refiner(request: Request, value: str, values: Sequence[str]) -> Request:
    return with_field(request, "refiner_checkpoint", None if value in _NO_CHECKPOINT else value)


_VAE_WORDS = {"auto": "Automatic", "automatic": "Automatic", "none": "None"}
_NO_CHECKPOINT = ("", "None", "none")


# --- values that cannot work


def _known(kind: str, choices: Choices) -> Check:
    def check(menus: Menus, values: Sequence[str]) -> None:
        names = choices(menus)
        folded = {name.casefold() for name in names}
        for value in values:
            if value.casefold() not in folded:
                raise NotFound(kind, value, names, field=FIELD)

    return check


def _sampler_names(menus: Menus, values: Sequence[str]) -> None:
    if menus.find_sampler is None:
        return _known("Sampler", _samplers)(menus, values)
    for value in values:
        try:
            menus.find_sampler(value)
        except NotFound:
            raise NotFound("Sampler", value, menus.samplers(), field=FIELD) from None
    return None


def _checkpoints(menus: Menus, values: Sequence[str]) -> None:
    for value in values:
        menus.find_checkpoint(value)


def _checkpoints_or_none(menus: Menus, values: Sequence[str]) -> None:
    _checkpoints(menus, [value for value in values if value not in _NO_CHECKPOINT])


def _vaes(menus: Menus, values: Sequence[str]) -> None:
    _known("VAE", lambda menus: [*_VAE_WORDS, *menus.vaes()])(menus, [value.strip() for value in values])


def _sizes(menus: Menus, values: Sequence[str]) -> None:
    for value in values:
        size(value)


# --- menus


def _samplers(menus: Menus) -> Sequence[str]:
    return menus.samplers()


def _checkpoint_names(menus: Menus) -> Sequence[str]:
    return menus.checkpoints()


def _false_true(menus: Menus) -> Sequence[str]:
    return ("False", "True")


def _of(*names: str) -> Choices:
    return lambda menus: names


def _builtin() -> Iterable[Axis]:
    txt2img: Mapping[str, Any] = {"tabs": ("txt2img",)}
    img2img: Mapping[str, Any] = {"tabs": ("img2img",)}
    sampler: Mapping[str, Any] = {"check": _sampler_names, "choices": _samplers}
    whole: Mapping[str, Any] = {"kind": "int"}
    real: Mapping[str, Any] = {"kind": "float"}
    yield Axis(label=NOTHING, apply=_nothing, shown=_empty)
    yield Axis(label="Seed", apply=_field("seed"), **whole)
    yield Axis(label="Var. seed", apply=_field("subseed"), **whole)
    yield Axis(label="Var. strength", apply=_field("subseed_strength"), **real)
    yield Axis(label="Steps", apply=_field("steps"), **whole)
    yield Axis(label="Hires steps", apply=_field("hr_second_pass_steps"), **whole, **txt2img)
    yield Axis(label="CFG Scale", apply=_field("cfg_scale"), **real)
    yield Axis(label="Image CFG Scale", apply=_field("image_cfg_scale"), **real, **img2img)
    yield Axis(label="Prompt S/R", apply=_replaced, shown=_plain)
    yield Axis(label="Prompt order", apply=_ordered, kind="permutation", shown=_joined)
    yield Axis(label="Sampler", apply=_field("sampler_name"), shown=_plain, **sampler)
    yield Axis(label="Hires sampler", apply=_field("hr_sampler_name"), **sampler, **txt2img)
    yield Axis(
        label="Checkpoint name",
        apply=_setting("sd_model_checkpoint"),
        shown=_file_name,
        check=_checkpoints,
        cost=1.0,
        choices=_checkpoint_names,
    )
    yield Axis(label="Negative Guidance minimum sigma", apply=_field("s_min_uncond"), **real)
    yield Axis(label="Sigma Churn", apply=_field("s_churn"), **real)
    yield Axis(label="Sigma min", apply=_field("s_tmin"), **real)
    yield Axis(label="Sigma max", apply=_field("s_tmax"), **real)
    yield Axis(label="Sigma noise", apply=_field("s_noise"), **real)
    yield Axis(
        label="Schedule type",
        apply=_field("scheduler"),
        check=_known("Schedule type", lambda menus: menus.schedulers()),
        choices=lambda menus: menus.schedulers(),
    )
    yield Axis(label="Schedule min sigma", apply=_setting("sigma_min"), **real)
    yield Axis(label="Schedule max sigma", apply=_setting("sigma_max"), **real)
    yield Axis(label="Schedule rho", apply=_setting("rho"), **real)
    yield Axis(label="Beta schedule alpha", apply=_setting("beta_dist_alpha"), **real)
    yield Axis(label="Beta schedule beta", apply=_setting("beta_dist_beta"), **real)
    yield Axis(label="Eta", apply=_field("eta"), **real)
    yield Axis(label="Clip skip", apply=_setting("CLIP_stop_at_last_layers"), **whole)
    yield Axis(label="Denoising", apply=_field("denoising_strength"), **real)
    yield Axis(label="Initial noise multiplier", apply=_field("initial_noise_multiplier"), **real)
    yield Axis(label="Extra noise", apply=_setting("img2img_extra_noise"), **real)
    yield Axis(
        label="Hires upscaler",
        apply=_field("hr_upscaler"),
        choices=lambda menus: [*menus.latent_upscalers(), *menus.upscalers()],
        **txt2img,
    )
    yield Axis(label="Cond. Image Mask Weight", apply=_field("inpainting_mask_weight"), **real, **img2img)
    yield Axis(
        label="VAE",
        apply=_vae,
        check=_vaes,
        cost=0.7,
        choices=lambda menus: ["Automatic", "None", *menus.vaes()],
    )
    yield Axis(label="Styles", apply=_styled, choices=lambda menus: menus.styles())
    yield Axis(label="UniPC Order", apply=_uni_pc_order, cost=0.5, **whole)
    yield Axis(label="Face restore", apply=_faces, shown=_plain)
    yield Axis(label="Token merging ratio", apply=_setting("token_merging_ratio"), **real)
    yield Axis(label="Token merging ratio high-res", apply=_setting("token_merging_ratio_hr"), **real)
    yield Axis(
        label="Always discard next-to-last sigma",
        apply=_setting("always_discard_next_to_last_sigma", boolean=True),
        choices=_false_true,
    )
    yield Axis(label="SGM noise multiplier", apply=_setting("sgm_noise_multiplier", boolean=True), choices=_false_true)
    yield Axis(
        label="Refiner checkpoint",
        apply=_refiner,
        shown=_file_name,
        check=_checkpoints_or_none,
        cost=1.0,
        choices=lambda menus: ["None", *menus.checkpoints()],
    )
    yield Axis(label="Refiner switch at", apply=_field("refiner_switch_at"), **real)
    yield Axis(label="RNG source", apply=_setting("randn_source"), choices=_of("GPU", "CPU", "NV"))
    fp8 = _of("Disable", "Enable for SDXL", "Enable")
    yield Axis(label="FP8 mode", apply=_setting("fp8_storage"), cost=0.9, choices=fp8)
    yield Axis(label="Size", apply=_sized, check=_sizes)
    yield from _hypertile()


def _hypertile() -> Iterable[Axis]:
    """A1111's built-in extension adds these."""
    parts = (("Unet", "unet", ("First pass Enabled", "Second pass Enabled")), ("VAE", "vae", ("Enabled",)))
    for word, key, switches in parts:
        for suffix, switch in zip(("", "_secondpass"), switches, strict=False):
            yield Axis(
                label=f"[Hypertile] {word} {switch}",
                apply=_setting(f"hypertile_enable_{key}{suffix}", boolean=True),
                choices=_false_true,
            )
        for what, most, name in (
            ("Max Depth", 3, "max_depth"),
            ("Max Tile Size", 512, "max_tile"),
            ("Swap Size", 64, "swap_size"),
        ):
            label = f"[Hypertile] {word} {what}"
            yield Axis(
                label=label,
                apply=_setting(f"hypertile_{name}_{key}"),
                kind="int",
                check=in_range(label, 0, most),
                choices=_of("0", "1", "2", "3") if what == "Max Depth" else None,
            )


def builtin() -> Axes:
    """A1111's table."""
    return Axes(_builtin())
