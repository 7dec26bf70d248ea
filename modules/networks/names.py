"""Names of tensors in LoRA files -> (part of the model, layer, what the tensor is). Tables, one a dialect.

    kohya       lora_unet_down_blocks_0_attentions_0_..._to_q.lora_down.weight, lora_te_text_model_encoder_layers_0_...
    A1111       diffusion_model_input_blocks_1_1_..., transformer_text_model_encoder_...
    diffusers   unet.down_blocks.0...to_q.lora_A.weight, unet...attn1.processor.to_q_lora.down.weight, text_encoder...
    original    diffusion_model.input_blocks.1.1...  (as the checkpoint names it), transformers' without a beginning too
    XLabs       double_blocks.0.processor.qkv_lora1.down.weight

A layer's key is its path with "_" for every "."; `Layers` knows the keys of a model under all these names. Where the
original has one matrix and diffusers several (queries, keys and values in one), the name leads to a `Parted`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from modules.loading.mmdit.names import Cut, Rule, whole
from modules.loading.open_clip import LAYERS

UNET = "unet"
TEXT = "text"
SECOND_TEXT = "text2"
THIRD_TEXT = "text3"

PREFIXES = (
    ("lora_unet_", UNET),
    ("lycoris_unet_", UNET),
    ("lycoris_", UNET),
    ("lora_transformer_", UNET),
    ("oft_unet_", UNET),
    ("diffusion_model_", UNET),
    ("model_diffusion_model_", UNET),
    ("base_model_model_unet_", UNET),
    ("unet_", UNET),
    ("lora_te_", TEXT),
    ("lora_te1_", TEXT),
    ("lora_te2_", SECOND_TEXT),
    ("lora_te3_", THIRD_TEXT),
    ("transformer_", TEXT),
    ("model_", TEXT),
    ("0_transformer_", TEXT),
    ("0_model_", TEXT),
    ("1_model_", SECOND_TEXT),
    ("cond_stage_model_transformer_", TEXT),
    ("cond_stage_model_model_", TEXT),
    ("conditioner_embedders_0_transformer_", TEXT),
    ("conditioner_embedders_0_model_", TEXT),
    ("conditioner_embedders_1_model_", SECOND_TEXT),
    ("text_encoders_clip_l_transformer_", TEXT),
    ("text_encoders_clip_g_transformer_", SECOND_TEXT),
    ("text_encoder_2_", SECOND_TEXT),
    ("text_encoder_3_", THIRD_TEXT),
    ("text_encoder_", TEXT),
)
"""How a name begins -> which part of the model it is in. Longer beginnings win."""

BARE = ("double_blocks_", "single_blocks_", "joint_blocks_", "transformer_blocks_", "single_transformer_blocks_")
"""How names of a transformer's layers begin where no part of the model is named."""

_SORTED = sorted(PREFIXES, key=lambda row: -len(row[0]))

_AS_IS = """alpha scale dora_scale bias on_input diff diff_b w_norm b_norm rescale oft_blocks oft_diag
hada_w1_a hada_w1_b hada_w2_a hada_w2_b hada_t1 hada_t2
lokr_w1 lokr_w1_a lokr_w1_b lokr_w2 lokr_w2_a lokr_w2_b lokr_t1 lokr_t2"""

PARTS = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "middle",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_A.default.weight": "down",
    "lora_B.default.weight": "up",
    "lora.down.weight": "down",
    "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    "lora_magnitude_vector": "dora_scale",
    "lora_magnitude_vector.weight": "dora_scale",
    "lora_magnitude_vector.default.weight": "dora_scale",
    "weight": "factors",
    **{name: name for name in _AS_IS.split()},
    **{f"{name}.weight": name for name in ("a1", "a2", "b1", "b2")},
}
"""How a name ends, after the last dot that belongs to the layer -> what the tensor is."""

_PART = re.compile(r"^(.*?)\.(" + "|".join(re.escape(part) for part in sorted(PARTS, key=len, reverse=True)) + ")$")
_XLABS = re.compile(r"(double_blocks\.\d+)\.processor\.(qkv|proj)_lora([12])\.(down|up)\.weight$")
_PROCESSOR = re.compile(r"\.processor\.(to_q|to_k|to_v|to_out)_lora\.(down|up)\.weight$")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a tensor belongs: part of the model, key of the layer below it, what it is (a value of PARTS)."""

    component: str
    layer: str
    part: str


def place(name: str) -> Place | None:
    """Read the name of a tensor; None for one that belongs to no known dialect."""
    name = _XLABS.sub(_plain_xlabs, _PROCESSOR.sub(_plain_processor, name))
    found = _PART.match(name)
    if found is None:
        return None
    layer = found[1].replace(".", "_")
    for prefix, component in _SORTED:
        if layer.startswith(prefix):
            return Place(component, layer[len(prefix) :].removeprefix("text_model_"), PARTS[found[2]])
    return Place(UNET, layer, PARTS[found[2]]) if layer.startswith(BARE) else None


def _plain_processor(found: re.Match[str]) -> str:
    layer = "to_out.0" if found[1] == "to_out" else found[1]
    return f".{layer}.lora_{found[2]}.weight"


def _plain_xlabs(found: re.Match[str]) -> str:
    side = {"1": "img", "2": "txt"}[found[3]]
    return f"{found[1]}.{side}_attn.{found[2]}.lora_{found[4]}.weight"


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer that can be changed: part of the model, its path in there, the module."""

    component: str
    path: str
    module: nn.Module

    @property
    def weight(self) -> Tensor:
        """Its weight as it is now."""
        found: Tensor = self.module.weight  # type: ignore[assignment]
        return found


