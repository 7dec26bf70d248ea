"""Models in diffusers' layout: a folder with `model_index.json` and a sub-folder for each part.

`header` and `tensors` show such a folder as the single-file checkpoint that it is the same as, so that everything
behind them (recognising, loading, networks, merging) knows one layout only. Parts may be sharded, .safetensors or
pickles; nothing asks any hub.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import DamagedFile
from modules.loading import ldm_names
from modules.loading.header import Header, TensorInfo
from modules.loading.walking import MARK

if TYPE_CHECKING:
    from torch import Tensor

UNET, VAE = "model.diffusion_model.", "first_stage_model."
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_ENDINGS = (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin")
_TRANSFORMER = "is a diffusers folder of a transformer model; put its single-file version into models/Stable-diffusion."


@dataclasses.dataclass(frozen=True)
class _Origin:
    """What a tensor of the single file is made of: names in one part's files, stacked; turned: then transposed;
    unfolded: a matrix as a 1x1 convolution; shape: the outcome's. No sources: zeros, or ones (a layer that does
    nothing).
    """

    sources: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    turned: bool = False
    unfolded: bool = False
    filling: float = 0.0


@dataclasses.dataclass(frozen=True)
class _Part:
    """A sub-folder. infos: its tensors; files: the file each lies in."""

    infos: Mapping[str, TensorInfo]
    files: Mapping[str, Path]


def header(folder: Path) -> Header:
    """Names, types and shapes as a single file would have them. Raises DamagedFile."""
    _, origins, metadata = _opened(folder)
    infos = {name: TensorInfo(origin.dtype, origin.shape) for name, (_, origin) in origins.items()}
    return Header(folder, infos, metadata)


def tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a single file; mapped, but for what a single file stacks or turns. Raises DamagedFile."""
    import torch

    parts, origins, _ = _opened(folder)
    files = {path for part in parts.values() for path in part.files.values()}
    loaded = {path: _tensors_of(path) for path in files}
    dtypes = {tensor.dtype for each in loaded.values() for tensor in each.values() if tensor.is_floating_point()}
    made: dict[str, Tensor] = {}
    for name, (part, origin) in origins.items():
        pieces = [loaded[parts[part].files[source]][source] for source in origin.sources]
        if not pieces:
            made[name] = torch.full(origin.shape, origin.filling, dtype=next(iter(dtypes)))
            continue
        whole = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        made[name] = (whole.t() if origin.turned else whole).reshape(origin.shape)
    return made


def _opened(folder: Path) -> tuple[dict[str, _Part], dict[str, tuple[str, _Origin]], dict[str, str]]:
    """(parts by sub-folder, single-file name -> (sub-folder, origin), metadata)."""
    index = _json(folder, MARK)
    if (folder / "transformer").is_dir() and not (folder / "unet").is_dir():
        raise DamagedFile(f"{folder.name}: {_TRANSFORMER}")
    encoders = [name for name in ("text_encoder", "text_encoder_2") if (folder / name).is_dir()]
    parts = {name: _part(folder, name) for name in ("unet", "vae", *encoders)}
    origins = {
        name: (part, origin)
        for part, renamed in (("unet", _unet(parts["unet"])), ("vae", _vae(parts["vae"])))
        for name, origin in renamed
    }
    for part in encoders:
        origins |= {name: (part, origin) for name, origin in _text(folder, part, parts[part], encoders)}
    scheduler = _json(folder, "scheduler/scheduler_config.json", optional=True)
    if scheduler.get("rescale_betas_zero_snr"):
        origins["ztsnr"] = ("unet", _Origin((), "F32", (0,)))
    told = {"modelspec.prediction_type": str(scheduler.get("prediction_type", "epsilon"))}
    return parts, origins, {**told, "_class_name": str(index.get("_class_name", ""))}


def _unet(part: _Part) -> Iterator[tuple[str, _Origin]]:
    for name, target in ldm_names.unet(part.infos).items():
        yield UNET + target, _same(part, name)


def _vae(part: _Part) -> Iterator[tuple[str, _Origin]]:
    for name, target in ldm_names.vae(part.infos).items():
        origin = _same(part, name)
        if ".attn_1." in target and len(origin.shape) == 2:
            origin = dataclasses.replace(origin, shape=(*origin.shape, 1, 1), unfolded=True)
        yield VAE + target, origin


