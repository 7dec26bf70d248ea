"""Pickled files: looked into without running them, loaded as plain data or refused by name, reason and way out."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from modules.core.errors import DamagedFile
from modules.core.store import Store
from modules.loading import convert, pickles
from modules.loading.library import Library
from tests.studio import MODELS

LEGACY = {"_use_new_zipfile_serialization": False}
KINDS = [{}, LEGACY]


class Evil:
    """Runs a command when it is unpickled the usual way."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def state() -> dict[str, torch.Tensor]:
    """Every way a tensor may lie in its storage, and every type."""
    base = torch.arange(24.0).reshape(4, 6)
    return {
        "plain": base,
        "turned": base.t(),
        "part": base[1:3, 2:5],
        "empty": torch.zeros(0, 3),
        "number": torch.tensor(3),
        "half": torch.randn(3, 4).half(),
        "brain": torch.randn(5).bfloat16(),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.randn(2)),
    }


@pytest.fixture(params=KINDS, ids=["zip", "legacy"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Any], Path]:
    def write(data: Any) -> Path:
        torch.save(data, tmp_path / "model.ckpt", **request.param)
        return tmp_path / "model.ckpt"

    return write


@pytest.mark.parametrize("wrap", [dict, collections.OrderedDict, lambda table: {"state_dict": table, "step": 7}])
def test_the_header_is_that_of_the_tensors(save: Callable[[Any], Path], wrap: Callable[[Any], Any]) -> None:
    weights = state()
    path = save(wrap(weights))
    facts = pickles.header(path)
    assert {name: info.shape for name, info in facts.tensors.items()} == {
        name: tuple(each.shape) for name, each in weights.items()
    }
    assert facts.tensors["brain"].dtype == "BF16"
    read = pickles.tensors(path)
    assert all(torch.equal(read[name], each) for name, each in weights.items())


def test_code_is_named_and_never_run(save: Callable[[Any], Path], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = save({"state_dict": state(), "callback": Evil(f"touch {mark}")})
    assert "system" in pickles.survey(path).strangers[0]
    for read in (pickles.header, pickles.tensors):
        with pytest.raises(DamagedFile, match=r"model\.ckpt: holds more than plain data.*modules\.loading\.convert"):
            read(path)
    assert not mark.exists()


def test_converting_keeps_every_number_and_leaves_code_out(
    save: Callable[[Any], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    mark, weights = tmp_path / "ran", state()
    path = save({"state_dict": weights, "callback": Evil(f"touch {mark}")})
    assert convert.main([str(path)]) == 0
    converted = load_file(path.with_suffix(".safetensors"))
    assert converted.keys() == weights.keys()
    assert all(torch.equal(converted[name], each) for name, each in weights.items())
    assert "9 tensors. Left out: " in capfd.readouterr().out
    assert not mark.exists()
    assert convert.main([str(path)]) == 1  # the file is there already
    assert "is there already" in capfd.readouterr().err


def test_the_guard_of_a_conversion(tmp_path: Path) -> None:
    look = convert.guard(tmp_path / "out")
    look("open", (str(tmp_path / "x.ckpt"), "r", os.O_RDONLY))
    look("open", (str(tmp_path / "out" / "x"), "w", os.O_WRONLY))
    for event, details in (
        ("open", (str(tmp_path / "x"), "w", os.O_WRONLY)),
        ("open", (str(tmp_path / "outside"), None, os.O_RDWR)),
        ("socket.connect", ()),
        ("os.system", ()),
        ("subprocess.Popen", ()),
    ):
        with pytest.raises(PermissionError, match=event):
            look(event, details)


def test_a_pickled_checkpoint_is_a_checkpoint(tmp_path: Path) -> None:
    """The same picture-maker, bit by bit; the library lists it with its family."""
    from safetensors.torch import load_file

    from modules.core.device import choose
    from modules.loading.shelf import Shelf

    weights = load_file(MODELS / "Stable-diffusion" / "tiny-sd1.safetensors")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "old.ckpt")
    (entry,) = Library([tmp_path], Store(tmp_path / "easel.sqlite")).checkpoints()
    assert (entry.name, entry.family, entry.short_name) == ("old.ckpt", "sd1", "old")
    model = Shelf(choose(use_cpu=["all"])).get(entry)
    assert sum(each.numel() for each in model.unet.parameters()) == sum(
        each.numel() for name, each in weights.items() if name.startswith("model.diffusion_model.")
    )


def zipped(*entries: tuple[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def whole() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(1000.0)}, buffer)
    return buffer.getvalue()


def old() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(1000.0)}, buffer, **LEGACY)
    return buffer.getvalue()


