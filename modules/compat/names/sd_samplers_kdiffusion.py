"""A1111's `modules.sd_samplers_kdiffusion`."""

from modules.compat.model import CfgDenoiser as CFGDenoiser
from modules.compat.model import Sampler as KDiffusionSampler

CFGDenoiserKDiffusion = CFGDenoiser

__all__ = ["CFGDenoiser", "CFGDenoiserKDiffusion", "KDiffusionSampler"]


def __getattr__(name):
    from modules.compat import sampling

    if name in (
        "samplers_k_diffusion",
        "samplers_data_k_diffusion",
        "sampler_extra_params",
        "k_diffusion_samplers_map",
    ):
        rows = sampling.all_rows()
        return {row.name: row for row in rows} if name.endswith("map") else rows
    raise AttributeError(f"modules.sd_samplers_kdiffusion has no {name}")
