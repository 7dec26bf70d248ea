"""Laws of names: every table gives exactly the tensors that diffusers' own conversion of released files gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
import torch
from torch import Tensor

from modules.loading.loader import declare_vision_operators
from modules.loading.mmdit import chroma, flux, flux2, names, nextdit, sd3
from modules.loading.mmdit.names import Rule, rule, translated
from tests.loading.mmdit import layouts

declare_vision_operators()

Case = tuple[Iterable[tuple[str, tuple[int, ...]]], Sequence[Rule], str]

CASES: dict[str, Callable[[], Case]] = {
    "sd3": lambda: (layouts.sd3(), sd3.rules(3), "convert_sd3_transformer_checkpoint_to_diffusers"),
    "sd3.5": lambda: (
        layouts.sd3(normed=True, dual=2),
        sd3.rules(3),
        "convert_sd3_transformer_checkpoint_to_diffusers",
    ),
    "flux-dev": lambda: (
        layouts.flux(heads=24, head=128),
        flux.rules(3072),
        "convert_flux_transformer_checkpoint_to_diffusers",
    ),
    "flux-schnell": lambda: (
        layouts.flux(heads=24, head=128, guided=False),
        flux.rules(3072),
        "convert_flux_transformer_checkpoint_to_diffusers",
    ),
    "chroma": lambda: (
        layouts.chroma(heads=24, head=128),
        chroma.rules(3072),
        "convert_chroma_transformer_checkpoint_to_diffusers",
    ),
    "lumina2": lambda: (
        layouts.lumina2(heads=24, keys=8, head=96),
        nextdit.lumina_rules(2304, 768),
        "convert_lumina2_to_diffusers",
    ),
    "flux2": lambda: (
        layouts.flux2(),
        flux2.RULES,
        "convert_flux2_transformer_checkpoint_to_diffusers",
    ),
    "z-image": lambda: (
        layouts.z_image(),
        nextdit.Z_RULES,
        "convert_z_image_transformer_checkpoint_to_diffusers",
    ),
}


def narrow(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, Tensor]:
    """Tensors of one column, every row another number: conversions cut and swap rows only, at any real width."""
    result, start = {}, 0
    for name, shape in shapes:
        result[name] = torch.arange(start, start + shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        start += shape[0]
    return result


@pytest.mark.parametrize("case", CASES)
def test_the_same_as_diffusers_conversion(case: str) -> None:
    from diffusers.loaders import single_file_utils

    shapes, rules, function = CASES[case]()
    weights = narrow(shapes)
    ours = translated(weights, rules)
    theirs = getattr(single_file_utils, function)(dict(weights))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_name_that_no_rule_knows_stays() -> None:
    found = translated({"block.0.odd": torch.zeros(2)}, [rule("block.*.even", "layer.*.even")])
    assert list(found) == ["block.0.odd"]


def test_a_star_is_one_word() -> None:
    found = translated(
        {"a.3.qkv.bias": torch.arange(6)}, [rule("a.*.qkv.*", *("b.*.q.*", "b.*.k.*", "b.*.v.*"), cut=names.thirds)]
    )
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        "b.3.q.bias": [0, 1],
        "b.3.k.bias": [2, 3],
        "b.3.v.bias": [4, 5],
    }


def test_cutting_makes_views_of_the_file() -> None:
    whole = torch.arange(12).reshape(6, 2)
    for part in names.rows(2, -1)(whole):
        assert part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()


def test_the_root_is_what_stands_before_the_mark() -> None:
    assert names.root(["model.diffusion_model.double_blocks.0.x"], "double_blocks.") == "model.diffusion_model."
    assert names.root(["double_blocks.0.x"], "double_blocks.") == ""
    with pytest.raises(KeyError):
        names.root(["elsewhere.double_blocks.0.x"], "double_blocks.")
