"""One picture of many, in rows and columns as A1111 lays them out. `generate.save` calls it after a job."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageColor

from modules.core.errors import BadRequest
from modules.imaging.policy import SavePolicy


def grid(
    images: Sequence[Image.Image], rows: int | None = None, policy: SavePolicy | None = None, *, batch_size: int = 1
) -> Image.Image:
    """The pictures (at least one) row by row, mode RGB; cells are as large as the largest, smaller ones are centred.

    rows None = as the policy says (-1 by the number of pictures, 0 the batch size). More rows than pictures are not
    made. Raises `BadRequest` for a colour (option grid_background_color) that is none.
    """
    if not images:
        raise ValueError("a grid needs at least one picture")
    policy = policy or SavePolicy()
    row_count = rows if rows is not None else row_count_for(len(images), policy, batch_size=batch_size)
    row_count = max(1, min(row_count, len(images)))
    columns = math.ceil(len(images) / row_count)
    width, height = max(image.width for image in images), max(image.height for image in images)
    canvas = Image.new("RGB", (columns * width, row_count * height), _colour(policy.background))
    for index, image in enumerate(images):
        left = index % columns * width + (width - image.width) // 2
        top = index // columns * height + (height - image.height) // 2
        canvas.paste(image, (left, top))
    return canvas


def row_count_for(count: int, policy: SavePolicy, *, batch_size: int = 1) -> int:
    """How many rows `count` >= 1 pictures get: the option n_rows, or about as many as columns."""
    if policy.n_rows > 0:
        return policy.n_rows
    if policy.n_rows == 0:
        return batch_size
    if policy.prevent_empty_spots:
        return next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return round(math.sqrt(count))


def _colour(name: str) -> tuple[int, ...] | int:
    try:
        return ImageColor.getcolor(name, "RGB")
    except ValueError as error:
        raise BadRequest(f'"{name}" is no colour; write it as #rrggbb.', field="grid_background_color") from error
