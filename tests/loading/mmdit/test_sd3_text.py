"""Laws of Stable Diffusion 3's text: the towers are transformers' own; what is missing is zeros in its place; T5 speaks
only when it is asked.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from modules.core.device import choose
from modules.core.errors import EaselError
from modules.loading.companions import NOWHERE, Companions
from modules.loading.families import TABLE
from modules.loading.header import Header, TensorInfo
from modules.loading.loader import declare_vision_operators
from modules.loading.mmdit import sd3
from modules.loading.mmdit.sd3_text import Sd3Text
from modules.loading.parts import Source
from modules.prompts.chunks import TextPolicy, chunked
from tests.loading.mmdit import layouts, words

declare_vision_operators()
POOLED = layouts.CLIP_L + layouts.CLIP_G
PLAIN = TextPolicy()


def text(folder: Path | None = None, **parts: bool) -> Sd3Text:
    """The encoder of a checkpoint without the parts that are False; what is there is the same each time."""
    placement = choose(use_cpu=["all"])
    names = {"l": "clip_l", "g": "clip_g", "t5_too": "t5xxl"}
    gone = tuple(f"text_encoders.{names[part]}." for part, wanted in parts.items() if not wanted)
    every = layouts.filled(layouts.text_parts())
    weights = {name: tensor for name, tensor in every.items() if not name.startswith(gone or "-")}
    infos = {name: TensorInfo("F32", tuple(tensor.shape)) for name, tensor in weights.items()}
    source = Source(
        header=Header(Path("sd3.safetensors"), infos, {}),
        family=next(row for row in TABLE if row.id == "sd3"),
        weights=weights,
        placement=placement,
        home=placement.device,
        companions=Companions(text=(folder,)) if folder else NOWHERE,
    )
    return sd3.text(source, context=layouts.T5_WIDTH, pooled=POOLED)


def encoded(model: Sd3Text, prompt: str, policy: TextPolicy = PLAIN) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        found = model.encode_together((prompt,), policy)[0]
    assert found.pooled is not None
    return found.tokens, found.pooled


def test_the_towers_are_transformers_own() -> None:
    """The layer before the last without its norm; L's vector as it is, G's projected; behind its end G sees zeros."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    weights = layouts.filled(layouts.text_parts())
    tokens, pooled = encoded(text(t5_too=False), "a cat")
    ids = torch.tensor([chunked("a cat", PLAIN)[0][0].ids])
    end = ids[0].tolist().index(49407)
    start, wanted = 0, []
    for part, width, activation in (("l", layouts.CLIP_L, "quick_gelu"), ("g", layouts.CLIP_G, "gelu")):
        prefix = f"text_encoders.clip_{part}.transformer."
        state = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        state.setdefault("text_projection.weight", torch.eye(width))
        config = CLIPTextConfig(
            hidden_size=width,
            intermediate_size=width * 4,
            num_hidden_layers=3,
            num_attention_heads=max(1, width // 64),
            hidden_act=activation,
            projection_dim=width,
            eos_token_id=49407,
        )
        oracle = CLIPTextModelWithProjection(config).eval()
        oracle.load_state_dict(state)
        given = ids.clone()
        if part == "g":
            given[:, end + 1 :] = 0
        with torch.inference_mode():
            answer = oracle(given, output_hidden_states=True)
        assert torch.allclose(tokens[:77, start : start + width], answer.hidden_states[-2][0], atol=1e-4)
        wanted.append(answer.text_embeds[0])
        start += width
    assert torch.allclose(pooled, torch.cat(wanted), atol=1e-4)
    assert not tokens[:77, start:].any()


@pytest.mark.parametrize("missing", ["l", "g"])
def test_a_missing_tower_is_zeros_in_its_place(missing: str) -> None:
    whole, all_pooled = encoded(text(t5_too=False), "a (cat:1.3)")
    tokens, pooled = encoded(text(t5_too=False, **{missing: False}), "a (cat:1.3)")
    own = {"l": slice(0, layouts.CLIP_L), "g": slice(layouts.CLIP_L, POOLED)}
    gone, kept = own[missing], own["g" if missing == "l" else "l"]
    assert not tokens[:, gone].any()
    assert not pooled[gone].any()
    assert torch.equal(pooled[kept], all_pooled[kept])
    assert tokens[:77, kept].any()
    assert tokens.shape == whole.shape


def test_with_no_encoder_at_all_it_says_what_to_do() -> None:
    with pytest.raises(EaselError, match=r"sd3\.safetensors.*clip_l.*models/text_encoder"):
        text(l=False, g=False, t5_too=False)


def test_t5_speaks_when_it_is_asked_and_takes_as_many_places_as_clip(tmp_path: Path) -> None:
    words.t5_json(tmp_path / "tokenizer.json")
    model = text(tmp_path)
    silent, _ = encoded(model, "a cat")
    spoken, _ = encoded(model, "a cat", TextPolicy(t5=True))
    assert silent.shape == spoken.shape == (154, layouts.T5_WIDTH)
    assert torch.equal(silent[:77], spoken[:77])
    assert not silent[77:].any()
    assert spoken[77:].any()
    long, _ = encoded(model, "a cat, " * 60, TextPolicy(t5=True))
    assert len(long) % 154 == 0
    assert len(long) > 154


def test_t5_without_its_tokenizer_is_an_error_only_when_it_is_asked(tmp_path: Path) -> None:
    model = text(tmp_path)
    encoded(model, "a cat")
    with pytest.raises(EaselError, match="tokenizer of T5"):
        encoded(model, "a cat", TextPolicy(t5=True))


def test_t5_alone_will_do(tmp_path: Path) -> None:
    words.t5_json(tmp_path / "tokenizer.json")
    tokens, pooled = encoded(text(tmp_path, l=False, g=False), "a cat", TextPolicy(t5=True))
    assert torch.isfinite(tokens).all()
    assert not pooled.any()
    assert not tokens[:77].any()
    assert tokens[77:].any()


def test_emphasis_keeps_the_mean_of_both_towers_together() -> None:
    model = text(t5_too=False)
    plain, _ = encoded(model, "a cat")
    strong, _ = encoded(model, "a (cat:1.5)")
    assert not torch.allclose(plain[:77], strong[:77])
    assert torch.allclose(plain[:77].mean(), strong[:77].mean(), rtol=1e-3)
