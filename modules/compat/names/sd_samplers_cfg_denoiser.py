"""A1111's `modules.sd_samplers_cfg_denoiser`."""

import torch

from modules.compat.model import CfgDenoiser as CFGDenoiser

__all__ = ["CFGDenoiser", "catenate_conds", "pad_cond", "subscript_cond"]


def catenate_conds(conds):
    """Rows of several as one."""
    if not isinstance(conds[0], dict):
        return torch.cat(conds)
    return {key: torch.cat([each[key] for each in conds]) for key in conds[0]}


def subscript_cond(cond, a, b):
    """Rows a to b."""
    if not isinstance(cond, dict):
        return cond[a:b]
    return {key: value[a:b] for key, value in cond.items()}


def pad_cond(tensor, repeats, empty):
    """`repeats` times the empty prompt behind."""
    if not isinstance(tensor, dict):
        return torch.cat([tensor, empty.repeat((tensor.shape[0], repeats, 1))], dim=1)
    tensor["crossattn"] = pad_cond(tensor["crossattn"], repeats, empty)
    return tensor
