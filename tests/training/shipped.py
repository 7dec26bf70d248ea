"""Pictures of the model that ships, made by the engine that everybody uses."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from modules.generate.request import Txt2Img
from tests.studio import DEFAULT_MODEL, Bench

ROOT = DEFAULT_MODEL.parents[2]
READER = ROOT / "models" / "evaluation" / "reader.safetensors"
SIDE = 128
"""Pixels of a side that the model was trained on."""


def drawn(bench: Bench, prompt: str, *, seed: int = 7, **more: object) -> torch.Tensor:
    """One picture, uint8 (1, H, W, 3). more: options."""
    request = Txt2Img(
        prompt=prompt, seed=seed, steps=20, cfg_scale=3.0, width=SIDE, height=SIDE, sampler_name="DPM++ 2M",
        scheduler="Karras", override_settings={"sd_model_checkpoint": DEFAULT_MODEL.stem, **more},
    )  # fmt: skip
    return stacked(bench.images(request))


def stacked(pictures: list[Image.Image]) -> torch.Tensor:
    """uint8 (n, H, W, 3)."""
    return torch.stack([torch.from_numpy(np.array(each.convert("RGB"))) for each in pictures])
