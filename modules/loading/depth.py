"""The depth of a picture, for models that are shown it (SD 2 depth): by a DPT model of the user's own.

It lies in transformers' layout (config.json and weights in one folder, as "Intel/dpt-hybrid-midas" is published) in
models/midas or a folder below it; with another one of DPT's or Depth Anything's kind depth is told too. Nothing is
downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn

from modules.core.errors import DamagedFile, EaselError
from modules.loading.vae import of_image

if TYPE_CHECKING:
    from modules.core.device import Placement

SIDE = 384
"""Pixels: what MiDaS was trained on. Pictures are made square for it; transformers' DPT reads no others."""


class DepthModel:
    """Loaded when first asked, and kept. folders: where to look; placement: where it computes."""

    def __init__(self, folders: Sequence[Path] = (), placement: Callable[[], Placement] | None = None) -> None:
        self._folders = tuple(folders)
        self._placement = placement
        self._network: nn.Module | None = None

    @property
    def folder(self) -> Path | None:
        """Where the model lies, None where there is none."""
        found = (path.parent for folder in self._folders for path in sorted(folder.glob("**/config.json")))
        return next(found, None)

    def tell(self, picture: Image.Image, size: tuple[int, int]) -> Tensor:
        """Nearness (1, 1, H, W) of an RGB picture in -1..1 at size (H, W). Raises EaselError, DamagedFile."""
        network = self._loaded()
        device = next(network.parameters()).device
        small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        with torch.inference_mode():
            given = (of_image(small).unsqueeze(0).to(device) - 0.5) / 0.5
            answer: Tensor = network(pixel_values=given).predicted_depth
        near = nn.functional.interpolate(answer.float().unsqueeze(1), size=size, mode="bicubic", align_corners=False)
        low, high = near.aminmax()
        return (near - low) / (high - low).clamp(min=torch.finfo(torch.float32).tiny) * 2 - 1

    def _loaded(self) -> nn.Module:
        if self._network is None:
            folder = self.folder
            if folder is None:
                place = self._folders[0] if self._folders else "models/midas"
                raise EaselError(
                    "This checkpoint is shown the depth of pictures, and there is no model that tells any. Put one in "
                    f"transformers' layout (config.json, model.safetensors; such as dpt-hybrid-midas) into {place}."
                )
            self._network = _read(folder).to(self._placement().device if self._placement else "cpu")
        return self._network


def _read(folder: Path) -> nn.Module:
    from transformers import AutoModelForDepthEstimation

    from modules.loading.loader import declare_vision_operators

    declare_vision_operators()
    try:
        model: Any = AutoModelForDepthEstimation.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise DamagedFile(f"{folder}: cannot be loaded as a depth model ({str(error).splitlines()[0]}).") from error
    network: nn.Module = model.eval().requires_grad_(requires_grad=False)
    return network
