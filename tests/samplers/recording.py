"""What k-diffusion 0.1.1 itself answers in a world that both can sample: `k_diffusion.json`, read by its test.

k-diffusion wants some twenty packages that nothing here needs, so its answers were recorded once, from its wheel:

    python -m pip download --no-deps k-diffusion==0.1.1.post1 && unzip k_diffusion-*.whl
    python -m tests.samplers.recording k_diffusion
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.core.process import VarianceExploding
from modules.core.types import StepNoise
from tests.samplers.worlds import Gaussian, levels, start

FILE = Path(__file__).with_name("k_diffusion.json")
WORLD = Gaussian(VarianceExploding())
VISITED = torch.cat([levels(WORLD.process, 12), torch.zeros(1, dtype=torch.float64)])
CALLS = 10
"""What DPM fast is given."""

ETAS: tuple[Mapping[str, float], ...] = ({"eta": 0.0}, {"eta": 1.0}, {"eta": 0.4, "s_noise": 1.1})
CHURNS: tuple[Mapping[str, float], ...] = ({}, {"s_churn": 4.0, "s_tmin": 0.2, "s_tmax": 5.0, "s_noise": 1.1})
FUNCTIONS: Mapping[str, tuple[str, tuple[Mapping[str, float], ...]]] = {
    "Euler": ("sample_euler", CHURNS),
    "Euler a": ("sample_euler_ancestral", ETAS),
    "LMS": ("sample_lms", ({},)),
    "Heun": ("sample_heun", CHURNS),
    "DPM2": ("sample_dpm_2", CHURNS),
    "DPM2 a": ("sample_dpm_2_ancestral", ETAS),
    "DPM++ 2M": ("sample_dpmpp_2m", ({},)),
    "DPM++ 2S a": ("sample_dpmpp_2s_ancestral", ETAS),
    "DPM++ SDE": ("sample_dpmpp_sde", ETAS),
    "DPM++ 2M SDE": ("sample_dpmpp_2m_sde", ETAS),
    "DPM++ 2M SDE Heun": ("sample_dpmpp_2m_sde", ETAS),
    "DPM++ 3M SDE": ("sample_dpmpp_3m_sde", ETAS),
    "DPM fast": ("sample_dpm_fast", ETAS),
    "DPM adaptive": ("sample_dpm_adaptive", (*ETAS[:2], {"eta": 0.4})),
}
"""A sampler here -> its function there, and with which parameters it is asked."""
SCHEDULES: Mapping[str, Mapping[str, float]] = {
    "karras": {"rho": 5.0},
    "exponential": {},
    "polyexponential": {"rho": 2.0},
}
"""A scheduler here and there -> with which parameters it is asked for LEVELS levels between two others."""
LEVELS, LOW, HIGH = 9, 0.03, 14.0
CASES = [(name, parameters) for name, (_, each) in FUNCTIONS.items() for parameters in each]


def begin() -> Tensor:
    """Two pictures, (2, 1, 3, 3): what is one for the whole batch shows."""
    return torch.cat([start() * 10, start() * 3 + 1])


def title(name: str, parameters: Mapping[str, float]) -> str:
    return ", ".join([name, *(f"{key} {value:g}" for key, value in parameters.items())])


class Waves:
    """Noise that both are given: by number of the draw, or where it belongs to a step, by its two levels."""

    def __init__(self) -> None:
        self._drawn = 0

    def __call__(self) -> Tensor:
        self._drawn += 1
        return torch.sin(1.7 * _grid() + self._drawn)

    def between(self, sigma: Tensor, target: Tensor) -> Tensor:
        return torch.cos(float(sigma) * _grid() + 5 * float(target))

    def brownian(self, low: Tensor, high: Tensor) -> StepNoise:
        return self.between


def _grid() -> Tensor:
    return torch.arange(18, dtype=torch.float64).reshape(2, 1, 3, 3)


# --- recording


class Torch:
    """torch for k-diffusion's module, with noise of ours."""

    def __init__(self, waves: Waves) -> None:
        self._waves = waves

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def randn_like(self, x: Tensor) -> Tensor:
        return self._waves()


def original(folder: Path) -> Any:
    """Its module `sampling` alone; what it imports and does not use here is left out."""
    package, utils, solver = (types.ModuleType(name) for name in ("k_diffusion", "utils", "torchdiffeq"))
    vars(utils)["append_dims"] = lambda x, count: x[(..., *[None] * (count - x.ndim))]
    vars(package)["utils"], vars(solver)["odeint"] = utils, None
    sys.modules |= {"k_diffusion": package, "k_diffusion.utils": utils, "torchdiffeq": solver}
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", folder / "sampling.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder / "sampling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(module: Any, name: str, parameters: Mapping[str, float]) -> Tensor:
    waves, function = Waves(), FUNCTIONS[name][0]
    module.torch = Torch(waves)
    given: dict[str, Any] = {**parameters, "disable": True}
    if "SDE" in name:
        given["noise_sampler"] = waves.between
    if name.startswith("DPM++ 2M SDE"):
        given["solver_type"] = "heun" if name.endswith("Heun") else "midpoint"
    ends = (float(VISITED[-2]), float(VISITED[0]))
    way = {"DPM fast": (*ends, CALLS), "DPM adaptive": ends}.get(name, (VISITED,))
    found: Tensor = getattr(module, function)(
        lambda x, sigma: WORLD(x, sigma.reshape(-1, 1, 1, 1)), begin(), *way, **given
    )
    return found


def main() -> None:
    torch.set_default_dtype(torch.float64)
    module = original(Path(sys.argv[1]))
    found = {title(*case): answer(module, *case).flatten().tolist() for case in CASES}
    for name, parameters in SCHEDULES.items():
        levels_of = getattr(module, f"get_sigmas_{name}")
        found[title(name, parameters)] = levels_of(LEVELS, LOW, HIGH, **parameters).tolist()
    lines = [f"{json.dumps(name)}: {json.dumps(numbers)}" for name, numbers in found.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
