"""Chroma (lodestones 2025): Flux schnell's layout with one small network in place of all modulations, and with T5 only.

It was trained with the filling of its prompts masked out, all but one place; what is left out here has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.process import RectifiedFlow, flow_levels
from modules.loading import parts
from modules.loading.configs.unet import Shapes
from modules.loading.mmdit import encoders, flux, names, patches, quantized
from modules.loading.mmdit.lengths import grouped
from modules.loading.mmdit.names import Rule, rule
from modules.loading.mmdit.t5 import PAD, T5Encoder
from modules.loading.mmdit.text import Remembering, emphasised
from modules.loading.parts import Parts, Source, Weights
from modules.loading.prediction import TICKS, Given
from modules.loading.text import Encoding
from modules.prompts.chunks import TextPolicy


def build(source: Source) -> Parts:
    """All parts; encoder and VAE may lie in files beside the checkpoint. What it raises: see `parts.Builder`."""
    weights = quantized.denoiser(source, "double_blocks.")
    denoiser = transformer(weights, source)
    sizes: Any = denoiser.config
    t5 = encoders.t5_now(source, sizes.joint_attention_dim)
    return Parts(
        denoiser=denoiser,
        ask=ask,
        text=ChromaText(t5, device=source.placement.device),
        autoencoder=encoders.autoencoder(source, avoid="sd3"),
        levels=flow_levels(),
        process=RectifiedFlow(),
        prediction="flow",
        rules=rules(sizes.num_attention_heads * sizes.attention_head_dim),
    )


def ask(denoiser: nn.Module, x: Tensor, time: Tensor, given: Given) -> Tensor:
    """Call a `ChromaTransformer2DModel`; time 0..1000; given.pooled (B, 1): tokens of each prompt."""
    even, height, width = patches.even(x)
    rows, columns = even.shape[-2:]
    places = patches.places(rows, columns, x.device)

    def part(some: Tensor, when: Tensor, given: Given) -> Tensor:
        answer: Tensor = denoiser(
            hidden_states=patches.packed(some),
            encoder_hidden_states=given.context.to(some.dtype),
            timestep=when / TICKS,
            img_ids=places,
            txt_ids=torch.zeros(given.context.shape[1], 3, device=some.device),
            return_dict=False,
        )[0]
        return patches.unpacked(answer, rows, columns)

    return grouped(even, time, given, part)[..., :height, :width]


class ChromaText(Remembering):
    """A `TextModel`: tokens (own + 1, width): the text's and one place of filling; pooled (1,): how many those are."""

    def __init__(self, t5: T5Encoder, *, device: torch.device) -> None:
        super().__init__({"text": t5}, width=int(t5.model.config.d_model), device=device)  # type: ignore[union-attr, arg-type]
        self._t5 = t5

    def _encode(self, texts: Mapping[str, int], policy: TextPolicy, *, negative: bool) -> dict[str, Encoding]:
        return {text: self._one(text, policy) for text in texts}

    def _one(self, text: str, policy: TextPolicy) -> Encoding:
        read = self._t5.tokens(text, policy)
        mask = torch.tensor([[1] * len(read.ids) + [0]], device=self._device)
        hidden = self._t5([[*read.ids, PAD]], mask).float().unsqueeze(1)
        weighed = emphasised(hidden, [[[*read.weights, 1.0]]], [1], policy.emphasis)[0, 0]
        return Encoding(weighed, torch.tensor([float(len(weighed))]))  # on the CPU: no step waits for it


def transformer(weights: Weights, source: Source) -> nn.Module:
    """The denoiser, ready to be called."""
    from diffusers.models.transformers.transformer_chroma import (
        ChromaCombinedTimestepTextProjEmbeddings,
        ChromaTransformer2DModel,
    )

    sizes = config(parts.shapes(weights))
    with torch.device("meta"):
        model = ChromaTransformer2DModel(**sizes)
    width = sizes["num_attention_heads"] * sizes["attention_head_dim"]
    numbers = model.time_text_embed.mod_proj.shape[0]
    model.time_text_embed = ChromaCombinedTimestepTextProjEmbeddings(
        num_channels=sizes["approximator_num_channels"] // 4, out_dim=numbers
    ).to(source.home)  # it has no weights, but a table that no file stores
    return parts.filled(model, names.translated(weights, rules(width)), source.home, source.placement.dtype)


def config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for ChromaTransformer2DModel. Raises KeyError."""
    hidden, inputs = shapes["distilled_guidance_layer.in_proj.weight"]
    return {
        **flux.common(shapes),
        "approximator_num_channels": inputs,
        "approximator_hidden_dim": hidden,
        "approximator_layers": names.count(shapes, "distilled_guidance_layer.layers."),
    }


def rules(width: int) -> tuple[Rule, ...]:
    """How names change in a model of this width."""
    layer = "distilled_guidance_layer.layers.*."
    return (
        rule(f"{layer}in_layer.*", f"{layer}linear_1.*"),
        rule(f"{layer}out_layer.*", f"{layer}linear_2.*"),
        rule("distilled_guidance_layer.norms.*.scale", "distilled_guidance_layer.norms.*.weight"),
        *flux.shared_rules(width),
    )
