"""Every sampler and scheduler through the whole engine: pictures come out, a batch is its pictures."""

from __future__ import annotations

import numpy as np
import pytest

from modules.generate.request import Txt2Img
from modules.samplers.catalog import Sampler, builtin
from tests.reference.cases import psnr
from tests.studio import Bench


def request(sampler: str, **fields: object) -> Txt2Img:
    base = Txt2Img(prompt="a house", seed=5, steps=4, width=64, height=64, sampler_name=sampler, cfg_scale=4.0)
    return Txt2Img.of_json({**base.to_json(), **fields})


@pytest.mark.parametrize("row", builtin().samplers(), ids=lambda row: row.name)
def test_every_sampler_makes_a_picture_and_a_batch_is_its_pictures(row: Sampler, bench: Bench) -> None:
    """But for DPM adaptive, which has one error estimate for the whole batch."""
    both = bench.images(request(row.name, batch_size=2, override_settings={"return_grid": False}))
    assert len(both) == 2
    for seed, picture in zip((5, 6), both, strict=True):
        assert np.asarray(picture).std() > 1
        if row.name != "DPM adaptive":
            assert psnr(picture, bench.images(request(row.name, seed=seed))[0]) > 50


@pytest.mark.parametrize("label", [row.label for row in builtin().schedulers()])
def test_every_scheduler_is_named_in_the_infotext(label: str, bench: Bench) -> None:
    result = bench.make(request("Euler", scheduler=label))
    assert f"Schedule type: {label}," in result["info"]["infotexts"][0]


@pytest.mark.parametrize("name", ["DDIM", "PLMS", "UniPC", "DPM fast", "Restart", "DPM++ 3M SDE"])
@pytest.mark.parametrize("steps", [1, 2])
def test_few_steps_are_enough_for_an_answer(name: str, steps: int, bench: Bench) -> None:
    assert len(bench.images(request(name, steps=steps))) == 1


def test_zero_terminal_snr_is_noted_and_changes_the_picture(bench: Bench) -> None:
    plain = bench.images(request("Euler"))[0]
    result = bench.make(request("Euler"), sd_noise_schedule="Zero Terminal SNR")
    assert "Noise Schedule: Zero Terminal SNR" in result["info"]["infotexts"][0]
    assert psnr(plain, bench.images(request("Euler"), sd_noise_schedule="Zero Terminal SNR")[0]) < 40


def test_ddims_eta_has_an_option_of_its_own(bench: Bench) -> None:
    result = bench.make(request("DDIM"), eta_ddim=0.5, eta_ancestral=0.3)
    assert "Eta DDIM: 0.5" in result["info"]["infotexts"][0]
    assert "Eta:" not in result["info"]["infotexts"][0]


def test_one_path_for_a_batch_is_another_picture(bench: Bench) -> None:
    wanted = request("DPM++ SDE", batch_size=2, override_settings={"return_grid": False})
    apart = bench.images(wanted)
    shared = bench.images(wanted, no_dpmpp_sde_batch_determinism=True)
    assert psnr(apart[1], shared[1]) < 40
