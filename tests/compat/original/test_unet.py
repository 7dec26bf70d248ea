"""The UNet under the original's names: the same tensors, the same answer to the last bit, and hooks that are heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from modules.compat.original import blocks, unet
from modules.core import device
from modules.core.store import Store
from modules.loading import ldm_names
from modules.loading.library import Library
from modules.loading.prediction import Given
from modules.loading.shelf import Shelf
from tests.studio import MODELS, OTHERS

FILES = [MODELS / "Stable-diffusion" / "tiny-sd1.safetensors"]
FILES += [each for each in OTHERS if each.stem in ("tiny-sd2-v", "tiny-sdxl")]


class Bench:
    """A model, and one question to its network."""

    def __init__(self, file: Path, folder: Path) -> None:
        (entry,) = [
            each for each in Library([file.parent], Store(folder / "h.sqlite")).checkpoints() if each.path == file
        ]
        self.model = Shelf(device.choose(use_cpu=["all"])).get(entry)
        self.real: Any = self.model.unet
        real: Any = self.real
        draw = torch.Generator().manual_seed(1)
        pooled = ids = None
        if getattr(real, "add_embedding", None) is not None:
            wide = real.add_embedding.linear_1.in_features - 6 * real.config.addition_time_embed_dim
            pooled, ids = torch.randn(2, wide, generator=draw), torch.full((2, 6), 64.0)
        self.given = Given(
            context=torch.randn(2, 77, real.config.cross_attention_dim, generator=draw), pooled=pooled, ids=ids
        )
        self.x, self.time = torch.randn(2, 4, 9, 11, generator=draw), torch.tensor([300, 300])

    def ask(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.model.ask(self.real, self.x, self.time, self.given)


@pytest.fixture(scope="module", params=FILES, ids=lambda file: file.stem)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(request.param, tmp_path_factory.mktemp("unet"))


def test_names_are_the_files_and_answers_do_not_change(bench: Bench) -> None:
    plain, keys = bench.ask(), bench.real.state_dict()
    view: Any = unet.shown(bench.real)
    assert unet.shown(bench.real) is view
    named = view.state_dict()
    assert set(named) == set(ldm_names.unet(keys).values())
    assert all(named[new].data_ptr() == keys[old].data_ptr() for old, new in ldm_names.unet(keys).items())
    assert torch.equal(bench.ask(), plain)

    calls: list[int] = []
    places: Any = view.output_blocks
    handles = [place.register_forward_hook(lambda *_: calls.append(1)) for place in places]
    assert torch.allclose(bench.ask(), plain, atol=1e-5)  # place by place: the same sums
    assert len(calls) == len(places)
    for handle in handles:
        handle.remove()
    assert torch.equal(bench.ask(), plain)


def test_another_forward_of_an_attention_is_heard_until_it_is_taken_away(bench: Bench) -> None:
    plain = bench.ask()
    attentions: list[Any] = [
        module
        for name, module in unet.shown(bench.real).named_modules()
        if name.endswith("attn2") and type(module).__name__ == "CrossAttention"
    ]
    assert attentions

    def without_words(module: Any) -> Any:
        before = module.forward
        return lambda x, context=None, mask=None: before(x, context=torch.zeros_like(context))

    for module in attentions:
        module.forward = without_words(module)
    assert not torch.equal(bench.ask(), plain)
    for module in attentions:
        del module.forward
    assert torch.equal(bench.ask(), plain)


def test_hooks_that_change_the_call_are_heard(bench: Bench) -> None:
    plain = bench.ask()
    view: Any = unet.shown(bench.real)
    block = next(each for each in view.modules() if isinstance(each, blocks.BasicTransformerBlock))

    def fewer(module: Any, args: Any, named: dict[str, Any]) -> Any:
        assert named["context"] is None
        return args, {**named, "context": args[0][:, ::2]}

    handle = block.attn1.register_forward_pre_hook(fewer, with_kwargs=True)
    assert not torch.equal(bench.ask(), plain)
    handle.remove()
    seen: list[Any] = []
    handle = view.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape))
    assert torch.equal(bench.ask(), plain)
    assert seen == [(2, 4, 9, 11)]
    handle.remove()


def test_the_original_call_gives_what_diffusers_gives(bench: Bench) -> None:
    view: Any = unet.shown(bench.real)
    if bench.given.pooled is None:
        with torch.inference_mode():
            assert torch.equal(view(bench.x, bench.time, context=bench.given.context), bench.ask())
    waves = unet.timestep_embedding(bench.time, 32)
    assert torch.allclose(waves[:, :16] ** 2 + waves[:, 16:] ** 2, torch.ones(2, 16), atol=1e-5)
