"""ControlNet in jobs: the residuals and pictures of diffusers' own network, and nothing left afterwards."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from extensions.controlnet import layouts, steering
from extensions.controlnet.layouts import Net
from extensions.controlnet.steering import Residuals, Weights
from extensions.controlnet.units import Unit
from modules.core import device
from modules.core.errors import BadRequest, DamagedFile
from modules.generate.moments import NetworkCalled, Sampling
from modules.generate.request import Img2Img, Txt2Img
from modules.loading.vae import to_image
from tests.extensions.controlnet import nets
from tests.studio import MENUS, Bench

JOB = Txt2Img(prompt="a cat", negative_prompt="blue", seed=1, subseed=1, width=64, height=64, steps=3)
Pixels = np.ndarray


def asked(*units: dict[str, Any], job: Any = JOB) -> Any:
    return dataclasses.replace(job, extension_args={"controlnet": list(units)})


def pixels(bench: Bench, request: Any, **options: Any) -> Pixels:
    """The job's first picture."""
    return np.asarray(bench.images(request, control_net_no_detectmap=True, **options)[0].convert("RGB")).astype(int)


def distance(one: Pixels, other: Pixels) -> float:
    """dB."""
    error = float(((one - other) ** 2).mean())
    return math.inf if not error else 10 * math.log10(255**2 / error)


class Ears:
    """Listens to a moment for a while."""

    def __init__(self, moment: Any) -> None:
        self.events: list[Any] = []
        self.remove = moment.add(self.events.append, owner="test")

    def __enter__(self) -> list[Any]:
        return self.events

    def __exit__(self, *error: object) -> None:
        self.remove()


def called(bench: Bench, request: Any) -> tuple[Sampling, list[NetworkCalled]]:
    with Ears(bench.moments.sampling) as passes, Ears(bench.moments.network_called) as calls:
        bench.make(request)
    return passes[0], calls


def folder(bench: Bench) -> Path:
    return bench.folder / "models" / "ControlNet"


@pytest.mark.parametrize("file", ["ldm-canny.pth", "diffusers.safetensors"])
def test_both_layouts_say_what_diffusers_own_network_says(controlled: Bench, picture: str, file: str) -> None:
    _, calls = called(controlled, JOB)
    event = calls[0]
    net = layouts.load(folder(controlled) / file, device.choose(use_cpu=["all"]))
    hint = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        found = Residuals(net, hint, Weights(unit=Unit(), soft=False)).answers(event)
        down, middle = nets.oracle(event.model.unet, nets.ldm())(
            event.x, event.time, event.given.context, hint.expand(len(event.x), -1, -1, -1), return_dict=False
        )
    for one, other in zip(found, [*down, middle], strict=True):
        assert one.abs().max() > 0.01
        assert torch.allclose(one, other, atol=1e-4)


