"""A1111's `modules.sd_samplers_compvis`: a name to test against."""

from modules.compat.model import Sampler

__all__ = ["VanillaStableDiffusionSampler"]


class VanillaStableDiffusionSampler(Sampler):
    """Samplers are functions here."""
