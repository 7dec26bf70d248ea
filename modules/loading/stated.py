"""What neither shapes nor layout tell of a checkpoint: what its network predicts, and how its noise ends.

Asked in this order: a same-named .yaml, as A1111 does; Easel's own note in the same-named .json; the file's metadata
(modelspec); marks that v-prediction models of the SDXL line carry, two tensors named `v_pred` and `ztsnr`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from modules.loading.header import Header

_BY_NAME = {"v": "v", "v_prediction": "v", "velocity": "v", "eps": "eps", "epsilon": "eps"}
"""What files call it -> what a network predicts."""
_VELOCITY = re.compile(r"""parameterization["']?\s*:\s*["']?v\b|\.VScaling\b""")
_MODEL = re.compile(r"^\s*model\s*:", re.MULTILINE)


def prediction(header: Header) -> str | None:
    """ "eps" or "v", or None where nothing says."""
    told = _in_config(header.path.with_suffix(".yaml")) or _noted(header.path.with_suffix(".json"))
    return told or _BY_NAME.get(header.metadata.get("modelspec.prediction_type", "")) or _marked(header)


def ends_in_noise(header: Header) -> bool:
    """Whether the model was trained with zero terminal signal-to-noise ratio."""
    return "ztsnr" in header.tensors


def _marked(header: Header) -> str | None:
    return "v" if "v_pred" in header.tensors else None


def _in_config(path: Path) -> str | None:
    """An original configuration says so if it is "v" and nothing if not."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    if not _MODEL.search(text):
        return None
    return "v" if _VELOCITY.search(text) else "eps"


def _noted(path: Path) -> str | None:
    """The key "prediction" of the notes beside a checkpoint."""
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return _BY_NAME.get(str(notes.get("prediction"))) if isinstance(notes, dict) else None
