"""The golden cases: what was asked of A1111 1.10.1, and what it answered. Also: which of them this version covers."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SHIPPED = Path(__file__).resolve().parent
SHARED = SHIPPED.parents[2] / "shared" / "reference"
TEXT_TO_IMAGE = "/sdapi/v1/txt2img"
IMAGE_TO_IMAGE = "/sdapi/v1/img2img"

EXEMPT = {
    "infotext/upper-sampler": "A1111 takes another sampler for a name in the wrong case; Easel finds the right one",
    "errors/unknown-sampler": "A1111 silently takes another sampler for an unknown name; Easel answers 422",
}

CHAOTIC = {
    "scripts/loopback-aggressive": "each loop makes differences some ten times larger, and A1111's first picture"
    " differs from ours in two pixels by one level; the step from each of A1111's pictures to its next one agrees",
    "samplers/dpm-adaptive-8": "each step makes a difference a third larger, until one step is taken here and tried"
    " again there (after some 30 of 70), and the noise goes elsewhere: 1e-7 to 1e-4 more in the first latent (six"
    " tries) lead 29 to 40 dB away from our own picture, in 66 to 72 steps; one thread instead of two from 75 steps to"
    " 68. A1111's picture lies among them, at 35 dB (two threads) and 38 dB (one); its network rebuilt operation by"
    " operation with k-diffusion's own solver, with three ways of writing attention, at 38 to 41. On Gaussian data both"
    " solvers agree to 1e-9 (tests/samplers/test_k_diffusion.py)",
}
"""Pictures that cannot be compared closely, each with its reason; their texts are compared."""

KEPT = {
    "backtrack_moves_embeddings": "a phrase that moves to the next 75 tokens at its comma leaves the vectors of its"
    ' textual inversions behind; "!" is read in their place',
    "lora_biases_beside": "a bias (diff_b) beside a LoRA, or any kind but a full difference, is left out on Stable"
    " Diffusion 1, 2 and XL",
}
"""What A1111 most likely did not mean, and its pictures need: the option that mends it -> what happens without."""

NEAREST = {"upscaler_for_img2img": "Nearest"}
LEFT_BEHIND = {"inpaint/wide-resize-0": NEAREST, "inpaint/wide-resize-1": NEAREST}
"""Settings that an earlier case had overridden and A1111 did not put back: with them its pictures can be made, with its
defaults they cannot (32 dB)."""

LATER = {
    "script_name": "scripts",
    "alwayson_scripts": "scripts",
    "infotext": "requests by infotext are tested through the API",
}
"""Request fields whose features have issues of their own."""

CHECKPOINTS = ("tiny-sd1", "tiny-sd2-v", "tiny-sdxl", "tiny-sdxl-refiner", "tiny-sd1-inpainting")

LATER_SETTINGS = ("sd_model_checkpoint",)


@dataclasses.dataclass(frozen=True)
class Case:
    """One line of cases.jsonl."""

    root: Path
    raw: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.raw['group']}/{self.raw['name']}"

    @property
    def request(self) -> dict[str, Any]:
        return dict(self.raw["request"])

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen before the request was sent."""
        return {"sd_model_checkpoint": self.raw["checkpoint"], **LEFT_BEHIND.get(self.name, {})}

    @property
    def images(self) -> list[str]:
        return list(self.raw["images"])

    @cached_property
    def info(self) -> dict[str, Any]:
        return dict(self.raw["response"]["info"])

    def input(self, name: str) -> bytes:
        """The picture file that the request calls `@inputs/…`."""
        return (self.root / "golden" / name.removeprefix("@")).read_bytes()

    def picture(self, index: int) -> Image.Image:
        return Image.open(self.root / "golden" / self.images[index])


def read(root: Path) -> list[Case]:
    """All cases below a folder; none where it is absent."""
    path = root / "golden" / "cases.jsonl"
    if not path.exists():
        return []
    return [Case(root, json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def covered(case: Case) -> bool:
    """Whether everything a case asks for is built: pictures from text or pictures on a checkpoint."""
    raw, request = case.raw, case.request
    if raw["endpoint"] not in (TEXT_TO_IMAGE, IMAGE_TO_IMAGE) or raw["status"] != 200:
        return False
    if raw["checkpoint"] not in CHECKPOINTS:
        return False
    if case.name in EXEMPT or any(request.get(field) for field in LATER):
        return False
    return not any(key in request.get("override_settings", {}) for key in LATER_SETTINGS)


def scripted(case: Case) -> bool:
    """Whether a case runs a script, or one that always runs: `test_scripts` asks these."""
    asks = case.request.get("script_name") or case.request.get("alwayson_scripts")
    return bool(asks) and case.raw["status"] == 200


def psnr(ours: Image.Image, theirs: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB of two RGB pictures; 99 for equal ones, 0 for different sizes."""
    a, b = (np.asarray(picture.convert("RGB"), dtype=np.float64) for picture in (ours, theirs))
    if a.shape != b.shape:
        return 0.0
    error = float(((a - b) ** 2).mean())
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def comparable(infotext: str) -> str:
    """An infotext without its version, the one field that must differ."""
    return re.sub(r", Version: [^,\n]*", "", infotext)