def greedy() -> bytes:
    """A few numbers that are said to be terabytes."""
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(1).expand(2**40)}, buffer)
    return buffer.getvalue()


def overlapping() -> bytes:
    """The list at the end names one part many times."""
    data = bytearray(zipped(("archive/data.pkl", pickle.dumps({})), ("archive/data/0", bytes(1000))))
    end = data.rindex(b"PK\x05\x06")
    (start,) = struct.unpack("<I", data[end + 16 : end + 20])
    listed = bytes(data[start:end])
    many = data[:start] + listed * 50 + data[end:]
    end = many.rindex(b"PK\x05\x06")
    many[end + 8 : end + 16] = struct.pack("<HHI", 100, 100, len(listed) * 50)
    return bytes(many)


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "an empty file": (lambda: b"", "is empty"),
    "a web page": (lambda: b"<!DOCTYPE html><html></html>", "not a pickle"),
    "text": (lambda: b"hello, this is no model", "not a pickle"),
    "a cut zip": (lambda: whole()[:-200], "cut short"),
    "half a zip": (lambda: whole()[:1500], "cut short"),
    "a cut old file": (lambda: old()[:-100], "100 bytes are missing"),
    "half an old file": (lambda: old()[:300], "not a pickle"),
    "an archive of pictures": (lambda: zipped(("a.png", b"x")), "no data.pkl"),
    "a packed archive": (lambda: zipped(("archive/data.pkl", bytes(10**7)), packing=zipfile.ZIP_DEFLATED), "packed"),
    "overlapping parts": (overlapping, "overlap"),
    "a program": (lambda: zipped(("a/data.pkl", b""), ("a/code/x.py", b"")), "TorchScript"),
    "a missing part": (lambda: whole().replace(b"archive/data/0", b"archive/data/7"), "missing"),
    "an empty pickle": (lambda: zipped(("archive/data.pkl", b"")), "not a pickle"),
    "a list": (lambda: zipped(("archive/data.pkl", pickle.dumps([1]))), "no table of tensors"),
    "a pickle of plain Python": (lambda: pickle.dumps({"a": 1}), "none that torch writes"),
    "a huge number": (lambda: zipped(("a/data.pkl", b"\x80\x02L" + b"9" * 10**5 + b"L\n.")), "not a pickle"),
    "terabytes": (greedy, "claim"),
    "nested tuples as a key": (
        lambda: zipped(("a/data.pkl", b"\x80\x02}" + b")" + b"\x85" * 10**5 + b"K\x01s.")),
        "",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_refused_by_name_and_reason(kind: str, tmp_path: Path) -> None:
    make, reason = BROKEN[kind]
    path = tmp_path / "model.ckpt"
    path.write_bytes(make())
    if not reason:  # harmless, and must not bring the process down
        assert pickles.header(path).tensors == {}
        return
    with pytest.raises(DamagedFile, match=r"model\.ckpt: ") as caught:
        pickles.header(path)
    assert reason in str(caught.value)
    (problem,) = Library([tmp_path], Store(tmp_path / "easel.sqlite")).problems()
    assert reason in (problem.problem or "")


@pytest.mark.parametrize("content", [whole(), old()], ids=["zip", "legacy"])
def test_any_damage_is_either_harmless_or_refused(content: bytes, tmp_path: Path) -> None:
    draw = random.Random(0)
    path = tmp_path / "model.ckpt"
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 8)):
            damaged[draw.randrange(min(len(damaged), 900))] = draw.randrange(256)
        path.write_bytes(
            bytes(damaged[: draw.randint(len(damaged) // 2, len(damaged))] if draw.random() < 0.3 else damaged)
        )
        with contextlib.suppress(DamagedFile):
            pickles.header(path)
