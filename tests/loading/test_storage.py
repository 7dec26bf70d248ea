"""Weights in 8 bits: a quarter of float32's memory, nearly the same picture, and the whole model comes back."""

from __future__ import annotations

import torch

from modules.generate.request import Txt2Img
from modules.loading.storage import EIGHT_BITS, LAYERS
from tests.generate.test_run import SMALL
from tests.reference.cases import psnr
from tests.studio import Bench

ASKED = Txt2Img(**SMALL)


def test_the_picture_is_nearly_the_same_and_the_text_says_so(bench: Bench) -> None:
    whole = bench.images(ASKED)[0]
    made = bench.make(ASKED, fp8_storage="Enable")
    assert "FP8 weight: Enable," in made["info"]["infotexts"][0]
    small = bench.images(ASKED, fp8_storage="Enable")[0]
    assert 15 < psnr(small, whole) < 60
    model = bench.studio.shelf.get(bench.library.find("tiny-sd1"), eight_bits=True)
    layers = [module for module in model.unet.modules() if isinstance(module, LAYERS)]
    assert {module.weight.dtype for module in layers} == {EIGHT_BITS}
    bytes_ = sum(each.numel() * each.element_size() for each in model.unet.parameters())
    assert bytes_ < 0.3 * sum(each.numel() * 4 for each in model.unet.parameters())
    assert psnr(bench.images(ASKED)[0], whole) == 99


def test_only_the_families_that_are_meant(bench: Bench) -> None:
    made = bench.make(ASKED, fp8_storage="Enable for SDXL")
    assert "FP8" not in made["info"]["infotexts"][0]


def test_networks_are_put_on_and_off(bench: Bench) -> None:
    plain = bench.images(ASKED, fp8_storage="Enable")[0]
    worn = bench.images(Txt2Img(**{**SMALL, "prompt": "a cat <lora:tiny-lora:1>"}), fp8_storage="Enable")[0]
    assert psnr(worn, plain) < 50
    assert psnr(bench.images(ASKED, fp8_storage="Enable")[0], plain) == 99


def test_eight_bits_are_a_kind_of_number_here() -> None:
    assert torch.ones(2).to(EIGHT_BITS).float().tolist() == [1, 1]
