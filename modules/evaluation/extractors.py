"""Feature extractors for `measures`: a row each. Extensions and tests may hand over any callable of the same shape.

reader          the painter's reader, always there
pixels          the picture at 8 x 8: colours and their places, no learning
torchscript:F   a TorchScript file that takes uint8 (n, 3, H, W), as the published Inception of FID does
clip:FOLDER     a CLIP model of the user in transformers' layout; also reads texts
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from modules.core.errors import NotFound
from modules.evaluation import reader as readers
from modules.training.data import pixels

Extractor: TypeAlias = Callable[[Tensor], Tensor]
"""uint8 pictures (n, H, W, 3) -> features (n, d)."""


def find(name: str, *, reader: Path) -> Extractor:
    """An extractor by name; reader: where the painter's reader is. Raises NotFound and DamagedFile."""
    kind, _, where = name.partition(":")
    if kind not in _KINDS:
        raise NotFound("feature extractor", name, _KINDS, field="extractor")
    return _KINDS[kind](Path(where) if where else reader)


def in_batches(extract: Extractor, pictures: Tensor, batch: int = 64) -> Tensor:
    """Features of many pictures."""
    with torch.no_grad():
        return torch.cat([extract(part).float().cpu() for part in torch.split(pictures, batch)])


def _reader(path: Path) -> Extractor:
    return readers.load(path).features


def _pixels(_: Path) -> Extractor:
    return lambda pictures: functional.interpolate(pixels(pictures), size=(8, 8), mode="area").flatten(1)


def _torchscript(path: Path) -> Extractor:
    if not path.is_file():
        raise NotFound("TorchScript file", str(path))
    module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]

    def extract(pictures: Tensor) -> Tensor:
        answer = module(pictures.permute(0, 3, 1, 2).contiguous())
        found: Tensor = answer[0] if isinstance(answer, tuple) else answer
        return found.flatten(1)

    return extract


def _clip(folder: Path) -> Extractor:
    return Clip(folder).pictures


class Clip:
    """A CLIP model from a folder of the user; nothing is downloaded."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer, CLIPModel

        if not folder.is_dir():
            raise NotFound("folder of a CLIP model", str(folder))
        self._model: Any = CLIPModel.from_pretrained(folder, local_files_only=True).eval()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def pictures(self, pictures: Tensor) -> Tensor:
        """uint8 (n, H, W, 3) -> (n, d)."""
        side = self._model.config.vision_config.image_size
        small = functional.interpolate(pixels(pictures), size=(side, side), mode="bicubic", antialias=True)
        mean, deviation = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (_MEAN, _DEVIATION))
        return _features(self._model.get_image_features(pixel_values=((small + 1) / 2 - mean) / deviation))

    def texts(self, texts: list[str]) -> Tensor:
        """(n, d)."""
        return _features(self._model.get_text_features(**self._tokenizer(texts, padding=True, return_tensors="pt")))


def _features(answer: Any) -> Tensor:
    """transformers gives a tensor, or an output that holds it, as the version goes."""
    found: Tensor = answer if isinstance(answer, Tensor) else answer.pooler_output
    return found


_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures."""

_KINDS: dict[str, Callable[[Path], Extractor]] = {
    "reader": _reader,
    "pixels": _pixels,
    "torchscript": _torchscript,
    "clip": _clip,
}