def _text(folder: Path, name: str, part: _Part, encoders: list[str]) -> Iterator[tuple[str, _Origin]]:
    """One text encoder under the names of the family that has these encoders."""
    second = name == "text_encoder_2"
    if second:
        yield from _open_clip(part, f"conditioner.embedders.{len(encoders) - 1}.model.", lacking=False)
        return
    if len(encoders) == 2:
        prefix = "conditioner.embedders.0.transformer."
    elif _json(folder, f"{name}/config.json", optional=True).get("hidden_act") == "gelu":
        yield from _open_clip(part, "cond_stage_model.model.", lacking=True)
        return
    else:
        prefix = "cond_stage_model.transformer."
    yield from ((prefix + _long(own), _same(part, own)) for own in part.infos if not own.startswith("text_projection"))


def _long(name: str) -> str:
    """transformers 5 leaves out the beginning "text_model."."""
    return name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}"


def _open_clip(part: _Part, prefix: str, *, lacking: bool) -> Iterator[tuple[str, _Origin]]:
    """lacking: the folder of SD2 leaves out the last layer, which its pictures never use; one that does nothing takes
    its place.
    """
    spelled = {_long(name): name for name in part.infos}
    renamed = {
        target: [spelled[source] for source in sources] for target, sources in ldm_names.open_clip(spelled).items()
    }
    for target, sources in renamed.items():
        infos = [part.infos[source] for source in sources]
        shape = (sum(info.shape[0] for info in infos), *infos[0].shape[1:])
        turned = target == "text_projection"
        yield prefix + target, _Origin(tuple(sources), infos[0].dtype, shape[::-1] if turned else shape, turned=turned)
    if not lacking:
        return
    layers = {target.split(".")[2] for target in renamed if target.startswith("transformer.resblocks.")}
    for target, sources in renamed.items():
        if target.startswith("transformer.resblocks.0."):
            copied = _origin_of_nothing(target, [part.infos[source] for source in sources])
            yield prefix + target.replace("resblocks.0.", f"resblocks.{len(layers)}.", 1), copied


def _origin_of_nothing(target: str, infos: list[TensorInfo]) -> _Origin:
    """Of a residual layer whose branches give zero."""
    shape = (sum(info.shape[0] for info in infos), *infos[0].shape[1:])
    return _Origin((), infos[0].dtype, shape, filling=1.0 if ".ln_" in target and target.endswith("weight") else 0.0)


def _same(part: _Part, name: str) -> _Origin:
    info = part.infos[name]
    return _Origin((name,), info.dtype, info.shape)


def _part(folder: Path, name: str) -> _Part:
    from modules.loading import opening

    infos: dict[str, TensorInfo] = {}
    files: dict[str, Path] = {}
    for path in _files(folder, name):
        facts = opening.header(path)
        infos |= facts.tensors
        files |= dict.fromkeys(facts.tensors, path)
    infos = {own: info for own, info in infos.items() if not own.endswith("position_ids")}
    return _Part(infos, files)


def _files(folder: Path, name: str) -> list[Path]:
    """The weights of a part: its shards, or its one file; the first kind that is there."""
    for ending in _ENDINGS:
        for stem in _STEMS:
            whole = folder / name / f"{stem}{ending}"
            plain, _, variant = ending.removeprefix(".").rpartition(".")
            shards = folder / name / f"{stem}.{variant}.index{'.' + plain if plain else ''}.json"
            if shards.is_file():
                listed = _json(folder, f"{name}/{shards.name}").get("weight_map")
                return _sharded(folder / name, listed if isinstance(listed, dict) else {})
            if whole.is_file():
                return [whole]
    raise DamagedFile(f"{folder.name}: {name}/ has no weights ({_STEMS[0]}.safetensors or the like).")


def _sharded(part: Path, listed: Mapping[str, Any]) -> list[Path]:
    paths = sorted({part / Path(str(file)).name for file in listed.values()})
    for path in paths:
        if not path.is_file():
            raise DamagedFile(f"{part.parent.name}: {part.name}/{path.name} is missing. Download it too.")
    return paths


def _tensors_of(path: Path) -> dict[str, Tensor]:
    from modules.loading import opening

    return opening.stored(path)


def _json(folder: Path, name: str, *, optional: bool = False) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if optional:
            return {}
        raise DamagedFile(f"{folder.name}: {name} is missing.") from None
    except (OSError, ValueError) as error:
        raise DamagedFile(f"{folder.name}: {name} cannot be read ({error}).") from error
    if not isinstance(found, dict):
        raise DamagedFile(f"{folder.name}: {name} is no table.")
    return found
