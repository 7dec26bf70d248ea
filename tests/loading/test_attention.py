"""Filling up narrow heads changes no result."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from modules.loading.attention import WORTHWHILE, attention


@pytest.mark.parametrize("width", [1, 4, 8, 15, 16, 40])
@pytest.mark.parametrize("keys", [77, WORTHWHILE, 1000])
def test_attention_is_torchs(width: int, keys: int) -> None:
    generator = torch.Generator().manual_seed(width)
    query = torch.randn(2, 3, 50, width, generator=generator)
    key, value = (torch.randn(2, 3, keys, width, generator=generator) for _ in range(2))
    expected = functional.scaled_dot_product_attention(query, key, value)
    assert torch.allclose(attention(query, key, value), expected, atol=1e-5)


def test_attention_follows_its_definition() -> None:
    query, key, value = (torch.randn(1, 2, WORTHWHILE, 4, generator=torch.Generator().manual_seed(i)) for i in range(3))
    weights = torch.softmax(query @ key.transpose(-1, -2) / 2, dim=-1)
    assert torch.allclose(attention(query, key, value), weights @ value, atol=1e-5)
