"""Qwen-Image (Wu et al. 2025, https://arxiv.org/abs/2508.02324): sizes from shapes, how it is called, the builder.

Its files have diffusers' names already; its VAE is a video's, of which one frame is used.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import EaselError
from modules.core.process import RectifiedFlow, flow_levels
from modules.loading import companions, parts
from modules.loading.configs.unet import Shapes
from modules.loading.header import Header
from modules.loading.mmdit import causal, encoders, flux, names, patches, quantized
from modules.loading.mmdit.lengths import grouped
from modules.loading.mmdit.prompt_text import PromptText, Setting
from modules.loading.mmdit.stills import Stills
from modules.loading.parts import Parts, Source, Weights
from modules.loading.prediction import TICKS, Given

TERMINAL = 0.02
"""Where the last step of its own schedule starts."""
VAE_MARK = "decoder.middle.0.residual.0.gamma"
_BEFORE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n"
)
SETTING = Setting(
    before=_BEFORE,
    negative_before=_BEFORE,
    after="<|im_end|>\n<|im_start|>assistant\n",
    silent=True,
    layers=(-1,),
    most=1024,
)


def build(source: Source) -> Parts:
    """All parts; encoder and VAE may lie in files beside the checkpoint. What it raises: see `parts.Builder`."""
    weights = quantized.denoiser(source, "transformer_blocks.")
    denoiser = transformer(weights, source)
    sizes: Any = denoiser.config
    decoder = encoders.decoder(source, causal.QWEN25, sizes.joint_attention_dim)
    return Parts(
        denoiser=denoiser,
        ask=ask,
        text=PromptText(decoder, SETTING, device=source.placement.device),
        autoencoder=autoencoder(source),
        levels=flow_levels(stretch(1328, 1328, 50), stretch=stretch, terminal=TERMINAL),
        process=RectifiedFlow(),
        prediction="flow",
    )


def ask(denoiser: nn.Module, x: Tensor, time: Tensor, given: Given) -> Tensor:
    """Call a `QwenImageTransformer2DModel`; time 0..1000; given.pooled (B, 1): tokens of each prompt."""
    even, height, width = patches.even(x)
    rows, columns = even.shape[-2:]

    def part(some: Tensor, when: Tensor, given: Given) -> Tensor:
        answer: Tensor = denoiser(
            hidden_states=patches.packed(some),
            timestep=when / TICKS,
            encoder_hidden_states=given.context.to(some.dtype),
            encoder_hidden_states_mask=torch.ones(given.context.shape[:2], dtype=torch.long, device=some.device),
            img_shapes=[[(1, rows // patches.SIDE, columns // patches.SIDE)]] * len(some),
            return_dict=False,
        )[0]
        return patches.unpacked(answer, rows, columns)

    return grouped(even, time, given, part)[..., :height, :width]


def stretch(width: int, height: int, steps: int) -> float:
    """The shift, exp(mu): mu a line through (256 patches, 0.5) and (8192, 0.9)."""
    return math.exp(0.5 + 0.4 * ((width // 16) * (height // 16) - 256) / (8192 - 256))


def transformer(weights: Weights, source: Source) -> nn.Module:
    """The denoiser, ready to be called."""
    from diffusers.models.transformers.transformer_qwenimage import QwenEmbedRope, QwenImageTransformer2DModel

    sizes = config(parts.shapes(weights))
    with torch.device("meta"):
        model = QwenImageTransformer2DModel(**sizes)
    model.pos_embed = QwenEmbedRope(theta=10000, axes_dim=list(sizes["axes_dims_rope"]), scale_rope=True)
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("__")}  # marks of other programs
    return parts.filled(model, kept, source.home, source.placement.dtype)


def config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for QwenImageTransformer2DModel. Raises KeyError."""
    width, channels = shapes["img_in.weight"]
    head = shapes["transformer_blocks.0.attn.norm_q.weight"][0]
    return {
        "patch_size": patches.SIDE,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // patches.SIDE**2,
        "num_layers": names.count(shapes, "transformer_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "axes_dims_rope": flux.axes(head),
    }


def autoencoder(source: Source) -> nn.Module:
    """The VAE. Raises EaselError saying what to put where."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
    from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage

    weights = _vae_weights(source)
    with torch.device("meta"):
        model = AutoencoderKLQwenImage(**vae_config(parts.shapes(weights)))
    filled = parts.filled(model, convert_wan_vae_to_diffusers(dict(weights)), source.home, source.placement.vae_dtype)
    facts = model.config
    mean, deviation = (torch.tensor(values, device=source.home, dtype=source.placement.vae_dtype)
                       for values in (facts.latents_mean, facts.latents_std))  # fmt: skip
    return Stills(filled, mean, deviation)


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for AutoencoderKLQwenImage from the names of Wan's VAE: four levels. Raises KeyError."""
    base = shapes["decoder.head.0.gamma"][0]
    firsts = (shapes[f"encoder.downsamples.{index}.residual.2.weight"][0] for index in (0, 3, 6, 9))
    return {"base_dim": base, "z_dim": shapes["conv2.weight"][0], "dim_mult": [size // base for size in firsts]}


def _vae_weights(source: Source) -> Weights:
    for prefix in ("first_stage_model.", "vae."):
        if prefix + VAE_MARK in source.weights:
            return source.below(prefix)

    def fits(header: Header, prefix: str) -> bool:
        return header.shape(prefix + "conv2.weight")[0] == source.family.latent.channels

    found = companions.search(source.companions.vae, source.header.path, VAE_MARK, fits)
    if found is None:
        raise EaselError(encoders.lacking(source, "its VAE", "qwen_image_vae.safetensors", "VAE"))
    return found.weights()
