"""What is said about pictures: A1111's infotext below each, and the `info` object of the API's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.core.types import JsonObject
from modules.generate import hires_plan, token_merging
from modules.generate.plan import Plan
from modules.loading import storage
from modules.prompts import infotext


def text_of(plan: Plan, index: int, extra: Mapping[str, Any]) -> str:
    """The infotext of picture `index`; extra: the plan's facts and those that sampling added. A1111's order."""
    request, options, checkpoint = plan.request, plan.options, plan.checkpoint
    varied = request.subseed_strength != 0
    resized = request.seed_resize_from_w > 0 and request.seed_resize_from_h > 0
    given = {**plan.opening, **extra}
    if plan.hires:
        given |= hires_plan.told_words(plan.hires, index, plan.prompts[index], plan.negative_prompts[index])
    for tell in plan.tellers:
        given |= tell(plan, index)
    prompt = given.pop("Prompt", plan.prompts[index])
    negative_prompt = given.pop("Negative prompt", plan.negative_prompts[index])
    fields: dict[str, Any] = {
        "Steps": request.steps,
        "Sampler": plan.sampler.name,
        "Schedule type": plan.scheduler_label,
        "CFG scale": request.cfg_scale,
        "Image CFG scale": plan.image_scale,
        "Seed": plan.seeds[index],
        "Face restoration": plan.restorer,
        "Size": f"{request.width}x{request.height}",
        "Model hash": checkpoint.hash if options["add_model_hash_to_info"] else None,
        "Model": checkpoint.short_name if options["add_model_name_to_info"] else None,
        "FP8 weight": options["fp8_storage"] if storage.wanted(options, checkpoint.family) else None,
        "VAE hash": plan.vae.hash if plan.vae and options["add_vae_hash_to_info"] else None,
        "VAE": plan.vae.name if plan.vae and options["add_vae_name_to_info"] else None,
        "Variation seed": plan.subseeds[index] if varied else None,
        "Variation seed strength": request.subseed_strength if varied else None,
        "Seed resize from": f"{request.seed_resize_from_w}x{request.seed_resize_from_h}" if resized else None,
        "Denoising strength": given.get("Denoising strength"),
        "Conditional mask weight": options["inpainting_mask_weight"] if plan.shows_mask else None,
        "Clip skip": plan.text.skip if plan.text.skip > 1 else None,
        "ENSD": _noise_seed_delta(plan),
        "Token merging ratio": token_merging.ratio(plan) or None,
        "Token merging ratio hr": (token_merging.ratio(plan, again=True) or None) if plan.hires else None,
        "Init image hash": plan.picture_hash,
        "RNG": options["randn_source"] if options["randn_source"] != "GPU" else None,
        "Tiling": True if plan.tiling else None,
        **given,
        "Version": f"Easel {plan.version}" if options["add_version_to_infotext"] else None,
        "User": request.user or None if options["add_user_name_to_info"] else None,
    }
    return infotext.write(prompt, negative_prompt, fields)


def _noise_seed_delta(plan: Plan) -> int | None:
    delta: int = plan.options["eta_noise_seed_delta"]
    uses = "uses_ensd" in plan.sampler.options and plan.parameters.get("eta", 1.0) != 0
    return delta if delta and uses else None


def info(plan: Plan, infotexts: list[str], *, extra: Mapping[str, Any], first: int) -> JsonObject:
    """A1111's `info` object. first: index of the first picture that is not a grid."""
    request, checkpoint = plan.request, plan.checkpoint
    return {
        "prompt": plan.prompts[0],
        "all_prompts": list(plan.prompts),
        "negative_prompt": plan.negative_prompts[0],
        "all_negative_prompts": list(plan.negative_prompts),
        "seed": plan.seeds[0],
        "all_seeds": list(plan.seeds),
        "subseed": plan.subseeds[0],
        "all_subseeds": list(plan.subseeds),
        "subseed_strength": request.subseed_strength,
        "width": request.width,
        "height": request.height,
        "sampler_name": plan.sampler.name,
        "cfg_scale": request.cfg_scale,
        "steps": request.steps,
        "batch_size": request.batch_size,
        "restore_faces": plan.restorer is not None,
        "face_restoration_model": plan.restorer,
        "sd_model_name": checkpoint.short_name,
        "sd_model_hash": checkpoint.hash,
        "sd_vae_name": plan.vae.name if plan.vae else None,
        "sd_vae_hash": plan.vae.hash if plan.vae else None,
        "seed_resize_from_w": request.seed_resize_from_w,
        "seed_resize_from_h": request.seed_resize_from_h,
        "denoising_strength": request.denoising_strength,
        "extra_generation_params": {**plan.opening, **extra},
        "index_of_first_image": first,
        "infotexts": infotexts,
        "styles": list(request.styles),
        "job_timestamp": plan.started.strftime("%Y%m%d%H%M%S"),
        "clip_skip": plan.text.skip,
        "is_using_inpainting_conditioning": plan.shows_mask,
        "version": f"Easel {plan.version}",
    }
