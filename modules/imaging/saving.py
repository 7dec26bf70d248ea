"""Writing pictures to disk as A1111 names them: numbers that never come twice, whole files or none.

`generate.save` calls `save`. It is safe to use from any thread and from several processes with the same folder: a
number is claimed with an exclusively created file before it is used, and a file appears under its name only when it is
complete and on the disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from modules.core.errors import EaselError
from modules.core.store import explain_disk, write_atomically
from modules.imaging import filenames, png
from modules.imaging.filenames import NameFacts
from modules.imaging.policy import SavePolicy

log = logging.getLogger(__name__)

_JPEG = ("jpg", "jpeg")
_TRIES = 10_000  # claims of other writers, or left behind by killed ones, that are stepped over


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saved:
    """A picture on disk. data: the file's bytes; txt_path: its infotext beside it; copy_path: a large one's JPG."""

    path: Path
    data: bytes
    txt_path: Path | None = None
    copy_path: Path | None = None


def save(
    image: Image.Image,
    infotext: str | None,
    *,
    folder: Path,
    name: NameFacts,
    policy: SavePolicy,
    now: datetime.datetime,
    stem: str = "",
    suffix: str = "",
    texts: Mapping[str, str] = MappingProxyType({}),
) -> Saved:
    """Write the picture into exactly this folder (made if missing; see `filenames.folder`) under its own name.

    stem: the file's name without ending, instead of one that the policy makes; suffix: goes behind a made name; texts:
    further texts for a PNG. A picture that the policy's format cannot hold becomes a PNG. Raises `EaselError` with
    folder, reason and way out when the disk cannot be written, `BadRequest` when the picture cannot be encoded.
    """
    policy = png.fitting(image, infotext, policy)
    data = png.encode(image, infotext, policy, texts)
    decoration = filenames.decoration(policy, name, image=image, now=now)
    with _plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if stem:
            path = _write_named(folder / f"{filenames.component(stem) or '_'}.{policy.format}", data, policy)
        elif policy.add_number or not decoration:
            path = _write_numbered(folder, decoration, suffix, data, policy)
        else:
            path = _write_named(folder / f"{decoration}{suffix}.{policy.format}", data, policy)
        txt_path = _write_text(path, infotext) if policy.save_txt and infotext is not None else None
        copy_path = _write_copy(path, image, infotext, policy) if _is_large(image, data, policy) else None
    return Saved(path=path, data=data, txt_path=txt_path, copy_path=copy_path)


@contextlib.contextmanager
def _plainly(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = explain_disk(error, f"The picture could not be saved in {folder}")
        raise EaselError(f"{what} The folder is set under Settings, Paths for saving.") from error


# --- names


def _write_numbered(folder: Path, decoration: str, suffix: str, data: bytes, policy: SavePolicy) -> Path:
    """Write under the folder's next free number."""

    def next_free() -> int:
        return filenames.next_number(os.listdir(folder), policy.basename)

    number = next_free()
    for _ in range(_TRIES):
        name = f"{filenames.numbered(policy.basename, number, decoration)}{suffix}.{policy.format}"
        if _write_claimed(folder / name, f"{policy.basename}-{number}", data, _at_most(next_free, number)):
            return folder / name
        number = max(number + 1, next_free())
    raise _exhausted(folder)


def _at_most(next_free: Callable[[], int], number: int) -> Callable[[], bool]:
    """Whether the number is still free; asked under the claim, so that nobody can take it in between."""
    return lambda: next_free() <= number


def _write_named(path: Path, data: bytes, policy: SavePolicy) -> Path:
    """Write under this name; if it is taken, replace the file or add a number, as the policy says."""
    if policy.replace:
        write_atomically(path, data)
        return path
    for count in itertools.islice(itertools.count(), _TRIES):
        candidate = path.with_name(f"{path.stem}-{count}{path.suffix}") if count else path
        if _write_claimed(candidate, candidate.name, data, _absent(candidate)):
            return candidate
    raise _exhausted(path.parent)


def _absent(path: Path) -> Callable[[], bool]:
    return lambda: not path.exists()


def _write_claimed(path: Path, key: str, data: bytes, is_free: Callable[[], bool]) -> bool:
    """Write the file if nobody else holds the key and its name is free; False if not.

    The claim is a file that only one writer can create. It is looked at again whether the name is free, since another
    writer may have used it and given the claim back.
    """
    claim = path.with_name(f".easel-{hashlib.sha256(key.encode()).hexdigest()[:16]}.claim")
    try:
        os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    try:
        if not is_free():
            return False
        write_atomically(path, data)
        return True
    finally:
        claim.unlink(missing_ok=True)


def _exhausted(folder: Path) -> EaselError:
    return EaselError(f"No free name in {folder} after {_TRIES} tries: delete its .easel-*.claim files.")


# --- what lies beside the picture


def _write_text(path: Path, infotext: str) -> Path:
    text_path = path.with_suffix(".txt")
    write_atomically(text_path, f"{infotext}\n".encode("utf-8", "replace"))
    return text_path


def _is_large(image: Image.Image, data: bytes, policy: SavePolicy) -> bool:
    if not policy.export_for_4chan or policy.format in _JPEG:  # a JPG's copy would be written over it
        return False
    return max(image.size) > policy.limit_side or len(data) > policy.limit_megabytes * 2**20


def _write_copy(path: Path, image: Image.Image, infotext: str | None, policy: SavePolicy) -> Path | None:
    """The picture as JPG, its longer side brought down to the limit."""
    small = _limited(image.convert("RGB"), policy.limit_side)
    copy_policy = png.fitting(small, infotext, dataclasses.replace(policy, format="jpg"))
    if copy_policy.format not in _JPEG:
        log.warning("%s gets no smaller copy: size or parameters do not fit into a JPG.", path)
        return None
    copy_path = path.with_suffix(".jpg")
    write_atomically(copy_path, png.encode(small, infotext, copy_policy))
    return copy_path


def _limited(image: Image.Image, side: float) -> Image.Image:
    longest = max(image.size)
    if longest <= side:
        return image
    width, height = (max(1, round(length * side / longest)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)
