"""Which parts of a model are on the accelerator: a policy that is asked before each kind of work.

"normal": everything stays there. "medvram": only the part at work (text encoder, denoiser or VAE), the others wait in
RAM. "lowvram": as medvram, and the denoiser's weights follow its computation block by block (diffusers' group
offloading).
"""

from __future__ import annotations

from collections.abc import Mapping

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
            from diffusers.hooks import apply_group_offloading

            apply_group_offloading(
                parts["denoiser"], self._device, torch.device("cpu"), offload_type="leaf_level", use_stream=False
            )

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
        """A denoiser under group offloading is moved by its own hooks."""
        return [name for name in self._parts if not (self.mode == "lowvram" and name == "denoiser")]
