"""Laws of rectified flow's levels: the published shift, from nearly 0 to 1; sizes and step counts move it; the model's
own schedule is that of its pipeline.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modules.core.process import RectifiedFlow, flow_levels
from modules.loading.mmdit import flux, flux2, qwen
from modules.samplers import schedules


@pytest.mark.parametrize("shift", [1.0, 3.0, 6.0])
def test_the_levels_are_those_of_diffusers(shift: float) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    theirs = FlowMatchEulerDiscreteScheduler(shift=shift).sigmas.flip(0)
    assert torch.allclose(flow_levels(shift).sigmas, theirs, atol=1e-6)


def test_the_highest_level_is_noise_alone_and_no_option_bends_them() -> None:
    levels = flow_levels(3.0)
    assert levels.highest == 1.0
    assert float(RectifiedFlow().alpha(torch.tensor(levels.highest))) == 0.0
    assert not levels.bends
    assert levels.solvable < 1.0


def test_time_and_level_are_inverse() -> None:
    levels = flow_levels(3.0)
    for sigma in (0.003, 0.2, 0.5, 0.97, 1.0):
        level = torch.tensor(sigma)
        assert torch.allclose(levels.level_at(levels.time_at(level)), level, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 4, 7, 20])
@pytest.mark.parametrize(("width", "height"), [(512, 512), (1024, 1024), (1536, 640)])
def test_flux_own_schedule_is_its_pipelines(steps: int, width: int, height: int) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.flux.pipeline_flux import calculate_shift

    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    tokens = (width // 16) * (height // 16)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=calculate_shift(tokens))
    ours = schedules.uniform(steps, flux.levels(sized=True).sized(width, height, steps))
    assert torch.allclose(ours, scheduler.sigmas, atol=2e-5)


@pytest.mark.parametrize("steps", [4, 28, 50])
@pytest.mark.parametrize("side", [512, 1024, 2048])
def test_flux2_shift_is_its_pipelines(steps: int, side: int) -> None:
    from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu

    mu = compute_empirical_mu((side // 16) ** 2, steps)
    assert flux2.stretch(side, side, steps) == pytest.approx(float(np.exp(mu)), rel=1e-9)


def test_qwens_own_schedule_ends_where_it_is_told() -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift

    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=qwen.TERMINAL)
    steps, tokens = 20, 83 * 83
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=calculate_shift(tokens, 256, 8192, 0.5, 0.9))
    levels = flow_levels(stretch=qwen.stretch, terminal=qwen.TERMINAL).sized(1328, 1328, steps)
    ours = schedules.uniform(steps, levels)
    assert torch.allclose(ours, scheduler.sigmas, atol=2e-5)
    assert float(ours[-2]) == pytest.approx(qwen.TERMINAL, rel=1e-4)
