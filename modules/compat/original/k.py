"""What extensions use of k-diffusion: noise schedules, steps of ancestral samplers, shapes (Karras et al. 2022).

Its samplers are not here: Easel's take other arguments (see docs/a1111-extensions.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modules.samplers import schedules


def append_dims(x: Tensor, target_dims: int) -> Tensor:
    """Axes of length 1 behind the others, up to so many."""
    return x.reshape(*x.shape, *(1,) * (target_dims - x.ndim))


def append_zero(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_zeros(1)])


def get_sigmas_karras(n: int, sigma_min: float, sigma_max: float, rho: float = 7.0, device: Any = "cpu") -> Tensor:
    return schedules.karras(n, sigma_min=float(sigma_min), sigma_max=float(sigma_max), rho=rho).to(device)


def get_sigmas_exponential(n: int, sigma_min: float, sigma_max: float, device: Any = "cpu") -> Tensor:
    return schedules.exponential(n, sigma_min=float(sigma_min), sigma_max=float(sigma_max)).to(device)


def get_sigmas_polyexponential(
    n: int, sigma_min: float, sigma_max: float, rho: float = 1.0, device: Any = "cpu"
) -> Tensor:
    return schedules.polyexponential(n, sigma_min=float(sigma_min), sigma_max=float(sigma_max), rho=rho).to(device)


def get_sigmas_vp(
    n: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 1e-3, device: Any = "cpu"
) -> Tensor:
    """Those of a variance-preserving process with a linear beta."""
    t = torch.linspace(1, eps_s, n, device=device)
    return append_zero(torch.sqrt(torch.expm1(beta_d * t**2 / 2 + beta_min * t)))


def to_d(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """Karras' derivative of x."""
    return (x - denoised) / append_dims(sigma, x.ndim)


def get_ancestral_step(sigma_from: Any, sigma_to: Any, eta: float = 1.0) -> tuple[Any, Any]:
    """(level to step down to, level of noise to add) between two levels."""
    if not eta:
        return sigma_to, 0.0
    up = min(sigma_to, eta * (sigma_to**2 * (sigma_from**2 - sigma_to**2) / sigma_from**2) ** 0.5)
    return (sigma_to**2 - up**2) ** 0.5, up


def default_noise_sampler(x: Tensor) -> Any:
    return lambda sigma, sigma_next: torch.randn_like(x)


class DiscreteSchedule(nn.Module):
    """Levels (n,) that a model was trained at, and its time between them."""

    def __init__(self, sigmas: Tensor, quantize: bool = True) -> None:
        super().__init__()
        self.register_buffer("sigmas", sigmas)
        self.register_buffer("log_sigmas", sigmas.log())
        self.quantize = quantize

    def sigma_to_t(self, sigma: Tensor, quantize: bool | None = None) -> Tensor:
        """Model time of a level: the nearest, or between two by the logarithm."""
        logs: Any = self.log_sigmas
        wanted = sigma.log().flatten()
        if self.quantize if quantize is None else quantize:
            return (wanted[:, None] - logs[None]).abs().argmin(dim=1).view(sigma.shape)
        low = torch.searchsorted(logs, wanted, right=True).clamp(1, len(logs) - 1) - 1
        share = ((wanted - logs[low]) / (logs[low + 1] - logs[low])).clamp(0, 1)
        return (low + share).view(sigma.shape)

    def t_to_sigma(self, t: Tensor) -> Tensor:
        logs: Any = self.log_sigmas
        low = t.float().floor().long()
        high = t.float().ceil().long()
        return torch.lerp(logs[low], logs[high], t.float() - low).exp()


class CompVisDenoiser(DiscreteSchedule):
    """To ask after with isinstance; Easel's own denoiser is a function."""

    def __init__(self, model: Any, quantize: bool = False, device: Any = "cpu") -> None:
        super().__init__(((1 - model.alphas_cumprod) / model.alphas_cumprod).sqrt().to(device), quantize)
        self.inner_model = model

    def forward(self, input: Tensor, sigma: Tensor, **kwargs: Any) -> Tensor:
        """x at a level -> the picture, by `inner_model.apply_model`."""
        scale = append_dims((sigma**2 + 1) ** -0.5, input.ndim)
        answer: Tensor = self.inner_model.apply_model(input * scale, self.sigma_to_t(sigma), **kwargs)
        return input - answer * append_dims(sigma, input.ndim)


class CompVisVDenoiser(CompVisDenoiser):
    """The same for models that predict velocity."""

    def forward(self, input: Tensor, sigma: Tensor, **kwargs: Any) -> Tensor:
        level = append_dims(sigma, input.ndim)
        kept = 1 / (level**2 + 1)
        answer: Tensor = self.inner_model.apply_model(input * kept**0.5, self.sigma_to_t(sigma), **kwargs)
        return input * kept - answer * level * kept**0.5


ALL = {
    each.__name__: each
    for each in (
        *(append_dims, append_zero, get_sigmas_karras, get_sigmas_exponential, get_sigmas_polyexponential),
        *(get_sigmas_vp, to_d, get_ancestral_step, default_noise_sampler),
    )
} | {"torch": torch}
