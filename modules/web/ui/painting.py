"""From what was painted on the page to a picture and a mask. Pure: PIL in, PIL out; called by the img2img tab.

An editor's value is {"background": the picture, "layers": what was painted on it, "composite": both together}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from PIL import Image, ImageChops, ImageEnhance, ImageFilter

Painted = Mapping[str, Any]


def picture(value: Painted | None) -> Image.Image | None:
    """The picture under the paint, None where there is none."""
    background = (value or {}).get("background")
    return background if isinstance(background, Image.Image) and _visible(background) else None


def sketch(value: Painted | None) -> Image.Image | None:
    """The picture with what was painted on it."""
    composite = (value or {}).get("composite")
    return composite if isinstance(composite, Image.Image) and _visible(composite) else None


def mask(value: Painted | None) -> Image.Image | None:
    """White where something was painted (mode L, the picture's size), None where nothing was."""
    layers = [layer for layer in (value or {}).get("layers") or () if isinstance(layer, Image.Image)]
    covered = _union(layer.convert("RGBA").getchannel("A") for layer in layers)
    return covered if covered is not None and covered.getbbox() else None


def coloured(
    before: Image.Image, after: Image.Image, painted: Image.Image, *, transparency: float, blur: float
) -> tuple[Image.Image, Image.Image]:
    """What inpaint sketch works on: (the picture with softened paint, RGB; the mask, L).

    before, after: without and with paint; painted: where. transparency 0..100 % lets the picture through the paint;
    blur in pixels softens it.
    """
    weakened = ImageEnhance.Brightness(painted).enhance(1 - transparency / 100)
    soft = ImageFilter.GaussianBlur(blur)
    before, after = before.convert("RGB"), after.convert("RGB")
    return Image.composite(after.filter(soft), before, weakened.filter(soft)), weakened


def _visible(image: Image.Image) -> bool:
    """Whether anything is there: an editor without a picture hands over an empty, transparent one."""
    return min(image.size) > 1 and image.getbbox() is not None


def _union(alphas: Iterable[Image.Image]) -> Image.Image | None:
    whole: Image.Image | None = None
    for alpha in alphas:
        solid = alpha.point(lambda level: 255 if level else 0)
        whole = solid if whole is None else ImageChops.lighter(whole, solid)
    return whole
