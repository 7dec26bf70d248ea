"""A1111's `info` object of what a script put together, for those parts that no single cell can tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from modules.core.types import JsonObject
from modules.generate.scripts.context import Context, Request


def bare(
    context: Context,
    request: Request,
    *,
    infotexts: Sequence[str] = (),
    seed: int = -1,
    all_prompts: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> JsonObject:
    """The info that A1111 gives of a request that it has not processed itself: without model, without subseeds."""
    prompts = list(all_prompts) or [request.prompt]
    fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    return {
        "prompt": prompts[0],
        "all_prompts": prompts,
        "negative_prompt": request.negative_prompt,
        "all_negative_prompts": [request.negative_prompt],
        "seed": seed,
        "all_seeds": [seed],
        "subseed": -1,
        "all_subseeds": [-1],
        "subseed_strength": request.subseed_strength,
        "width": request.width,
        "height": request.height,
        "sampler_name": request.sampler_name,
        "cfg_scale": request.cfg_scale,
        "steps": request.steps,
        "batch_size": request.batch_size,
        "restore_faces": None,
        "face_restoration_model": None,
        "sd_model_name": None,
        "sd_model_hash": None,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": request.seed_resize_from_w,
        "seed_resize_from_h": request.seed_resize_from_h,
        "denoising_strength": fields.get("denoising_strength"),
        "extra_generation_params": dict(facts or {}),
        "index_of_first_image": 0,
        "infotexts": list(infotexts),
        "styles": list(request.styles),
        "clip_skip": context.options["CLIP_stop_at_last_layers"],
        "is_using_inpainting_conditioning": False,
    }
