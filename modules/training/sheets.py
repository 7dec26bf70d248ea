"""Contact sheets: pictures in rows."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor

GAP = 2


def grid(pictures: Tensor, columns: int) -> Image.Image:
    """uint8 (n, H, W, 3) in rows of so many, with thin gaps."""
    count, high, wide = pictures.shape[:3]
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * (wide + GAP) - GAP, rows * (high + GAP) - GAP), (255, 255, 255))
    for index, each in enumerate(pictures.numpy()):
        place = index % columns * (wide + GAP), index // columns * (high + GAP)
        sheet.paste(Image.fromarray(np.ascontiguousarray(each), "RGB"), place)
    return sheet
