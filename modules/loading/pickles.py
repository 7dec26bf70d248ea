"""Pickled model files (.ckpt, .pt, .bin): what they hold, told without running them, and their tensors.

`survey` reads names, types, shapes and places from the file's directory alone; `header` is that in the words of
`header.Header`. `unpickled` is the only door through which a pickle's contents get in: torch's restricted reader, which
builds tensors and containers and nothing else. What it refuses, `python -m modules.loading.convert` can turn into a
.safetensors file.
"""

from __future__ import annotations

import dataclasses
import io
import math
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from modules.core.errors import DamagedFile
from modules.loading.header import SIZES, Header, TensorInfo
from modules.loading.pickle_machine import Machine, Meanings, Name, Unreadable

if TYPE_CHECKING:
    from torch import Tensor

ENDINGS = (".ckpt", ".pt", ".pth", ".bin")
MAX_PICKLE = 64 * 2**20
"""Bytes of the directory inside a zip; that of SDXL has a third of a megabyte."""
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_WAY_OUT = "Convert it with: python -m modules.loading.convert"
_AGAIN = "Download it again."

_HARMLESS = re.compile(r"torch\.(\w+Storage|device|u?int\d+|b?float\d+\w*|bool|half|long)")
"""Names of storages and types, which are looked up and not called."""
_STORAGES = {
    "Double": "F64", "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Long": "I64", "Int": "I32", "Short": "I16",
    "Char": "I8", "Byte": "U8", "Bool": "BOOL",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers in the file. key: their name in it; count: how many of `dtype` (as safetensors writes it)."""

    key: str
    dtype: str
    count: int


@dataclasses.dataclass(frozen=True)
class Stored:
    """A tensor: where it lies in its storage. offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def reach(self) -> int:
        """Numbers of the storage that it needs, from its beginning."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return self.offset + 1 + sum((size - 1) * stride for size, stride in steps)


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a pickled file holds. places: storage key -> where its bytes begin in the file; strangers: what it wants to
    build besides tensors and containers, which is left out.
    """

    path: Path
    tensors: Mapping[str, Stored]
    places: Mapping[str, int]
    strangers: tuple[str, ...]


def header(path: Path) -> Header:
    """Names, types and shapes. Raises DamagedFile, also for a file that needs converting first."""
    found = survey(path)
    if found.strangers:
        raise DamagedFile(
            f"{path.name}: holds more than plain data ({', '.join(found.strangers[:3])}). {_WAY_OUT} {path}"
        )
    infos = {name: TensorInfo(tensor.storage.dtype, tensor.shape) for name, tensor in found.tensors.items()}
    return Header(path, infos, {})


def survey(path: Path) -> Survey:
    """Look into a file without running it. Raises DamagedFile (reason in words) and FileNotFoundError."""
    size = path.stat().st_size
    if size == 0:
        raise DamagedFile(f"{path.name}: the file is empty. {_AGAIN}")
    with path.open("rb") as file:
        begins = file.read(4)
        file.seek(0)
        try:
            found = _in_zip(path, file, size) if begins[:2] == b"PK" else _legacy(path, file, size)
        except (ValueError, OverflowError, OSError, struct.error) as error:
            raise DamagedFile(f"{path.name}: {error}. {_AGAIN}") from error
    _check(found)
    return found


def unpickled(path: Path) -> Any:
    """The object in a pickled file, plain data and tensors only, mapped where the format allows. Raises DamagedFile."""
    import torch

    mapped = zipfile.is_zipfile(path)
    try:
        with torch.serialization.safe_globals([torch.nn.ParameterDict]):  # in textual inversions of old torch
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{path.name}: {_refusal(error)} {_WAY_OUT} {path}") from error


def _refusal(error: Exception) -> str:
    """torch's own words advise to trust the file; these do not."""
    stranger = re.search(r"GLOBAL ([\w.]+)", str(error))
    if stranger:
        return f"holds more than plain data ({stranger[1]})."
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"cannot be read ({reason})."


def tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a pickled state dict. Raises DamagedFile."""
    from torch import Tensor

    return {str(name): each for name, each in _table(path, unpickled(path)).items() if isinstance(each, Tensor)}


def _table(path: Path, found: Any) -> Mapping[Any, Any]:
    """The table of tensors, which trainers wrap in "state_dict"."""
    while isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping):
        raise DamagedFile(f"{path.name}: holds no table of tensors.")
    return found


def _in_zip(path: Path, file: BinaryIO, size: int) -> Survey:
    entries = _entries(file, size)
    main = next((name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1), None)
    if main is None:
        raise Unreadable("is an archive, but none that torch writes (no data.pkl)")
    folder = main.removesuffix("data.pkl")
    if any(name.startswith(f"{folder}code/") for name in entries):
        raise Unreadable("is a TorchScript program, not a table of tensors")
    if entries[main].file_size > MAX_PICKLE:
        raise Unreadable(f"its directory has {entries[main].file_size} bytes, more than any checkpoint's")
    file.seek(_place(file, entries[main]))
    machine = _machine()
    found = _tensors(path, machine.read(io.BytesIO(file.read(entries[main].file_size))))
    parts = {key: f"{folder}data/{key}" for key in {tensor.storage.key for tensor in found.values()}}
    for part in parts.values():
        if part not in entries:
            raise Unreadable(f"the part {part} is missing")
    places = {key: _place(file, entries[part]) for key, part in parts.items()}
    sizes = {key: min(entries[part].file_size, size - places[key]) for key, part in parts.items()}
    _fits(found, sizes)
    return Survey(path, found, places, _strangers(machine))


def _entries(file: BinaryIO, size: int) -> dict[str, zipfile.ZipInfo]:
    """The parts of an archive by name, if torch can have written it."""
    try:
        listed = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise Unreadable("ends before its directory: the download was cut short") from error
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in listed):
        raise Unreadable("is a packed archive, which torch never writes")
    if sum(entry.file_size for entry in listed) > size:
        raise Unreadable("its parts overlap, which torch never writes")
    return {entry.filename: entry for entry in listed}


def _place(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where the bytes of an entry begin: behind its own header, whose last two lengths may differ from the list's."""
    file.seek(entry.header_offset)
    local = file.read(30)
    if len(local) < 30 or local[:4] != b"PK\x03\x04":
        raise Unreadable(f"the part {entry.filename} is not where the directory says")
    name, extra = struct.unpack("<HH", local[26:30])
    return int(entry.header_offset + 30 + name + extra)


def _legacy(path: Path, file: BinaryIO, size: int) -> Survey:
    """torch before 1.6: magic number, version, facts of the system, the object, the list of storages, their bytes."""
    machine = _machine()
    if machine.read(file) != _LEGACY_MAGIC:
        raise Unreadable("is a pickle, but none that torch writes")
    machine.read(file)
    machine.read(file)
    found = _tensors(path, machine.read(file))
    keys = machine.read(file)
    if not isinstance(keys, list):
        raise Unreadable("has no list of its parts")
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in found.values()}
    places, sizes, at = {}, {}, file.tell()
    for key in map(str, keys):
        file.seek(at)
        head = file.read(8)
        if key not in dtypes or len(head) < 8:
            raise Unreadable("ends early: the download was cut short" if len(head) < 8 else f"the part {key} is unused")
        (count,) = struct.unpack("<q", head)
        places[key], sizes[key] = at + 8, count * SIZES[dtypes[key]]
        at += 8 + max(0, sizes[key])
    if at > size:
        raise Unreadable(f"{at - size} bytes are missing at the end: the download was cut short")
    _fits(found, sizes)
    return Survey(path, found, places, _strangers(machine))


