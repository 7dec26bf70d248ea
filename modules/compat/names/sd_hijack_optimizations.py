"""A1111's `modules.sd_hijack_optimizations`: attention is torch's own here."""

import torch

from modules.compat.hijack import SdOptimization

__all__ = ["SdOptimization", "get_available_vram", "get_xformers_flash_attention_op", "sub_quad_attention"]


def get_available_vram():
    """Bytes."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    import psutil

    return psutil.virtual_memory().available


def get_xformers_flash_attention_op(q, k, v):
    return None


def sub_quad_attention(q, k, v, *args, **kwargs):
    """(batch * heads, tokens, width) each."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)
