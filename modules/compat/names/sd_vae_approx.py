"""A1111's `modules.sd_vae_approx`."""

from modules.compat.sampling import cheap_approximation

__all__ = ["cheap_approximation"]