@torch.inference_mode()
def looped(bench: Bench, passed: Sampling, hint: Tensor, weight: float, scale: float) -> Pixels:
    """The picture by a plain Euler loop over the UNet and diffusers' own ControlNet, as its pipeline asks them."""
    model, x = passed.model, passed.x
    conditioning = passed.program.at(0)
    context = torch.cat([conditioning.positive.context, conditioning.negative.context])
    control = nets.oracle(model.unet, nets.ldm())
    for sigma, following in zip(passed.sigmas[:-1], passed.sigmas[1:], strict=True):
        scaled = torch.cat([x, x]) / (sigma**2 + 1) ** 0.5
        time = model.levels.time_at(sigma).expand(2)
        down, middle = control(
            scaled, time, context, hint.expand(2, -1, -1, -1), conditioning_scale=weight, return_dict=False
        )
        eps = model.unet(
            scaled,
            time,
            context,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
        positive, negative = eps.chunk(2)
        x = x + (negative + scale * (positive - negative)) * (following - sigma)
    return np.asarray(to_image(model.vae.decode(x[0]))).astype(int)


def test_the_picture_is_that_of_a_plain_loop_over_diffusers_network(controlled: Bench, picture: str) -> None:
    passed, _ = called(controlled, JOB)
    with_it = pixels(controlled, asked({"model": "ldm-canny", "image": picture, "weight": 0.7}))
    shown = np.asarray(controlled.studio.inputs.open(picture, field="").convert("RGB"))
    hint = torch.from_numpy(shown.copy()).permute(2, 0, 1)[None].float() / 255
    plain = pixels(controlled, JOB)
    assert distance(with_it, looped(controlled, passed, hint, 0.7, JOB.cfg_scale)) >= 60
    assert distance(with_it, plain) < 40


def test_weight_zero_and_what_comes_after_are_the_same_bits(controlled: Bench, picture: str) -> None:
    before = pixels(controlled, JOB)
    unit = {"model": "diffusers", "image": picture}
    assert np.array_equal(pixels(controlled, asked({**unit, "weight": 0})), before)
    steered = pixels(controlled, asked(unit))
    assert np.abs(steered - before).max() > 3
    assert np.array_equal(pixels(controlled, JOB), before)
    assert np.array_equal(pixels(controlled, asked({**unit, "enabled": False})), before)
    assert np.array_equal(pixels(controlled, asked(unit)), steered)


def test_it_counts_from_its_start_to_its_end(controlled: Bench, picture: str) -> None:
    unit = {"model": "diffusers", "image": picture}
    for start, end, expected in ((0, 1, [1, 1, 1]), (0.3, 1, [0, 1, 1]), (0, 0.4, [1, 1, 0]), (0.9, 1, [0, 0, 0])):
        _, calls = called(controlled, asked({**unit, "guidance_start": start, "guidance_end": end}))
        assert [int(bool(call.down)) for call in calls] == expected


@pytest.mark.parametrize(
    ("mode", "soft", "only_prompts"),
    [("Balanced", False, False), (1, True, False), ("controlnet is more important", True, True)],
)
def test_control_modes(controlled: Bench, picture: str, mode: object, soft: bool, only_prompts: bool) -> None:
    unit = {"model": "diffusers", "image": picture, "weight": 1.5}
    _, (usual, *_) = called(controlled, asked(unit))
    _, (call, *_) = called(controlled, asked({**unit, "control_mode": mode}))
    assert usual.given.wanted is not None
    assert usual.given.wanted.tolist() == [True, False]
    for place, (one, other) in enumerate(zip(call.down, usual.down, strict=True)):
        factor = 0.825 ** (12 - place) if soft else 1
        assert torch.allclose(one[0], other[0] * factor, atol=1e-5)
        assert torch.allclose(one[1], other[1] * (0 if only_prompts else factor), atol=1e-5)
    assert call.middle is not None
    assert usual.middle is not None
    assert torch.allclose(call.middle[0], usual.middle[0], atol=1e-5)


def test_units_add_up(controlled: Bench, picture: str) -> None:
    first, second = ({"model": name, "image": picture, "weight": 0.5} for name in ("diffusers", "other"))
    (_, (one, *_)), (_, (other, *_)) = called(controlled, asked(first)), called(controlled, asked(second))
    _, (both, *_) = called(controlled, asked(first, second))
    for each, left, right in zip(both.down, one.down, other.down, strict=True):
        assert torch.allclose(each, left + right, atol=1e-5)
    assert both.middle is not None
    assert one.middle is not None
    assert other.middle is not None
    assert torch.allclose(both.middle, one.middle + other.middle, atol=1e-5)


def test_a_prompt_of_several_and_scale_1_have_their_rows(controlled: Bench, picture: str) -> None:
    unit = {"model": "diffusers", "image": picture, "control_mode": 2}
    several = dataclasses.replace(JOB, prompt="a cat AND a dog :0.5", batch_size=2, steps=1)
    _, (call, *_) = called(controlled, asked(unit, job=several))
    assert call.given.wanted is not None
    assert call.given.wanted.tolist() == [True] * 4 + [False] * 2
    assert all(each[:4].abs().max() > 0 and each[4:].abs().max() == 0 for each in call.down)
    _, (call, *_) = called(controlled, asked(unit, job=dataclasses.replace(JOB, cfg_scale=1, steps=1)))
    assert [len(each) for each in call.down] == [1] * len(call.down)


def test_the_second_pass_is_shown_the_picture_at_its_size(controlled: Bench, picture: str) -> None:
    job = dataclasses.replace(JOB, steps=2, enable_hr=True, hr_scale=1.5, hr_upscaler="Latent", denoising_strength=0.7)
    unit = {"model": "diffusers", "image": picture}
    for option, expected in (("Both", {8: True, 12: True}), (1, {8: True, 12: False}), (2, {8: False, 12: True})):
        _, calls = called(controlled, asked({**unit, "hr_option": option}, job=job))
        assert {call.x.shape[-1]: bool(call.down) for call in calls} == expected
    sizes = [image.size for image in controlled.images(asked(unit, job=job))]
    assert sizes == [(96, 96), (96, 96), (64, 64)]


def test_the_map_is_appended_unless_nobody_wants_it(controlled: Bench, picture: str) -> None:
    unit = {"module": "canny", "model": "ldm-canny", "image": picture, "processor_res": 64}
    made, shown = controlled.images(asked(unit))
    assert {level for _, level in shown.convert("L").getcolors() or ()} == {0, 255}
    assert "ControlNet 0" in made.info["parameters"]
    assert "parameters" not in shown.info
    assert len(controlled.images(asked({**unit, "save_detected_map": False}))) == 1
    assert len(controlled.images(asked(unit), control_net_no_detectmap=True)) == 1


def test_a_network_of_another_family_is_left_out_with_a_word(controlled: Bench, picture: str) -> None:
    result = controlled.make(asked({"model": "wide", "image": picture}))
    (comment,) = (each for each in result["comments"] if "wide" in each)
    assert all(words in comment for words in ("left out", "text 128 wide", "tiny-sd1"))
    found = np.asarray(Image.open(result["pictures"][0]["path"]).convert("RGB")).astype(int)
    assert np.array_equal(found, pixels(controlled, JOB))


def test_what_cannot_be_is_refused_before_the_job(controlled: Bench, picture: str) -> None:
    def check(**unit: Any) -> None:
        body = {"ControlNET": {"args": [{"image": picture, **unit}]}}
        controlled.scripts.check_always_on(body, "txt2img", MENUS)

    check(model="ldm-canny")
    for wrong, words in (
        ({"model": "lora"}, "Control-LoRA"),
        ({"model": "None"}, "no model"),
        ({"model": "nowhere"}, "nowhere"),
        ({"model": "diffusers", "module": "openpose_full"}, "pose detector"),
        ({"model": "diffusers", "module": "kanny"}, "canny"),
        ({"model": "diffusers", "weight": 3}, "weight"),
        ({"model": "diffusers", "guidance_start": 0.5, "guidance_end": 0.2}, "guidance_start"),
        ({"model": "diffusers", "control_mode": "Bold"}, "control_mode"),
    ):
        with pytest.raises((BadRequest, DamagedFile, LookupError, Exception), match=words):
            check(**wrong)
    with pytest.raises(BadRequest, match="no image"):
        controlled.make(asked({"model": "diffusers"}))


@pytest.mark.parametrize("file", ["t2iadapter", "t2iadapter-diffusers"])
def test_a_t2i_adapter_says_what_diffusers_says_and_the_picture_changes(
    controlled: Bench, picture: str, file: str
) -> None:
    before = pixels(controlled, JOB)
    unit = {"model": file, "image": picture, "weight": 0.8}
    _, (call, *_) = called(controlled, asked(unit))
    shown = np.asarray(controlled.studio.inputs.open(picture, field="").convert("RGB"))
    hint = torch.from_numpy(shown.copy()).permute(2, 0, 1)[None].float() / 255
    expected = nets.t2i()(hint)
    for one, other in zip(call.blocks, expected, strict=True):
        assert torch.allclose(one, (0.8 * other).expand(2, -1, -1, -1), atol=1e-5)
    assert np.abs(pixels(controlled, asked(unit)) - before).max() > 3
    assert np.array_equal(pixels(controlled, JOB), before)


def test_inpainting_only_the_masked_part_shows_the_same_part_of_the_control(controlled: Bench, picture: str) -> None:
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 32, 64, 64))
    name = controlled.studio.inputs.add_image(mask)
    job = Img2Img(
        prompt="a cat", seed=1, subseed=1, width=64, height=64, steps=2, init_images=(picture,), mask=name,
        mask_blur_x=0, mask_blur_y=0, inpaint_full_res=True, inpainting_fill=1,
    )  # fmt: skip
    *_, shown = controlled.images(asked({"model": "diffusers", "image": picture}, job=job))
    whole = controlled.studio.inputs.open(picture, field="").convert("RGB")
    part = whole.crop((32, 32, 64, 64)).resize((64, 64), Image.Resampling.LANCZOS)
    assert distance(np.asarray(shown.convert("RGB")).astype(int), np.asarray(part).astype(int)) > 30


