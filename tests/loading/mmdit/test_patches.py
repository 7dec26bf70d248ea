"""Laws of patches and lengths: packing loses nothing; an odd side is filled and cut again; a batch of texts of several
lengths is what each is alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modules.loading.mmdit import patches
from modules.loading.mmdit.lengths import grouped
from modules.loading.prediction import Given


def test_unpacking_is_the_inverse_of_packing() -> None:
    x = torch.randn(2, 5, 6, 4)
    assert torch.equal(patches.unpacked(patches.packed(x), 6, 4), x)
    assert patches.packed(x).shape == (2, 6, 20)


def test_packing_is_the_pipelines() -> None:
    from diffusers import FluxPipeline

    x = torch.randn(2, 16, 6, 4)
    assert torch.equal(patches.packed(x), FluxPipeline._pack_latents(x, 2, 16, 6, 4))
    assert torch.equal(
        patches.places(6, 4, x.device), FluxPipeline._prepare_latent_image_ids(1, 3, 2, x.device, x.dtype)
    )


def test_an_even_latent_is_left_alone_and_an_odd_one_filled() -> None:
    x = torch.arange(15.0).reshape(1, 1, 3, 5)
    same, *_ = patches.even(x[..., :2, :4])
    assert torch.equal(same, x[..., :2, :4])
    filled, height, width = patches.even(x)
    assert filled.shape[-2:] == (4, 6)
    assert torch.equal(filled[..., :height, :width], x)
    assert torch.equal(filled[..., -1, :width], x[..., -1, :])


def test_rows_of_one_length_are_asked_together_and_come_back_in_order() -> None:
    asked: list[tuple[int, int]] = []

    def part(x: Tensor, time: Tensor, given: Given) -> Tensor:
        asked.append((len(x), given.context.shape[1]))
        return x + given.context.sum(dim=(1, 2)).reshape(-1, 1, 1, 1) + time.reshape(-1, 1, 1, 1)

    lengths = torch.tensor([[3.0], [5.0], [3.0]])
    context = torch.ones(3, 5, 2)
    x, time = torch.randn(3, 1, 2, 2), torch.tensor([0.0, 100.0, 200.0])
    answer = grouped(x, time, Given(context=context, pooled=lengths), part)
    assert asked == [(2, 3), (1, 5)]
    asked.clear()
    grouped(x[:2], time[:2], Given(context=context[:2], pooled=lengths[[0, 2]]), part)
    assert asked == [(2, 3)]
    assert torch.allclose(answer, x + torch.tensor([6.0, 110.0, 206.0]).reshape(-1, 1, 1, 1))
