"""Small names of the original model code: helpers as they are, classes to ask after with isinstance."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, einsum, nn
from torch.nn import functional as F  # noqa: N812  (the name that is asked for)

from modules.core.errors import EaselError

th = torch
__all__ = ["F", "einsum", "nn", "rearrange", "repeat", "th", "torch"]


def exists(value: Any) -> bool:
    """Whether it is not None."""
    return value is not None


def default(value: Any, other: Any) -> Any:
    """The value, or the other (called if it is a function) where that is None."""
    if value is not None:
        return value
    return other() if callable(other) and not isinstance(other, nn.Module | type | Tensor) else other


def ismap(x: Any) -> bool:
    return isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] > 3


def isimage(x: Any) -> bool:
    return isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] in (1, 3)


def count_params(model: nn.Module, verbose: bool = False) -> int:
    return sum(each.numel() for each in model.parameters())


def get_obj_from_str(string: str, reload: bool = False) -> Any:
    """What "package.module.name" names."""
    module, _, name = string.rpartition(".")
    return getattr(importlib.import_module(module), name)


def instantiate_from_config(config: Any) -> Any:
    """The object of {"target": "package.module.Class", "params": {...}}."""
    return get_obj_from_str(config["target"])(**config.get("params", {}))


def conv_nd(dims: int, *given: Any, **named: Any) -> nn.Module:
    """A convolution over 1, 2 or 3 axes."""
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](*given, **named)


def linear(*given: Any, **named: Any) -> nn.Linear:
    return nn.Linear(*given, **named)


def zero_module(module: nn.Module) -> nn.Module:
    """The same with zeros for weights."""
    for each in module.parameters():
        nn.init.zeros_(each)
    return module


def extract_into_tensor(a: Tensor, t: Tensor, x_shape: Any) -> Tensor:
    """Values of a table at times t (B,), shaped to go with (B, ...)."""
    return a.gather(-1, t).reshape(len(t), *(1,) * (len(x_shape) - 1))


def checkpoint(func: Callable[..., Any], inputs: Any, params: Any, flag: bool) -> Any:
    """The call: memory is not traded for time here."""
    return func(*inputs)


class DiagonalGaussianDistribution:
    """What a VAE's encoder says: mean and log variance, side by side in parameters (B, 2C, h, w)."""

    def __init__(self, parameters: Tensor, deterministic: bool = False) -> None:
        self.parameters, self.deterministic = parameters, deterministic
        self.mean, logvar = parameters.chunk(2, dim=1)
        self.logvar = logvar.clamp(-30.0, 20.0)
        self.std = torch.zeros_like(self.mean) if deterministic else (self.logvar / 2).exp()
        self.var = self.std**2

    def sample(self) -> Tensor:
        return self.mean + self.std * torch.randn_like(self.mean)

    def mode(self) -> Tensor:
        return self.mean


class _Asked(nn.Module):
    """A class of the original code that Easel has no object of: isinstance says no, making one is refused."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise EaselError(
            f"{type(self).__name__} is A1111's own model code. Easel's models are made by diffusers' classes: take "
            "shared.sd_model."
        )


class FeedForward(_Asked): ...


class GEGLU(_Asked): ...


class AttnBlock(_Asked): ...


class MemoryEfficientAttnBlock(_Asked): ...


class ResnetBlock(_Asked): ...


class AutoencoderKL(_Asked): ...


class FrozenCLIPEmbedder(_Asked): ...


class FrozenOpenCLIPEmbedder(_Asked): ...


class FrozenOpenCLIPEmbedder2(_Asked): ...


class ConcatTimestepEmbedderND(_Asked): ...


class LatentDepth2ImageDiffusion(_Asked): ...


class DiffusionEngine(_Asked): ...


class DDIMSampler(_Asked): ...


class PLMSSampler(_Asked): ...
