"""Which parts of a model are on the accelerator: a policy that is asked before each kind of work.

"normal": everything stays there. "medvram": only the part at work (text encoder, denoiser or VAE), the others wait in
RAM. "lowvram": as medvram, and of the denoiser only the layer that computes (`follow`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn


class Residency:
    """Call `use(part)` before working with "text", "denoiser" or "vae"; `leave` and `enter` when another model is in
    use.
    """

    def __init__(self, mode: str, device: torch.device) -> None:
        self.mode = mode if device.type != "cpu" else "normal"
        self._device = device
        self._parts: Mapping[str, nn.Module] = {}
        self._whole_at: torch.device | None = None  # where all of it lies; None: here and there, or unknown

    @property
    def home(self) -> torch.device:
        """Where weights are put when they are loaded."""
        return self._device if self.mode == "normal" else torch.device("cpu")

    def manage(self, parts: Mapping[str, nn.Module]) -> None:
        """Take charge of a freshly loaded model's parts, which lie on `home`."""
        self._parts = parts
        self._whole_at = self.home
        if self.mode == "lowvram":
            follow(parts["denoiser"], self._device)

    def lower(self) -> str | None:
        """Go on with less of the model on the device -> the new mode, None when there is no lower one."""
        following = {"normal": "medvram", "medvram": "lowvram"}.get(self.mode)
        if following is None or self._device.type == "cpu":
            return None
        for part in self._parts.values():
            part.to(torch.device("cpu"))
        self.mode = following
        self.manage(self._parts)
        return following

    def replace(self, part: str, module: nn.Module) -> None:
        """Another module does the work of this part."""
        self._whole_at = None
        self._parts = {**self._parts, part: module}

    def use(self, part: str) -> None:
        """Bring one part to the device and, unless everything stays there, send the others away."""
        if self.mode == "normal":
            return
        self._whole_at = None
        for name in self._movable():
            self._parts[name].to(self._device if name == part else torch.device("cpu"))

    def leave(self) -> bool:
        """Move everything to RAM -> whether anything may have moved."""
        return self._gather(torch.device("cpu"))

    def enter(self) -> None:
        """Bring everything home again."""
        self._gather(self.home)

    def _gather(self, place: torch.device) -> bool:
        """No work where all of it is there already: torch would look at every weight."""
        if self._whole_at == place:
            return False
        for name in self._movable():
            self._parts[name].to(place)
        self._whole_at = place
        return True

    def _movable(self) -> list[str]:
        """A denoiser whose layers come and go stays where it is."""
        return [name for name in self._parts if not (self.mode == "lowvram" and name == "denoiser")]


def follow(network: nn.Module, device: torch.device) -> None:
    """From now on every layer has its weights on a device while it computes; where they lie otherwise they stay, too.

    diffusers' group offloading wants a further package (accelerate), and copies weights back that nobody has changed.
    """
    for module in network.modules():
        if module._parameters or module._buffers:
            module.forward = _brought(module, module.forward, device)


def _brought(module: nn.Module, forward: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """Copies stand in the layer's own tables of weights and buffers while it computes."""

    @functools.wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        kept: list[tuple[dict[str, Any], dict[str, Any]]]
        kept = [(table, dict(table)) for table in (module._parameters, module._buffers)]
        try:
            for table, own in kept:
                table.update({name: each.to(device) for name, each in own.items() if each is not None})
            return forward(*args, **kwargs)
        finally:
            for table, own in kept:
                table.update(own)

    return call
