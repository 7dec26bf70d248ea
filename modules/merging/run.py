"""A merge from its plan to the file: one tensor after the other, so that the memory of one is enough."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from modules.core.errors import DamagedFile, Interrupted, NotFound
from modules.core.store import StoreError, explain_disk, sync_folder
from modules.core.types import JsonObject
from modules.loading import opening, safetensors_writing, vae_file
from modules.loading.families import VAE
from modules.loading.library import Checkpoint, Library
from modules.loading.packed import dense
from modules.merging import bake, formula, plan, recipe
from modules.merging.bake import Addition
from modules.merging.plan import Plan
from modules.merging.request import Merge
from modules.networks.files import Files, NetworkFile

log = logging.getLogger(__name__)

STALE_SECONDS = 3600.0
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class Control(Protocol):
    """What a merge tells the world and asks of it (`jobs.progress.Control`)."""

    @property
    def interrupted(self) -> bool: ...
    def begin(self, *, batches: int, steps: int) -> None: ...
    def step(self, done: int) -> None: ...
    def text(self, text: str) -> None: ...


def merge(request: Merge, library: Library, loras: Files, folder: Path, control: Control) -> JsonObject:
    """Make the file -> the job's result (checkpoint: its title; path; comments). The library lists it then.

    Raises BadRequest, NotFound, DamagedFile, StoreError, and Interrupted when it is stopped: nothing is left behind.
    """
    control.text("Reading the models")
    work = plan.make(request, library, folder)
    _sweep(folder)
    found = chosen(request, loras)
    checkpoints = [library.hashed(checkpoint) for checkpoint in work.checkpoints]
    metadata = recipe.metadata(request, checkpoints, [header.metadata for header in work.headers], work.sort)
    control.text(f"Merging {work.target.name}")
    control.begin(batches=1, steps=len(work.infos))
    with torch.inference_mode():
        _save(work, _parts(work, found, control), metadata)
    comments = _copy_config(request, checkpoints, work.target)
    title, problem = _listed(library, work.target)
    log.info("Merged %s.", title)
    comments += [f"The file is there, but is no usable checkpoint: {problem}"] if problem else []
    return {"pictures": [], "checkpoint": title, "path": str(work.target), "comments": comments}


def _listed(library: Library, target: Path) -> tuple[str, str | None]:
    """(title of the new file, why it is of no use: weights that were left out on purpose, or None)."""
    library.refresh()
    try:
        return library.hashed(library.find(str(target))).title, None
    except DamagedFile as error:
        return target.name, str(error)


def _sweep(folder: Path) -> None:
    """Remove what a process that was killed while it wrote has left; an hour later nobody writes there any more."""
    for path in folder.glob(".easel-*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()


def chosen(request: Merge, loras: Files) -> list[tuple[NetworkFile, float]]:
    """The files of the LoRAs that are asked for. Raises NotFound."""
    found = []
    for name, strength in request.loras:
        file = loras.find(name)
        if file is None:
            raise NotFound("LoRA", name, [each.name for each in loras.all()], field="loras")
        found.append((file, strength))
    return found


def _parts(work: Plan, loras: Sequence[tuple[NetworkFile, float]], control: Control) -> Iterator[memoryview]:
    """The bytes of the result's tensors, in order."""
    models = [opening.stored(checkpoint.path) for checkpoint in work.checkpoints]
    additions = bake.additions(work.headers[0], work.family, loras)
    baked = _vae(work)
    for done, (name, info) in enumerate(work.infos.items()):
        if control.interrupted:
            raise Interrupted
        tensor = baked.get(name)
        if tensor is None:
            tensor = _merged(work, name, models, additions.get(name, ()))
        tensor = tensor.to(_DTYPES.get(info.dtype, tensor.dtype)).contiguous()
        yield memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
        control.step(done + 1)


def _merged(work: Plan, name: str, models: Sequence[Mapping[str, Tensor]], changes: Sequence[Addition]) -> Tensor:
    """Matrices that a file has packed are unpacked here, one at a time."""
    a, *others = (dense(model[name]) for model in (models if name in work.merged else models[:1]))
    if others:
        apply: Any = formula.weighted_sum if len(others) == 1 else formula.add_difference
        a = apply(a, *others, work.multiplier(name))
    return bake.added(a.float(), changes) if changes else a


def _vae(work: Plan) -> dict[str, Tensor]:
    """The tensors of the VAE that takes the place of A's. What A does not have is left out, as in A1111."""
    if work.vae is None:
        return {}
    weights = vae_file.named(opening.tensors(work.vae.path))
    found = {VAE + name: tensor for name, tensor in weights.items() if VAE + name in work.infos}
    odd = next((name for name, tensor in found.items() if tuple(tensor.shape) != work.infos[name].shape), None)
    if odd or not found:
        raise DamagedFile(
            f"{work.vae.name}: this VAE does not fit {work.checkpoints[0].name} ({odd or 'other names'})."
        )
    return found


def _save(work: Plan, parts: Iterator[memoryview], metadata: Mapping[str, str]) -> None:
    if work.request.checkpoint_format == "safetensors":
        safetensors_writing.write(work.target, work.infos, parts, metadata)
        return
    between = work.target.with_name(f".easel-{secrets.token_hex(6)}.safetensors.tmp")
    try:
        safetensors_writing.write(between, work.infos, parts)
        _pickle(opening.mapped(between), work.target)
    finally:
        with suppress(OSError):
            between.unlink(missing_ok=True)


def _pickle(weights: Mapping[str, Tensor], target: Path) -> None:
    """The same in torch's own format, from the mapped file; whole or not at all."""
    temporary = target.with_name(f".easel-{secrets.token_hex(6)}.tmp")
    try:
        try:
            torch.save({"state_dict": dict(weights)}, temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, target)
            sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        reason = error if isinstance(error, OSError) else OSError(str(error))
        raise StoreError(explain_disk(reason, f"{target} could not be written")) from error


def _copy_config(request: Merge, checkpoints: Sequence[Checkpoint], target: Path) -> list[str]:
    """The .yaml of a parent beside the result -> remarks."""
    order = ((0, 1, 2), (1,), (2,), ())[request.config_source]
    source = next(
        (config for index in order if index < len(checkpoints) if (config := checkpoints[index].config)), None
    )
    if source is None:
        return []
    try:
        shutil.copyfile(source, target.with_suffix(".yaml"))
    except OSError as error:
        return [explain_disk(error, f"{Path(source).name} could not be copied")]
    return []
