"""Values of widgets as JSON and back: a job's row can hold pictures and arrays by name only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from modules.compat.room import Room

PICTURE = "easel/picture"
ARRAY = "easel/array"


def encoded(room: Room, value: Any) -> Any:
    """JSON of a widget's value; pictures go to the program's inputs."""
    import numpy as np

    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Image.Image):
        return {PICTURE: room.app.inputs.add_image(value)}
    if isinstance(value, np.ndarray):
        if value.dtype == np.uint8 and value.ndim in (2, 3):
            return {ARRAY: room.app.inputs.add_image(Image.fromarray(value))}
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): encoded(room, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(room, each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encoded(room, dataclasses.asdict(value))
    return str(getattr(value, "name", value))


def decoded(room: Room, value: Any) -> Any:
    """The inverse; JSON that was never encoded stays."""
    if isinstance(value, list):
        return [decoded(room, each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if PICTURE in value:
        return room.app.inputs.open(value[PICTURE], field="alwayson_scripts")
    if ARRAY in value:
        import numpy as np

        return np.array(room.app.inputs.open(value[ARRAY], field="alwayson_scripts"))
    return {key: decoded(room, each) for key, each in value.items()}