def _machine() -> Machine:
    return Machine(_MEANINGS, _storage)


def _strangers(machine: Machine) -> tuple[str, ...]:
    """Names that torch's restricted reader refuses."""
    return tuple(name for name in machine.names if name not in _MEANINGS and not _HARMLESS.fullmatch(name))


def _storage(id: Any) -> Storage:
    kind, type_, key, _, count = id[:5]
    name = type_.path.rsplit(".", 1)[-1].removesuffix("Storage") if isinstance(type_, Name) else ""
    if kind != "storage" or name not in _STORAGES or not isinstance(count, int) or not 0 <= count < 2**48:
        raise Unreadable(f"holds numbers of an unknown kind ({name or kind})")
    return Storage(str(key), _STORAGES[name], count)


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> Stored:
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or not all(isinstance(each, int) and 0 <= each < 2**48 for each in numbers):
        raise Unreadable("a tensor has an impossible shape")
    return Stored(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_MEANINGS: Meanings = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "collections.OrderedDict": lambda *pairs: {},
    "collections.defaultdict": lambda *default: {},
    "torch.Size": lambda *sizes: tuple(sizes),
    "_codecs.encode": lambda text, *_: text,
    "torch.device": lambda *_: None,
}


def _tensors(path: Path, found: Any) -> dict[str, Stored]:
    table = _table(path, found)
    return {str(name): each for name, each in table.items() if isinstance(each, Stored) and isinstance(name, str)}


def _fits(found: Mapping[str, Stored], sizes: Mapping[str, int]) -> None:
    """sizes: bytes of each storage in the file."""
    for name, tensor in found.items():
        storage = tensor.storage
        have = sizes.get(storage.key, -1)
        if have < tensor.reach * SIZES[storage.dtype]:
            raise Unreadable(f"the numbers of {name} are cut short")


def _check(found: Survey) -> None:
    total = sum(math.prod(each.shape) * SIZES[each.storage.dtype] for each in found.tensors.values())
    size = found.path.stat().st_size
    if total > 4 * size:  # tied weights may share their numbers; a few bytes that say they are terabytes may not
        raise DamagedFile(f"{found.path.name}: its tensors claim {total} bytes, but the file has {size}.")
