"""What a picture becomes before a network is shown it: the table of preprocessors that need no model of their own.

Pictures are uint8 (H, W, 3), RGB; those of inpainting (H, W, 4) with the mask last, 255 = may change. Names, sliders
and their defaults are those of the well-known extension. Imports no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from modules.core.errors import BadRequest, NotFound

from . import maps
from .maps import Pixels
from .units import Unit

Work: TypeAlias = Callable[[Pixels, "Sliders"], Pixels]


class Slider(NamedTuple):
    """A number that a preprocessor takes; label "" = it takes none."""

    label: str = ""
    least: float = 0.0
    most: float = 1.0
    value: float = 0.5
    step: float = 0.01

    def read(self, number: float) -> float:
        """The default where it is out of range (-1)."""
        return number if self.least <= number <= self.most else self.value


NONE = Slider()
RESOLUTION = Slider("Resolution", 64, 2048, 512, 8)


class Sliders(NamedTuple):
    """What the sliders say: pixels of the shorter side, a, b; and a seed for what is drawn by chance."""

    resolution: int
    a: float
    b: float
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """title: as menus show it; name: its short name. tags: types of control that it is offered for; masked: it takes a
    mask; free: no network is wanted beside it; encodes: its result is no picture but the image encoder's.
    """

    name: str
    title: str = ""
    work: Work = lambda pixels, sliders: pixels
    resolution: Slider = NONE
    a: Slider = NONE
    b: Slider = NONE
    tags: tuple[str, ...] = ()
    masked: bool = False
    free: bool = False
    encodes: bool = False

    @property
    def label(self) -> str:
        return self.title or self.name

    def bounded(self, unit: Unit) -> Unit:
        """The unit with the defaults of what is out of range."""
        return dataclasses.replace(
            unit,
            processor_res=int((self.resolution if self.resolution.label else RESOLUTION).read(unit.processor_res)),
            threshold_a=self.a.read(unit.threshold_a),
            threshold_b=self.b.read(unit.threshold_b),
        )

    def __call__(self, pixels: Pixels, unit: Unit, *, seed: int = 0) -> Pixels:
        """pixels (H, W, 3 or 4) -> the map (H', W', 3 or 4)."""
        unit = self.bounded(unit)
        sliders = Sliders(unit.processor_res, unit.threshold_a, unit.threshold_b, seed)
        return self.work(pixels if self.masked else pixels[..., :3], sliders)


def _sized(work: Callable[[Pixels, Sliders], Pixels]) -> Work:
    """The same over the picture at the wanted resolution."""
    return lambda pixels, sliders: work(maps.resized(pixels, sliders.resolution), sliders)


_GAMMA = Slider("Gamma Correction", 0.1, 2, 1, 0.001)
_FIDELITY = Slider('Style Fidelity (only for "Balanced" mode)', 0, 1, 0.5, 0.01)
_CLIP: Mapping[str, Any] = {"tags": ("IP-Adapter",), "encodes": True}
TABLE = (
    Preprocessor(name="none", tags=("InstructP2P",)),
    Preprocessor(
        name="canny",
        work=_sized(lambda pixels, sliders: maps.canny(pixels, sliders.a, sliders.b)),
        resolution=RESOLUTION,
        a=Slider("Low Threshold", 1, 255, 100, 1),
        b=Slider("High Threshold", 1, 255, 200, 1),
        tags=("Canny",),
    ),
    Preprocessor(
        name="invert",
        title="invert (from white bg & black line)",
        work=lambda pixels, sliders: 255 - pixels,
        tags=("Canny", "Lineart", "Scribble", "MLSD"),
    ),
    Preprocessor(
        name="lineart_standard",
        title="lineart_standard (from white bg & black line)",
        work=_sized(lambda pixels, sliders: maps.lineart(pixels)),
        resolution=RESOLUTION,
        tags=("Lineart",),
    ),
    Preprocessor(
        name="scribble_xdog",
        work=_sized(lambda pixels, sliders: maps.xdog(pixels, sliders.a)),
        resolution=RESOLUTION,
        a=Slider("XDoG Threshold", 1, 64, 32, 0.01),
        tags=("Scribble",),
    ),
    Preprocessor(
        name="threshold",
        work=_sized(lambda pixels, sliders: maps.threshold(pixels, sliders.a)),
        resolution=RESOLUTION,
        a=Slider("Binarization Threshold", 0, 255, 127, 1),
    ),
    Preprocessor(
        name="tile_resample",
        work=lambda pixels, sliders: maps.smaller(pixels, sliders.a),
        a=Slider("Down Sampling Rate", 1, 8, 1, 0.01),
        tags=("Tile",),
    ),
    Preprocessor(
        name="blur_gaussian",
        work=_sized(lambda pixels, sliders: maps.blurred(pixels, sliders.a)),
        resolution=RESOLUTION,
        a=Slider("Sigma", 0.01, 64, 9, 0.01),
        tags=("Tile",),
    ),
    Preprocessor(name="inpaint", title="inpaint_global_harmonious", tags=("Inpaint",), masked=True),
    Preprocessor(name="inpaint_only", tags=("Inpaint",), masked=True),
    Preprocessor(
        name="shuffle",
        work=_sized(lambda pixels, sliders: maps.shuffled(pixels, sliders.seed)),
        tags=("Shuffle",),
    ),
    Preprocessor(
        name="recolor_luminance",
        work=lambda pixels, sliders: maps.luminance(pixels, sliders.a),
        a=_GAMMA,
        tags=("Recolor",),
    ),
    Preprocessor(
        name="recolor_intensity",
        work=lambda pixels, sliders: maps.intensity(pixels, sliders.a),
        a=_GAMMA,
        tags=("Recolor",),
    ),
    Preprocessor(
        name="color", title="t2ia_color_grid", work=lambda pixels, _: maps.grid(pixels), tags=("T2I-Adapter",)
    ),
    Preprocessor(name="reference_only", a=_FIDELITY, tags=("Reference",), free=True),
    Preprocessor(name="reference_adain", a=_FIDELITY, tags=("Reference",), free=True),
    Preprocessor(name="reference_adain+attn", a=_FIDELITY, tags=("Reference",), free=True),
    Preprocessor(name="ip-adapter-auto", **_CLIP),
    Preprocessor(name="ip-adapter_clip_sd15", title="ip-adapter_clip_h", **_CLIP),
    Preprocessor(name="ip-adapter_clip_sdxl", title="ip-adapter_clip_g", **_CLIP),
    Preprocessor(name="ip-adapter_clip_sdxl_plus_vith", **_CLIP),
)
_ALSO = {"inpaint_global_harmonious": "inpaint", "scribble_threshold": "threshold", "tile": "tile_resample"}

LACKING: Mapping[str, str] = {
    "openpose": "a pose detector",
    "dw_openpose": "a pose detector",
    "animal_openpose": "a pose detector",
    "densepose": "DensePose",
    "mediapipe": "MediaPipe",
    "depth": "a depth network",
    "normal": "a network for normals",
    "hed": "the HED network",
    "softedge": "an edge network (HED, PiDiNet, TEED)",
    "pidinet": "the PiDiNet network",
    "scribble": "an edge network (HED, PiDiNet)",
    "lineart": "a line art network",
    "mlsd": "the M-LSD network",
    "seg": "a segmentation network",
    "oneformer": "a segmentation network",
    "tile_colorfix": "an own correction of colours",
    "inpaint_only+lama": "the LaMa network",
    "ip-adapter_face_id": "InsightFace",
    "instant_id": "InsightFace",
    "pulid": "InsightFace and EVA-CLIP",
    "revision": "CLIP-G for Revision",
    "clip_vision": "CLIP for style adapters",
    "t2ia": "a network of its own",
    "facexlib": "facexlib",
    "anime_face_segment": "a segmentation network",
    "mobile_sam": "MobileSAM",
}
"""Beginnings of known names -> what they need that does not come with Easel; the longest counts."""


def find(name: str, *, field: str = "module") -> Preprocessor:
    """By name or title, in any case. Raises BadRequest that says what is missing, NotFound with the nearest names."""
    wanted = name.strip().casefold() or "none"
    wanted = _ALSO.get(wanted, wanted)
    for each in TABLE:
        if wanted in (each.name.casefold(), each.label.casefold()):
            return each
    lacking = [start for start in LACKING if wanted.startswith(start)]
    if lacking:
        wants = LACKING[max(lacking, key=len)]
        way = 'Make its map elsewhere and give that as image with module "none".'
        raise BadRequest(
            f'{field}: the preprocessor "{name}" needs {wants}, which does not come with Easel. {way}', field=field
        )
    raise NotFound("Preprocessor", name, [each.label for each in TABLE], field=field)


def exact_resolution(size: tuple[int, int], target: tuple[int, int], *, fills: bool) -> int:
    """What "pixel perfect" takes for the shorter side: a picture of size (width, height) as it will be at target.
    fills: it is fitted into the target, not laid over it.
    """
    factors = [wanted / own for wanted, own in zip(target, size, strict=True)]
    factor = min(factors) if fills else max(factors)
    return round(factor * min(size))