def test_inpaint_only_keeps_what_is_not_masked(controlled: Bench, picture: str) -> None:
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    unit = {
        "module": "inpaint_only", "model": "diffusers", "image": picture,
        "mask": controlled.studio.inputs.add_image(mask),
    }  # fmt: skip
    found = pixels(controlled, asked(unit))
    own = np.asarray(controlled.studio.inputs.open(picture, field="").convert("RGB")).astype(int)
    assert np.abs(found[:, :24] - own[:, :24]).max() <= 1
    assert np.abs(found[:, 48:] - own[:, 48:]).max() > 10


def test_masked_places_are_shown_as_minus_one() -> None:
    shown = np.full((8, 8, 4), 255, dtype=np.uint8)
    shown[:4, :, 3] = 0
    hint = steering.hint_of(shown, device.choose(use_cpu=["all"]))
    assert hint[0, :, :4].unique().tolist() == [1]
    assert hint[0, :, 4:].unique().tolist() == [-1]


def test_answers_of_a_shuffle_net_are_averaged_and_for_prompts_alone(controlled: Bench, picture: str) -> None:
    _, (event, *_) = called(controlled, JOB)
    net = layouts.load(folder(controlled) / "diffusers.safetensors", device.choose(use_cpu=["all"]))
    steer = Residuals(Net(name="shuffle", kind=net.kind, network=net.network, pools=True), torch.zeros(1, 3, 64, 64),
                      Weights(unit=Unit(), soft=False))  # fmt: skip
    with torch.inference_mode():
        steer.called(event, torch.tensor(1.0), active=True)
    assert all(each.shape[2:] == (1, 1) and each[1].abs().max() == 0 for each in event.down)
