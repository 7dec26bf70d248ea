"""Which preprocessors and models belong to which type of control: for the routes and for the page's menus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import preprocessors
from .files import NONE
from .preprocessors import Preprocessor, Slider

ALL = "All"
_WORDS = {
    "InstructP2P": ("ip2p",),
    "Segmentation": ("seg",),
    "NormalMap": ("normal",),
    "T2I-Adapter": ("t2i_adapter", "t2iadapter", "t2ia"),
    "IP-Adapter": ("ip_adapter", "ipadapter"),
    "OpenPose": ("densepose",),
    "Scribble": ("sketch",),
    "Tile": ("blur",),
    "Depth": (),
    "SoftEdge": (),
}
"""Type -> what names of models have beside the type's own name. Those without a preprocessor take finished maps."""


def types() -> list[str]:
    """All of them, "All" first."""
    tags = {tag for each in preprocessors.TABLE for tag in each.tags}
    return [ALL, *sorted(tags | _WORDS.keys())]


def ways(kind: str) -> list[Preprocessor]:
    """The preprocessors of a type, "none" first."""
    return [each for each in preprocessors.TABLE if kind == ALL or each.name == "none" or kind in each.tags]


def models(kind: str, names: Sequence[str]) -> list[str]:
    """Those of a type among `names`, by their words."""
    words = (kind.lower(), *_WORDS.get(kind, ()))
    return [name for name in names if kind == ALL or name == NONE or any(word in name.lower() for word in words)]


def entry(kind: str, names: Sequence[str]) -> dict[str, Any]:
    """A type as /controlnet/control_types tells it."""
    labels, fitting = [each.label for each in ways(kind)], models(kind, names)
    newest = next((name for name in fitting if "11" in name.partition("[")[0]), (*fitting[1:2], NONE)[0])
    return {
        "module_list": labels,
        "model_list": fitting,
        "default_option": labels[0] if kind == ALL or len(labels) == 1 else labels[1],
        "default_model": NONE if kind == ALL else newest,
    }


def detail(way: Preprocessor) -> dict[str, Any]:
    """A preprocessor as /controlnet/module_list tells it."""
    sliders = [slider for slider in (way.resolution, way.a, way.b) if slider.label]
    return {"model_free": way.free, "sliders": [_slider(each) for each in sliders]}


def _slider(slider: Slider) -> dict[str, Any]:
    return {
        "name": slider.label,
        "value": slider.value,
        "min": slider.least,
        "max": slider.most,
        "step": slider.step,
    }