@dataclasses.dataclass(frozen=True)
class Parted:
    """Layers that are one matrix in the original; cut: that matrix, or a change of it -> theirs, in this order."""

    layers: tuple[Layer, ...]
    cut: Cut


_ELSEWHERE = {TEXT: UNET, THIRD_TEXT: SECOND_TEXT}
"""Where else to look: a transformer's own names begin with "transformer." too, where others' text encoders are, and
T5 is called the third encoder beside Flux, which has two.
"""


class Layers:
    """All layers with weights of a model, found under every dialect's name. rules: how its file's names became those of
    the denoiser.
    """

    def __init__(self, components: Mapping[str, nn.Module], rules: Sequence[Rule] = ()) -> None:
        self._found: dict[tuple[str, str], Layer | Parted] = {}
        for component, root in components.items():
            modules = root.named_modules()
            paths = {path: module for path, module in modules if getattr(module, "weight", None) is not None}
            spell = (_unet_spellings if component == UNET else _text_spellings)(paths)
            layers = {path: Layer(component, path, module) for path, module in paths.items()}
            for path, layer in layers.items():
                for spelling in (path, *spell.get(path, ())):
                    self._found.setdefault((component, spelling.replace(".", "_")), layer)
            for each in rules if component == UNET else ():
                for spelling, found in _ruled(each, layers):
                    self._found.setdefault((component, spelling.replace(".", "_")), found)

    def find(self, component: str, key: str) -> Layer | Parted | None:
        """The layer of this key in a part of the model, or those that it is parted among."""
        found = self._found.get((component, key))
        other = _ELSEWHERE.get(component)
        return self._found.get((other, key)) if found is None and other else found


def _ruled(rule: Rule, layers: Mapping[str, Layer]) -> Iterable[tuple[str, Layer | Parted]]:
    """The names that a row of a table has for layers. The last word of both its sides is that of a tensor."""
    old, *new = (name.rpartition(".")[0] for name in (rule.old, *rule.new))
    if not old or not new:
        return
    shape = dataclasses.replace(rule, old=new[0], new=(old, *new))
    for path in layers:
        match = shape.pattern.fullmatch(path)
        if match is None:
            continue
        spelling, *paths = shape.named(match.groups())
        found = tuple(layers[each] for each in paths if each in layers)
        if len(found) == len(new):
            yield spelling, found[0] if rule.cut is whole else Parted(found, rule.cut)


_QKV = ("q_proj", "k_proj", "v_proj")
_TEXT_LAYER = re.compile(r"^encoder\.layers\.(\d+)\.(.+)$")
_OPEN_CLIP = {**{ours: theirs for theirs, ours in LAYERS.items()}, **{f"self_attn.{p}": f"attn.{p}" for p in _QKV}}


def _text_spellings(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Path of each layer of a text encoder -> OpenCLIP's name where it has one, its fused projections parted; large
    encoders without what holds them here.
    """
    result: dict[str, tuple[str, ...]] = {}
    for path in paths:
        layer = _TEXT_LAYER.match(path)
        if path.startswith("model."):
            result[path] = (path.removeprefix("model."),)
        elif layer and layer[2] in _OPEN_CLIP:
            result[path] = (f"transformer.resblocks.{layer[1]}.{_OPEN_CLIP[layer[2]]}",)
    return result


_RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
)
_FIXED = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_MIDDLE = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
_BLOCK = re.compile(r"^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$")
_MID = re.compile(r"^mid_block\.((?:resnets|attentions)\.\d+)\.(.+)$")


def _unet_spellings(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """diffusers' path of each layer -> the original implementation's names for it."""
    paths = list(paths)
    blocks = [found for found in map(_BLOCK.match, paths) if found]
    resnets = 1 + max((int(block[4]) for block in blocks if block[1] == "down" and block[3] == "resnets"), default=0)
    attending = {int(block[2]) for block in blocks if block[1] == "up" and block[3] == "attentions"}
    return {path: _original(path, resnets, attending) for path in paths}


def _original(path: str, resnets: int, attending: set[int]) -> tuple[str, ...]:
    """The original's name, () where it has none."""
    if path in _FIXED:
        return (_FIXED[path],)
    if middle := _MID.match(path):
        return (f"middle_block.{_MIDDLE[middle[1]]}.{_inner(middle[2])}",)
    if block := _BLOCK.match(path):
        return (_in_block(block, resnets, attending),)
    return ()


def _in_block(block: re.Match[str], resnets: int, attending: set[int]) -> str:
    """Of a layer on the way down or up: the original counts residual blocks over all levels, and a change of size."""
    side, kind = block[1], block[3]
    index, first = int(block[2]), int(block[2]) * (resnets + 1)
    if kind == "downsamplers":
        return f"input_blocks.{first + resnets + 1}.0.op"
    if kind == "upsamplers":
        return f"output_blocks.{first + resnets}.{2 if index in attending else 1}.conv"
    stage = first + int(block[4])
    name = f"input_blocks.{1 + stage}" if side == "down" else f"output_blocks.{stage}"
    return f"{name}.{int(kind == 'attentions')}.{_inner(block[5])}"


def _inner(path: str) -> str:
    """A layer's name inside a residual block; those inside a transformer are the same in both."""
    return dict(_RESNET).get(path, path)
