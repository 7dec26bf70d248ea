"""Laws of SDXL's text encoders: side by side, each as it would be alone; an empty negative prompt is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.core.errors import BadRequest
from modules.loading.joined import JoinedEncoder
from modules.prompts.chunks import TextPolicy
from tests.loading.invented import RECIPES, filled
from tests.loading.test_families import load

POLICY = TextPolicy()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> JoinedEncoder:
    path: Path = tmp_path_factory.mktemp("xl") / "xl.safetensors"
    save_file(filled(RECIPES["sdxl"]()), path)
    text = load(path).text
    assert isinstance(text, JoinedEncoder)
    return text


def test_tokens_lie_side_by_side_and_the_last_tower_is_pooled(encoder: JoinedEncoder) -> None:
    (joined,) = encoder.encode_together(["a (red:1.3) cat"], POLICY)
    first, second = (each.encode_together(["a (red:1.3) cat"], POLICY)[0] for each in encoder.encoders)
    assert torch.equal(joined.tokens, torch.cat([first.tokens, second.tokens], dim=-1))
    assert joined.pooled is not None
    assert second.pooled is not None
    assert torch.equal(joined.pooled, second.pooled)
    assert first.pooled is None


def test_only_an_empty_negative_prompt_is_zeros(encoder: JoinedEncoder) -> None:
    (empty,) = encoder.encode_together([""], POLICY, negative=True)
    assert empty.pooled is not None
    assert not empty.tokens.any()
    assert not empty.pooled.any()
    for others in (
        encoder.encode_together([""], POLICY),
        encoder.encode_together(["ugly"], POLICY, negative=True),
        encoder.encode_together(["", "ugly"], POLICY, negative=True),
    ):
        assert all(each.tokens.any() for each in others)


def test_clip_skip_moves_the_first_tower_if_asked_and_never_the_second(encoder: JoinedEncoder) -> None:
    plain = encoder.encode("a cat", POLICY)
    assert torch.equal(plain, encoder.encode("a cat", TextPolicy(skip=3)))
    assert torch.equal(plain, encoder.encode("a cat", TextPolicy(skip=2, skip_sdxl=True)))
    moved = encoder.encode("a cat", TextPolicy(skip=3, skip_sdxl=True))
    width = encoder.widths[0]
    assert not torch.allclose(plain[..., :width], moved[..., :width])
    assert torch.equal(plain[..., width:], moved[..., width:])


def test_pooled_is_that_of_the_first_chunk(encoder: JoinedEncoder) -> None:
    (both,) = encoder.encode_together(["a cat BREAK a dog"], POLICY)
    (first,) = encoder.encode_together(["a cat"], POLICY)
    assert len(both.tokens) == 154
    assert both.pooled is not None
    assert first.pooled is not None
    torch.testing.assert_close(both.pooled, first.pooled)


def test_words_have_vectors_for_both_towers(encoder: JoinedEncoder) -> None:
    plain = encoder.encode("a zorblax", POLICY)
    vectors = torch.randn(2, encoder.width, generator=torch.Generator().manual_seed(0))
    encoder.learn({"zorblax": vectors})
    taught = encoder.encode("a zorblax", POLICY)
    encoder.learn({"zorblax": vectors})
    again = encoder.encode("a zorblax", POLICY)
    encoder.learn({})
    width = encoder.widths[0]
    assert torch.equal(taught, again)
    assert not torch.allclose(plain[..., :width], taught[..., :width])
    assert not torch.allclose(plain[..., width:], taught[..., width:])
    assert torch.equal(encoder.encode("a zorblax", POLICY), plain)


def test_the_old_emphasis_is_refused_with_the_way_out(encoder: JoinedEncoder) -> None:
    with pytest.raises(BadRequest, match="Stable Diffusion 1 only") as caught:
        encoder.encode("a cat", TextPolicy(old=True))
    assert caught.value.field == "use_old_emphasis_implementation"


def test_openclip_reads_names_of_characters(encoder: JoinedEncoder) -> None:
    clip, open_clip = encoder.encoders
    assert torch.equal(open_clip.encode("salt &amp; pepper", POLICY), open_clip.encode("salt & pepper", POLICY))
    assert not torch.equal(clip.encode("salt &amp; pepper", POLICY), clip.encode("salt & pepper", POLICY))
