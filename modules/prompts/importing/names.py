"""Samplers and schedulers as other programs call them -> A1111's labels. Used by every reader."""

from __future__ import annotations

_SAMPLERS = {
    "Euler": ("euler",),
    "Euler a": ("euler_a", "euler_ancestral"),
    "Euler CFG++": ("euler_cfg_pp", "euler_cfgpp"),
    "LMS": ("lms",),
    "Heun": ("heun",),
    "DPM2": ("dpm2", "dpm_2", "kdpm2", "kdpm_2"),
    "DPM2 a": ("dpm2_a", "dpm_2_a", "dpm_2_ancestral", "kdpm2_a", "kdpm_2_a", "dpm2_ancestral"),
    "DPM fast": ("dpm_fast",),
    "DPM adaptive": ("dpm_adaptive",),
    "DPM++ 2S a": ("dpmpp_2s_a", "dpmpp_2s_ancestral"),
    "DPM++ SDE": ("dpmpp_sde", "dpmpp_sde_gpu"),
    "DPM++ 2M": ("dpmpp_2m",),
    "DPM++ 2M SDE": ("dpmpp_2m_sde", "dpmpp_2m_sde_gpu"),
    "DPM++ 2M SDE Heun": ("dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu"),
    "DPM++ 3M SDE": ("dpmpp_3m_sde", "dpmpp_3m_sde_gpu"),
    "Restart": ("restart",),
    "DDIM": ("ddim",),
    "DDIM CFG++": ("ddim_cfgpp", "ddim_cfg_pp"),
    "PLMS": ("plms", "pndm"),
    "UniPC": ("unipc", "uni_pc", "uni_pc_bh2"),
    "LCM": ("lcm",),
    "TCD": ("tcd",),
    "DDPM": ("ddpm",),
    "ER-SDE": ("er_sde",),
    "SA-Solver": ("sa_solver",),
    "res_multistep": ("res_multistep",),
}
_LABELS = {spelling: label for label, spellings in _SAMPLERS.items() for spelling in spellings}

_SCHEDULERS = {
    "automatic": "Automatic",
    "uniform": "Uniform",
    "native": "Uniform",  # NovelAI
    "karras": "Karras",
    "exponential": "Exponential",
    "polyexponential": "Polyexponential",
    "sgm_uniform": "SGM Uniform",
    "kl_optimal": "KL Optimal",
    "align_your_steps": "Align Your Steps",
    "ays": "Align Your Steps",
    "simple": "Simple",
    "normal": "Normal",
    "ddim": "DDIM",
    "ddim_uniform": "DDIM",
    "beta": "Beta",
    "linear_quadratic": "Linear-quadratic",
    "turbo": "Turbo",
}
_NAME_ENDINGS = {
    "_karras": "Karras",
    "_ka": "Karras",
    "_k": "Karras",
    "_exponential": "Exponential",
    "_ays": "Align Your Steps",
    "_trailing": "SGM Uniform",
    "_sgm": "SGM Uniform",
}

UNLABELLED = frozenset(("", "undefined", "default", "none"))
"""Names that say nothing."""


def sampling(sampler: str, scheduler: str = "") -> dict[str, str]:
    """The fields "Sampler" and "Schedule type", each only if something is known of it.

    Schedulers joined to the sampler's name come apart ("dpmpp_2m_k", "DPM++ 2M Karras"). Unknown names stay as they
    are: another version may know them.
    """
    plain = _plain(sampler)
    label, joined = _LABELS.get(plain, ""), ""
    for ending, schedule in _NAME_ENDINGS.items():
        if not label and plain.endswith(ending) and plain.removesuffix(ending) in _LABELS:
            label, joined = _LABELS[plain.removesuffix(ending)], schedule
    fields = {}
    if plain not in UNLABELLED:
        fields["Sampler"] = label or sampler.strip()
    schedule = schedule_label(scheduler) or joined
    return fields | ({"Schedule type": schedule} if schedule else {})


def schedule_label(scheduler: str) -> str:
    """A1111's label of a scheduler, "" for a name that says nothing; unknown names stay as they are."""
    plain = _plain(scheduler)
    return "" if plain in UNLABELLED else _SCHEDULERS.get(plain, scheduler.strip())


def _plain(name: str) -> str:
    return name.strip().lower().replace("++", "pp").replace(" ", "_").replace("-", "_").removeprefix("k_")
