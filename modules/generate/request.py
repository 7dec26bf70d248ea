"""What can be asked for, in A1111's vocabulary. Requests are frozen and survive a trip through JSON (durable jobs)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from modules.core.errors import BadRequest
from modules.core.types import JsonObject


@dataclasses.dataclass(frozen=True, kw_only=True)
class Txt2Img:
    """One text-to-image job. Names and defaults are A1111's; None means "as the options say".

    steps 1..10000; width, height in pixels, multiples of 8, 64..; cfg_scale >= 1 usual; seed and subseed -1 = random;
    subseed_strength 0..1; batch_size pictures at once, n_iter times.
    """

    prompt: str = ""
    negative_prompt: str = ""
    styles: tuple[str, ...] = ()
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str = "Euler"
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    eta: float | None = None
    s_min_uncond: float | None = None
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    override_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The request as plain JSON; `Txt2Img.of_json` is its inverse."""
        return dataclasses.asdict(self) | {
            "styles": list(self.styles),
            "override_settings": dict(self.override_settings),
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Txt2Img:
        """Unknown fields raise `BadRequest`: a job written by a newer Easel is refused, not half understood."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in data:
            if name not in known:
                raise BadRequest(f'txt2img has no field "{name}".', field=name)
        return cls(**{**data, "styles": tuple(data.get("styles", ()))})
