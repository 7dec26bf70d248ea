"""Laws of names: every dialect leads to the same layer, and every layer of the model has a name in each."""

from __future__ import annotations

import pytest

from modules.networks.names import SECOND_TEXT, TEXT, UNET, Layer, Layers, Place, place
from tests.studio import Bench

TO_Q = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
Q_PROJ = "encoder_layers_0_self_attn_q_proj"
FUSED_Q = "transformer_resblocks_0_attn_q_proj"
ORIGINAL = "input_blocks_1_1_transformer_blocks_0_attn1_to_q"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"lora_unet_{TO_Q}.lora_down.weight", Place(UNET, TO_Q, "down")),
        (f"lora_unet_{TO_Q}.hada_w1_a", Place(UNET, TO_Q, "hada_w1_a")),
        (f"lora_unet_{TO_Q}.alpha", Place(UNET, TO_Q, "alpha")),
        ("lora_unet_mid_block_attentions_0_proj_in.weight", Place(UNET, "mid_block_attentions_0_proj_in", "factors")),
        (f"lora_te_text_model_{Q_PROJ}.lora_up.weight", Place(TEXT, Q_PROJ, "up")),
        (f"lora_te1_text_model_{Q_PROJ}.lora_up.weight", Place(TEXT, Q_PROJ, "up")),
        (f"lora_te2_text_model_{Q_PROJ}.lora_up.weight", Place(SECOND_TEXT, Q_PROJ, "up")),
        (f"transformer_text_model_{Q_PROJ}.lora_up.weight", Place(TEXT, Q_PROJ, "up")),
        (f"diffusion_model_{ORIGINAL}.lora_up.weight", Place(UNET, ORIGINAL, "up")),
        (f"diffusion_model.{ORIGINAL.replace('_', '.')}.lora_A.weight".replace("input.blocks", "input_blocks"), None),
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", Place(UNET, TO_Q, "down")),
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.up.weight",
            Place(UNET, TO_Q, "up"),
        ),
        ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight", Place(TEXT, Q_PROJ, "up")),
        (
            "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight",
            Place(TEXT, Q_PROJ, "down"),
        ),
        (
            "1_model_transformer_resblocks_0_mlp_c_fc.alpha",
            Place(SECOND_TEXT, "transformer_resblocks_0_mlp_c_fc", "alpha"),
        ),
        ("cond_stage_model.model.transformer.resblocks.0.attn.q_proj.lora_A.weight", Place(TEXT, FUSED_Q, "down")),
        ("text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight", Place(SECOND_TEXT, Q_PROJ, "up")),
    ],
)
def test_dialects(name: str, expected: Place | None) -> None:
    found = place(name)
    assert found == expected or (expected is None and found is not None and found.component == UNET)


@pytest.mark.parametrize("name", ["", "model.weight", "lora_unet_x", "something.else.lora_up", "emb_params"])
def test_other_names_are_nobodys(name: str) -> None:
    assert place(name) is None


@pytest.fixture(scope="module")
def layers(bench: Bench) -> Layers:
    model = bench.studio.shelf.get(bench.library.find("tiny-sd1"))
    return Layers({UNET: model.unet, TEXT: model.text.towers["text"]})


@pytest.mark.parametrize(
    ("original", "path"),
    [
        ("input_blocks_0_0", "conv_in"),
        (ORIGINAL, "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"),
        ("input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"),
        ("input_blocks_4_0_skip_connection", "down_blocks.1.resnets.0.conv_shortcut"),
        ("input_blocks_11_0_in_layers_2", "down_blocks.3.resnets.1.conv1"),
        ("middle_block_1_proj_in", "mid_block.attentions.0.proj_in"),
        ("middle_block_2_out_layers_3", "mid_block.resnets.1.conv2"),
        ("output_blocks_2_1_conv", "up_blocks.0.upsamplers.0.conv"),
        ("output_blocks_5_2_conv", "up_blocks.1.upsamplers.0.conv"),
        ("output_blocks_11_1_proj_out", "up_blocks.3.attentions.2.proj_out"),
        ("time_embed_2", "time_embedding.linear_2"),
        ("out_2", "conv_out"),
    ],
)
def test_the_original_names_of_layers(layers: Layers, original: str, path: str) -> None:
    found, same = layers.find(UNET, original), layers.find(UNET, path.replace(".", "_"))
    assert isinstance(found, Layer)
    assert found == same
    assert found.path == path


def test_original_names_agree_with_the_checkpoint(bench: Bench, layers: Layers) -> None:
    """Every weight of the checkpoint's UNet is a layer under its own name, of its own shape."""
    from modules.loading import families, header

    facts = header.read(bench.library.find("tiny-sd1").path)
    for name, info in facts.tensors.items():
        if name.startswith(families.UNET) and name.endswith(".weight"):
            key = name.removeprefix(families.UNET).removesuffix(".weight").replace(".", "_")
            layer = layers.find(UNET, key)
            assert isinstance(layer, Layer), name
            assert tuple(layer.weight.shape) == info.shape, name
