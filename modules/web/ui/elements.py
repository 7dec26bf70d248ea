"""Element ids and ranges that A1111's page has where Easel's own names would give others. Extensions look for the ids.

Used by `scripts` (arguments of scripts) and `extras` (postprocessing steps).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


def _of(prefix: str, names: Mapping[str, str]) -> dict[str, str]:
    return {name: prefix + ending for name, ending in names.items()}


_MATRIX = {
    "at_start": "put_at_start",
    "vary_seeds": "different_seeds",
    "prompt": "prompt_type",
    "joint": "variations_delimiter",
    "margin": "margin_size",
}
_LINES = {
    "iterate": "checkbox_iterate",
    "same_seed": "checkbox_iterate_batch",
    "place": "prompt_position",
    "lines": "prompt_txt",
}
_PLOT = {
    **{f"{axis}_{part}": f"{axis}_{part}" for axis in "xyz" for part in ("type", "values")},
    **{f"{axis}_menu": f"{axis}_values_dropdown" for axis in "xyz"},
    "legend": "draw_legend",
    "pictures": "include_lone_images",
    "sub_grids": "include_sub_grids",
    "keep_seeds": "no_fixed_seeds",
    **{f"vary_{axis}": f"vary_seeds_{axis}" for axis in "xyz"},
    "margin": "margin_size",
    "text_mode": "csv_mode",
}
_ALTERNATIVE = {
    "own_sampler": "override_sampler",
    "own_prompt": "override_prompt",
    "prompt": "original_prompt",
    "negative_prompt": "original_negative_prompt",
    "own_steps": "override_steps",
    "steps": "st",
    "own_strength": "override_strength",
    "scale": "cfg",
    "randomness": "randomness",
    "adjusted": "sigma_adjustment",
}
_OUTPAINTING = {"pixels": "pixels", "blur": "mask_blur", "sides": "direction"}
_SCRIPTS = {
    "Prompt matrix": _of("script_{tab}_prompt_matrix_", _MATRIX),
    "Prompts from file or textbox": _of("script_{tab}_prompts_from_file_or_textbox_", _LINES),
    "X/Y/Z plot": _of("script_{tab}_xyz_plot_", _PLOT),
    "img2img alternative test": _of("script_{tab}_alternative_test_", _ALTERNATIVE),
    "Loopback": _of(
        "script_loopback_",
        {
            "loops": "loops",
            "final": "final_denoising_strength",
            "curve": "denoising_curve",
            "words": "append_interrogation",
        },
    ),
    "Outpainting mk2": _of(
        "script_outpainting_mk2_", {**_OUTPAINTING, "exponent": "noise_q", "colour": "color_variation"}
    ),
    "Poor man's outpainting": _of("script_poor_mans_outpainting_", {**_OUTPAINTING, "fill": "inpainting_fill"}),
    "SD upscale": _of(
        "script_sd_upscale_", {"overlap": "overlap", "upscaler": "upscaler_index", "scale": "scale_factor"}
    ),
}


def script_argument(title: str, name: str, tab: str) -> str | None:
    """A1111's id of an argument's widget, None for what A1111 does not have."""
    known = _SCRIPTS.get(title, {}).get(name)
    return known.replace("{tab}", tab) if known else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """A widget of a postprocessing step: its id, label, and ends where it is a slider."""

    id: str
    label: str
    ends: tuple[float, float] | None = None
    step: float = 0.05


STEPS: Mapping[tuple[str, str], Field] = {
    ("GFPGAN", "gfpgan_visibility"): Field(id="extras_gfpgan_visibility", label="Visibility", ends=(0, 1), step=0.001),
    ("CodeFormer", "codeformer_visibility"): Field(
        id="extras_codeformer_visibility", label="Visibility", ends=(0, 1), step=0.001
    ),
    ("CodeFormer", "codeformer_weight"): Field(
        id="extras_codeformer_weight",
        label="Weight (0 = maximum effect, 1 = minimum effect)",
        ends=(0, 1),
        step=0.001,
    ),
    ("Split oversized images", "split_threshold"): Field(
        id="postprocess_split_threshold", label="Threshold", ends=(0, 1)
    ),
    ("Split oversized images", "overlap_ratio"): Field(
        id="postprocess_overlap_ratio", label="Overlap ratio", ends=(0, 0.9)
    ),
    **{
        ("Auto focal point crop", f"{name}_weight"): Field(
            id=f"postprocess_focal_crop_{name}_weight", label=f"Focal point {name} weight", ends=(0, 1)
        )
        for name in ("face", "entropy", "edges")
    },
    ("Auto focal point crop", "debug"): Field(id="train_process_focal_crop_debug", label="Create debug image"),
    **{
        ("Auto-sized crop", f"{end}{what}"): Field(
            id=f"postprocess_multicrop_{end}{what}", label=f"{label} {bound} bound", ends=ends, step=step
        )
        for end, bound in (("min", "lower"), ("max", "upper"))
        for what, label, ends, step in (
            ("dim", "Dimension", (64, 2048), 8),
            ("area", "Area", (64 * 64, 2048 * 2048), 1),
        )
    },
    ("Auto-sized crop", "objective"): Field(id="postprocess_multicrop_objective", label="Resizing objective"),
    ("Auto-sized crop", "threshold"): Field(
        id="postprocess_multicrop_threshold", label="Error threshold", ends=(0, 1), step=0.01
    ),
}
ORDER = (
    "GFPGAN",
    "CodeFormer",
    "Split oversized images",
    "Auto focal point crop",
    "Auto-sized crop",
    "Create flipped copies",
    "Caption",
)
"""A1111 numbers the ticks of its steps: input-accordion-0, …"""
