"""Names of tensors in diffusers' and transformers' layout -> their names in a single-file checkpoint.

diffusers ships the other direction only. `unet` and `vae` rename one by one; `open_clip` also says which tensors a
single file keeps joined. Called by `folders`, and by merging for networks' layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "class_embedding.linear_1": "label_emb.0.0",
    "class_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_MIDDLE = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
_VAE_ATTENTION = {
    "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
    "query": "q", "key": "k", "value": "v", "proj_attn": "proj_out",
}  # fmt: skip
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_CODER = re.compile(r"(encoder|decoder)\.(.+)")
_LAYER = re.compile(r"text_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")


def unet(names: Iterable[str]) -> dict[str, str]:
    """Each name of a `UNet2DConditionModel`'s state dict -> its name behind "model.diffusion_model."."""
    names = list(names)
    blocks = [match for name in names if (match := _BLOCK.fullmatch(name))]
    deep = 1 + max((int(each[4]) for each in blocks if each[1] == "down" and each[3] == "resnets"), default=0)
    attend = {int(each[2]) for each in blocks if each[1] == "up" and each[3] == "attentions"}
    return {name: _unet_name(name, deep, attend) for name in names}


def _unet_name(name: str, deep: int, attend: set[int]) -> str:
    """deep: residual blocks a level; attend: levels on the way up that have attention."""
    module, _, kind = name.rpartition(".")
    if module in _UNET_ENDS:
        return f"{_UNET_ENDS[module]}.{kind}"
    if name.startswith("mid_block."):
        part, index, rest = name.removeprefix("mid_block.").split(".", 2)
        inner = _resnet(rest) if part == "resnets" else rest
        return f"middle_block.{_MIDDLE[f'{part}.{index}']}.{inner}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return name
    side, level, part, number, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if side == "down":
        first = 1 + level * (deep + 1)
        if part == "downsamplers":
            return f"input_blocks.{first + deep}.0.op.{rest.removeprefix('conv.')}"
        side_name, place = "input_blocks", first + number
    else:
        first = level * (deep + 1)
        if part == "upsamplers":
            return f"output_blocks.{first + deep}.{2 if level in attend else 1}.{rest}"
        side_name, place = "output_blocks", first + number
    return f"{side_name}.{place}.0.{_resnet(rest)}" if part == "resnets" else f"{side_name}.{place}.1.{rest}"


def _resnet(rest: str) -> str:
    module, _, kind = rest.rpartition(".")
    return f"{_RESNET.get(module, module)}.{kind}"


def vae(names: Iterable[str]) -> dict[str, str]:
    """Each name of an `AutoencoderKL`'s state dict -> its name behind "first_stage_model."."""
    names = list(names)
    levels = 1 + max(
        (int(each[2]) for name in names if (each := re.search(r"decoder\.(up)_blocks\.(\d+)", name))), default=0
    )
    return {name: _vae_name(name, levels) for name in names}


def _vae_name(name: str, levels: int) -> str:
    coder = _CODER.fullmatch(name)
    if coder is None:
        return name
    side, inner = coder[1], coder[2]
    if inner.startswith("conv_norm_out."):
        return f"{side}.norm_out.{inner.removeprefix('conv_norm_out.')}"
    if inner.startswith("mid_block."):
        part, index, rest = inner.removeprefix("mid_block.").split(".", 2)
        if part == "resnets":
            return f"{side}.mid.block_{int(index) + 1}.{_shortcut(rest)}"
        module, _, kind = rest.rpartition(".")
        return f"{side}.mid.attn_1.{_VAE_ATTENTION[module]}.{kind}"
    match = _BLOCK.fullmatch(inner)
    if match is None:
        return name
    level = int(match[2]) if match[1] == "down" else levels - 1 - int(match[2])
    if match[3] == "resnets":
        return f"{side}.{match[1]}.{level}.block.{match[4]}.{_shortcut(match[5])}"
    return f"{side}.{match[1]}.{level}.{match[3].removesuffix('rs')}.{match[5]}"


def _shortcut(rest: str) -> str:
    return rest.replace("conv_shortcut", "nin_shortcut")


_OPEN_CLIP_ENDS = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
}
_OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip
JOINED = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
"""Three matrices that OpenCLIP keeps as one, stacked in this order."""


def open_clip(names: Iterable[str]) -> dict[str, list[str]]:
    """Names as OpenCLIP has them -> the names of a `CLIPTextModel(WithProjection)` that they are made of, in order.

    `text_projection` is the transpose of `text_projection.weight`.
    """
    known = set(names)
    found = {_OPEN_CLIP_ENDS[name]: [name] for name in known if name in _OPEN_CLIP_ENDS}
    for match in filter(None, map(_LAYER.fullmatch, known - _OPEN_CLIP_ENDS.keys())):
        block, layer, ending = match.groups()
        if layer in _OPEN_CLIP_LAYER:
            found[f"transformer.resblocks.{block}.{_OPEN_CLIP_LAYER[layer]}.{ending}"] = [match[0]]
        elif layer == JOINED[0]:
            whole = [f"text_model.encoder.layers.{block}.{each}.{ending}" for each in JOINED]
            if known.issuperset(whole):
                found[f"transformer.resblocks.{block}.attn.in_proj_{ending}"] = whole
    return found
