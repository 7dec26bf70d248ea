"""What kind of network a file holds, told from the names of its tensors; and what is to be said of those not built.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection

CONTROLNET, T2I, IP_ADAPTER = "ControlNet", "T2I-Adapter", "IP-Adapter"

KNOWN = "ControlNet (latent-diffusion's or diffusers' names), T2I-Adapter or IP-Adapter"

LACKING = (
    ("lora_controlnet", "a Control-LoRA, which changes a copy of the model's own weights"),
    ("task_embedding", "a ControlNet Union"),
    ("lllite", "a ControlLLLite"),
    ("difference", "a ControlNet stored as the difference from a model"),
    ("motion_modules", "a SparseCtrl"),
    ("style_embedding", "a style adapter"),
    ("x_embedder", "a ControlNet of a transformer (SD3, Flux)"),
    ("transformer_blocks.0.attn.to_q", "a ControlNet of a transformer (SD3, Flux)"),
    ("double_blocks", "a ControlNet of a transformer (SD3, Flux)"),
    ("id_adapter", "a PuLID"),
    ("perceiver_resampler", "an IP-Adapter of faces"),
)
"""Parts of names -> what such a file is, which Easel does not build."""


def kind(names: Collection[str]) -> str:
    """CONTROLNET, T2I, IP_ADAPTER, or "" for none of them."""
    if lacking(names):
        return ""
    if any(name.startswith("image_proj.") for name in names) and any(name.startswith("ip_adapter.") for name in names):
        return IP_ADAPTER
    if any("input_hint_block.0.weight" in name or "controlnet_cond_embedding.conv_in" in name for name in names):
        return CONTROLNET
    plain = {name.removeprefix("adapter.") for name in names}
    return T2I if any(name.startswith("body.0.") for name in plain) else ""


def lacking(names: Collection[str]) -> str:
    """What a file is that is known and not built; "" where it is not one of those."""
    return next((what for part, what in LACKING if any(part in name for name in names)), "")


def base_of(width: int) -> str:
    """The family whose text is so wide."""
    return {768: "SD1", 1024: "SD2", 2048: "SDXL"}.get(width, f"models whose text is {width} wide")
