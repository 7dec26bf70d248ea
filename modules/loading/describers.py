"""Words for pictures, by models of the user's own: BLIP says a sentence, CLIP adds phrases that fit from lists of text,
DeepDanbooru says tags. Nothing is downloaded.

BLIP and CLIP lie in transformers' layout (config.json, weights and tokenizer in one folder): BLIP below models/BLIP,
CLIP below models/CLIP or --clip-models-path; the lists are interrogate/*.txt in the data folder, as in A1111
("name.top3.txt" gives three phrases instead of one). DeepDanbooru is A1111's file, model-resnet_custom_v3.pt, in
models/torch_deepdanbooru or models/deepbooru.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest, DamagedFile, NotFound

if TYPE_CHECKING:
    from PIL.Image import Image

    from modules.core.device import Placement

CLIP, DEEPDANBOORU = "clip", "deepdanbooru"
NAMES = (CLIP, DEEPDANBOORU)
_TOP = re.compile(r"\.top(\d{1,3})$")
_CHUNK = 256  # texts that CLIP reads at a time
_FAILURES = (OSError, ValueError, KeyError, RuntimeError, ImportError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phrases:
    """A list to choose from. top: how many are taken."""

    name: str
    top: int
    lines: tuple[str, ...]


class Describers:
    """What describes pictures, by name. blip, clip, tagger: folders to look in; lists: of phrases; placement: where it
    computes.

    Used by one worker thread. Models are loaded for a picture and let go after it, unless the option
    `interrogate_keep_models_in_memory` is on.
    """

    def __init__(
        self, *, blip: Path, clip: Path, tagger: Sequence[Path], lists: Path, placement: Callable[[], Placement]
    ) -> None:
        self._blip, self._clip, self._lists, self._placement = blip, clip, lists, placement
        self._tagger = tuple(tagger)
        self._loaded: dict[Path, tuple[Any, Any]] = {}

    def check(self, name: str) -> None:
        """Raises NotFound for an unknown name, BadRequest(field="model") with what to put where for a missing model."""
        if name not in NAMES:
            raise NotFound("Model", name, NAMES, field="model")
        if name == DEEPDANBOORU and self._tags_file() is None:
            what = f"its file, model-resnet_custom_v3.pt, into {self._tagger[0]}"
            raise BadRequest(f"model: {name} is not there. Put {what}.", field="model")
        if name == CLIP and self._model(self._blip, "blip") is None:
            what = "a BLIP captioning model in transformers' layout (config.json, weights, tokenizer)"
            raise BadRequest(f"model: for {name}, put {what} into {self._blip}/NAME.", field="model")

    def describe(self, image: Image, name: str, options: Mapping[str, Any]) -> str:
        """A sentence, then phrases with commas. Raises as `check`, and DamagedFile."""
        self.check(name)
        if name == DEEPDANBOORU:
            return self._tags(image.convert("RGB"), options)
        blip = self._model(self._blip, "blip")
        assert blip is not None
        picture = image.convert("RGB")
        try:
            said = [self._sentence(blip, picture, options)]
            clip, lists = self._model(self._clip, "clip"), self._phrases(options)
            if clip is not None and lists:
                said += self._fitting(clip, picture, lists, options)
        finally:
            if not options["interrogate_keep_models_in_memory"]:
                self._loaded.clear()
        return ", ".join(said)

    def _model(self, folder: Path, kind: str) -> Path | None:
        """The first folder that says it is of this kind."""
        for config in sorted(folder.glob("config.json")) + sorted(folder.glob("*/config.json")):
            try:
                if json.loads(config.read_text(encoding="utf-8")).get("model_type") == kind:
                    return config.parent
            except (OSError, ValueError, AttributeError):
                continue
        return None

    def _phrases(self, options: Mapping[str, Any]) -> list[Phrases]:
        left_out, limit = options["interrogate_clip_skip_categories"], options["interrogate_clip_dict_limit"]
        found = []
        for path in sorted(self._lists.glob("*.txt")):
            lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
            lines = [line for line in lines if line][: limit or None]
            top = _TOP.search(path.stem)
            if path.stem not in left_out and lines:
                found.append(Phrases(name=path.stem, top=int(top[1]) if top else 1, lines=tuple(lines)))
        return found

    def _load(self, folder: Path, model: str, processor: str) -> tuple[Any, Any]:
        import transformers

        if folder not in self._loaded:
            try:
                network = getattr(transformers, model).from_pretrained(
                    folder, local_files_only=True, use_safetensors=None
                )
                reader = getattr(transformers, processor).from_pretrained(folder, local_files_only=True)
            except _FAILURES as error:
                raise DamagedFile(f"{folder}: cannot be loaded ({str(error).splitlines()[0]}).") from error
            self._loaded[folder] = network.eval().to(self._placement().device), reader
        return self._loaded[folder]

    def _tags_file(self) -> Path | None:
        return next((path for folder in self._tagger for path in sorted(folder.glob("*.pt"))), None)

    def _tags(self, picture: Image, options: Mapping[str, Any]) -> str:
        """Tags that are likely enough, with commas, written as A1111's options say."""
        import numpy as np
        import torch

        from modules.imaging.resize import Mode, resize
        from modules.loading import deepdanbooru

        path = self._tags_file()
        assert path is not None
        network, names = self._loaded.get(path) or deepdanbooru.read(path)
        if options["interrogate_keep_models_in_memory"]:
            self._loaded[path] = (network, names)
        whole = resize(picture, (deepdanbooru.SIDE, deepdanbooru.SIDE), Mode.FILL)
        given = torch.from_numpy(np.asarray(whole, dtype=np.float32) / 255).permute(2, 0, 1).unsqueeze(0)
        device = self._placement().device
        with torch.inference_mode():
            shares = network.to(device)(given.to(device))[0].cpu().tolist()
        return ", ".join(written(dict(zip(names, shares, strict=True)), options))

    def _sentence(self, folder: Path, picture: Image, options: Mapping[str, Any]) -> str:
        import torch

        network, reader = self._load(folder, "BlipForConditionalGeneration", "BlipProcessor")
        given = reader(images=picture, return_tensors="pt").to(network.device)
        with torch.inference_mode():
            ids = network.generate(
                **given,
                num_beams=options["interrogate_clip_num_beams"],
                min_length=min(options["interrogate_clip_min_length"], options["interrogate_clip_max_length"]),
                max_length=options["interrogate_clip_max_length"],
            )
        return str(reader.decode(ids[0], skip_special_tokens=True)).strip()

    def _fitting(self, folder: Path, picture: Image, lists: Sequence[Phrases], options: Mapping[str, Any]) -> list[str]:
        """Of each list the phrases that are nearest to the picture."""
        import torch

        network, reader = self._load(folder, "CLIPModel", "CLIPProcessor")
        said = []
        with torch.inference_mode():
            for phrases in lists:
                given = reader(images=picture, return_tensors="pt").to(network.device)
                logits = []
                for start in range(0, len(phrases.lines), _CHUNK):
                    words = list(phrases.lines[start : start + _CHUNK])
                    read = reader(text=words, return_tensors="pt", padding=True, truncation=True).to(network.device)
                    logits.append(network(**given, **read).logits_per_image[0].float().cpu())
                shares = torch.cat(logits).softmax(dim=0)
                best = shares.topk(min(phrases.top, len(phrases.lines)))
                for share, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                    line = phrases.lines[index]
                    said.append(f"({line}:{share:.3f})" if options["interrogate_return_ranks"] else line)
        return said


def written(shares: Mapping[str, float], options: Mapping[str, Any]) -> list[str]:
    """Tags as A1111 writes them; shares: how likely each is, 0..1. Ratings and what is filtered are left out."""
    filtered = {tag.strip().replace(" ", "_") for tag in options["deepbooru_filter_tags"].split(",")}
    least = options["interrogate_deepbooru_score_threshold"]
    likely = {
        tag: share
        for tag, share in shares.items()
        if share >= least and not tag.startswith("rating:") and tag not in filtered
    }
    order = sorted(likely) if options["deepbooru_sort_alpha"] else sorted(likely, key=lambda tag: -likely[tag])
    return [_written(tag, likely[tag], options) for tag in order]


def _written(tag: str, share: float, options: Mapping[str, Any]) -> str:
    shown = tag.replace("_", " ") if options["deepbooru_use_spaces"] else tag
    shown = re.sub(r"([\\()])", r"\\\1", shown) if options["deepbooru_escape"] else shown
    return f"({shown}:{share:.3f})" if options["interrogate_return_ranks"] else shown
