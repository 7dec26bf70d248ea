"""A1111's `modules.sd_samplers_timesteps`: names to test against; samplers are functions here."""

import torch

from modules.compat.model import CfgDenoiser as CFGDenoiserTimesteps
from modules.compat.model import Sampler as CompVisSampler

__all__ = ["CFGDenoiserTimesteps", "CompVisSampler", "CompVisTimestepsDenoiser", "CompVisTimestepsVDenoiser"]


class CompVisTimestepsDenoiser(torch.nn.Module):
    """A model asked for its noise at a time."""

    def __init__(self, model, *args, **kwargs):
        super().__init__()
        self.inner_model = model

    def forward(self, input, timesteps, **kwargs):
        return self.inner_model.apply_model(input, timesteps, **kwargs)


class CompVisTimestepsVDenoiser(CompVisTimestepsDenoiser):
    """A model asked for its velocity at a time."""
