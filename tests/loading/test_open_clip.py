"""OpenCLIP's towers under transformers' names: the same function, whatever the names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from modules.loading import open_clip, parts
from modules.loading.configs import clip as clip_config
from modules.loading.families import XL_CLIP_G
from tests.loading.invented import filled
from tests.loading.invented import open_clip as layout

WIDTH, LAYERS = 64, 3


def original(weights: Mapping[str, Tensor], ids: Tensor) -> tuple[Tensor, Tensor]:
    """The tower as OpenCLIP's own text says: (state before the last block, projected state of the end token)."""
    x = weights["token_embedding.weight"][ids] + weights["positional_embedding"]
    mask = torch.full((77, 77), float("-inf")).triu(1)
    before = x
    for index in range(LAYERS):
        block = {
            name.removeprefix(f"transformer.resblocks.{index}."): tensor
            for name, tensor in weights.items()
            if name.startswith(f"transformer.resblocks.{index}.")
        }
        before = x
        normed = functional.layer_norm(x, (WIDTH,), block["ln_1.weight"], block["ln_1.bias"])
        q, k, v = functional.linear(normed, block["attn.in_proj_weight"], block["attn.in_proj_bias"]).chunk(3, dim=-1)
        mixed = torch.softmax(q @ k.transpose(1, 2) / WIDTH**0.5 + mask, dim=-1) @ v
        x = x + functional.linear(mixed, block["attn.out_proj.weight"], block["attn.out_proj.bias"])
        normed = functional.layer_norm(x, (WIDTH,), block["ln_2.weight"], block["ln_2.bias"])
        inner = functional.gelu(functional.linear(normed, block["mlp.c_fc.weight"], block["mlp.c_fc.bias"]))
        x = x + functional.linear(inner, block["mlp.c_proj.weight"], block["mlp.c_proj.bias"])
    final = functional.layer_norm(x, (WIDTH,), weights["ln_final.weight"], weights["ln_final.bias"])
    return before, final[torch.arange(len(ids)), ids.argmax(dim=-1)] @ weights["text_projection"]


def test_the_converted_tower_computes_what_openclip_computes() -> None:
    weights = filled({"": layout(WIDTH, LAYERS)})
    named = open_clip.converted(weights, projected=True)
    config = clip_config.config(parts.shapes(named), XL_CLIP_G)
    tower = CLIPTextModel(CLIPTextConfig(**config))
    tower.text_projection = torch.nn.Linear(WIDTH, WIDTH, bias=False)
    tower.load_state_dict(named, strict=True)
    ids = torch.zeros(2, 77, dtype=torch.long)
    ids[0, :4] = torch.tensor([49406, 320, 2368, 49407])
    ids[1, :3] = torch.tensor([49406, 1929, 49407])
    with torch.inference_mode():
        answer = tower.eval()(input_ids=ids, output_hidden_states=True)
        pooled = tower.text_projection(answer.pooler_output)
    before, expected = original(weights, ids)
    torch.testing.assert_close(answer.hidden_states[-2], before, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(pooled, expected, atol=1e-4, rtol=1e-4)


def test_what_is_no_part_of_a_text_model_is_left_out() -> None:
    weights = filled({"": layout(WIDTH, 1), "visual.": layout(8, 1, 10)})
    assert not any("visual" in name or "logit" in name for name in open_clip.converted(weights, projected=True))
    assert "text_projection.weight" not in open_clip.converted(weights, projected=False)
