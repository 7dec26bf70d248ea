"""The names and shapes written are those of a genuine SD1 file, and reading them back gives the same weights."""

from __future__ import annotations

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors import safe_open

from modules.loading import families
from modules.training import exporting, layout, models, objective
from modules.training.recipes import TextSize, UnetSize, VaeSize
from tests.studio import MODELS

TINY = MODELS / "Stable-diffusion" / "tiny-sd1.safetensors"


@pytest.mark.reference
def test_keys_and_shapes_are_those_of_a_genuine_file() -> None:
    if not TINY.exists():
        pytest.skip("tests/reference/models is absent")
    models.seeded(0)
    tensors = exporting.checkpoint(
        models.unet(UnetSize(channels=(32, 64, 64, 64), attention=(True, True, True, False)), 64),
        models.vae(VaeSize(channels=(32, 64, 64, 64), blocks=2)),
        models.text(TextSize(width=64, layers=4)),
        dtype=torch.float16,
    )
    with safe_open(TINY, framework="pt") as file:
        names = list(file.keys())
        slices = {name: file.get_slice(name) for name in names}
        genuine = {name: (tuple(each.get_shape()), each.get_dtype()) for name, each in slices.items()}
        numbers = {name: file.get_tensor(name) for name in genuine if "." not in name}
    kinds = {torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"}
    assert {name: (tuple(each.shape), kinds[each.dtype]) for name, each in tensors.items()} == genuine
    for name, values in numbers.items():
        torch.testing.assert_close(tensors[name], values, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize(
    "size",
    [
        UnetSize(channels=(32, 64), attention=(False, True), blocks=1),
        UnetSize(channels=(32, 64, 96), attention=(True, False, True)),
        UnetSize(channels=(32,), attention=(True,), blocks=3),
    ],
)
def test_the_unet_comes_back(size: UnetSize) -> None:
    models.seeded(0)
    unet = models.unet(size, 64)
    named = {families.UNET + name: each for name, each in layout.unet(unet.state_dict()).items()}
    back = convert_ldm_unet_checkpoint(named, dict(unet.config))
    assert back.keys() == unet.state_dict().keys()
    assert all(torch.equal(back[name], each) for name, each in unet.state_dict().items())


def test_the_vae_comes_back() -> None:
    models.seeded(0)
    vae = models.vae(VaeSize(channels=(32, 64), blocks=1))
    back = convert_ldm_vae_checkpoint(layout.vae(vae.state_dict()), dict(vae.config))
    assert back.keys() == vae.state_dict().keys()
    for name, each in vae.state_dict().items():
        assert torch.equal(back[name].reshape(each.shape), each)


def test_the_schedule_is_consistent() -> None:
    """posterior mean of x_{t-1}: its weights of x0 and x_t explain x_{t-1} exactly when there is no noise."""
    kept = objective.SCHEDULES["scaled_linear"]().kept
    table = {name: each.double() for name, each in layout.schedule(kept).items()}
    assert len(table) == 12
    at = table["posterior_mean_coef1"] + table["posterior_mean_coef2"] * table["sqrt_alphas_cumprod"]
    torch.testing.assert_close(at, table["alphas_cumprod_prev"].sqrt(), rtol=1e-3, atol=1e-3)
