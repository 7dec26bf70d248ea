"""What can be merged, in the vocabulary of A1111's merger. Frozen; survives a trip through JSON (durable jobs)."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from modules.core.errors import BadRequest
from modules.core.types import JsonObject

NOTHING, SUM, DIFFERENCE = "No interpolation", "Weighted sum", "Add difference"
METHODS = {NOTHING: 1, SUM: 2, DIFFERENCE: 3}
"""Interpolation method -> checkpoints that it needs."""
FORMATS = ("safetensors", "ckpt")
CONFIG_SOURCES = ("A, B or C", "B", "C", "Don't")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Merge:
    """One merge: A is the primary model, B the secondary, C the tertiary one.

    "Weighted sum": A (1 - M) + B M; "Add difference": A + M (B - C); M is the multiplier. config_source: index in
    CONFIG_SOURCES of whose .yaml is copied; bake_in_vae: a VAE's name or "None"; discard_weights: a regular expression
    of names that are left out; block_weights: a multiplier for each block (`blocks`), () for the same everywhere;
    loras: (name, strength), put on in this order.
    """

    primary_model_name: str = ""
    secondary_model_name: str = ""
    tertiary_model_name: str = ""
    interp_method: str = SUM
    multiplier: float = 0.3
    save_as_half: bool = False
    custom_name: str = ""
    checkpoint_format: str = "safetensors"
    config_source: int = 0
    bake_in_vae: str = "None"
    discard_weights: str = ""
    save_metadata: bool = True
    add_merge_recipe: bool = True
    copy_metadata_fields: bool = True
    metadata_json: str = "{}"
    block_weights: tuple[float, ...] = ()
    loras: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> JsonObject:
        """The request as plain JSON; `Merge.of_json` is its inverse."""
        return dataclasses.asdict(self) | {
            "block_weights": list(self.block_weights),
            "loras": [list(each) for each in self.loras],
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Merge:
        """Unknown fields raise `BadRequest`: a job written by a newer Easel is refused, not half understood."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in data:
            if name not in known:
                raise BadRequest(f'merge has no field "{name}".', field=name)
        loras = tuple((str(name), float(strength)) for name, strength in data.get("loras", ()))
        return cls(**{**data, "block_weights": tuple(data.get("block_weights", ())), "loras": loras})

    @property
    def names(self) -> tuple[str, ...]:
        """The checkpoints that the method needs: A, B, C."""
        return (self.primary_model_name, self.secondary_model_name, self.tertiary_model_name)[
            : METHODS[self.interp_method]
        ]

    @property
    def metadata(self) -> dict[str, Any]:
        """`metadata_json` as a table. Raises BadRequest."""
        try:
            found = json.loads(self.metadata_json or "{}")
        except ValueError as error:
            raise BadRequest(f"metadata_json: not JSON ({error}).", field="metadata_json") from error
        if not isinstance(found, dict):
            raise BadRequest("metadata_json: wants an object.", field="metadata_json")
        return found

    def check(self) -> None:
        """What can be seen without looking at files. Raises BadRequest naming the field."""
        _one_of("interp_method", self.interp_method, tuple(METHODS))
        _one_of("checkpoint_format", self.checkpoint_format, FORMATS)
        if self.config_source not in range(len(CONFIG_SOURCES)):
            raise BadRequest("config_source must be 0 (A, B or C), 1 (B), 2 (C) or 3 (none).", field="config_source")
        numbers = {"multiplier": (self.multiplier,), "block_weights": self.block_weights}
        numbers["loras"] = tuple(strength for _, strength in self.loras)
        for field, values in numbers.items():
            if not all(math.isfinite(value) for value in values):
                raise BadRequest(f"{field} must be finite numbers.", field=field)
        for field, name in zip(("primary", "secondary", "tertiary"), self.names, strict=False):
            if not name.strip():
                wanted = f"{self.interp_method} needs a {field} model."
                raise BadRequest(wanted, field=f"{field}_model_name")
        try:
            re.compile(self.discard_weights)
        except re.error as error:
            raise BadRequest(
                f"discard_weights: not a regular expression ({error}).", field="discard_weights"
            ) from error
        _ = self.metadata


def _one_of(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadRequest(f'{field}: "{value}" is none of {", ".join(known)}.', field=field)
