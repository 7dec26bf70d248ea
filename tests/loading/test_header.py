"""A header is read whole or refused with the file's name and the reason; nothing else ever comes out."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.core.errors import DamagedFile
from modules.loading import header
from tests.loading.safetensors_files import tensors, write

WHOLE = tensors({"a": (2, 3), "b": ()})


def test_names_types_shapes_and_metadata(tmp_path: Path) -> None:
    entries, data = WHOLE
    facts = header.read(write(tmp_path / "x.safetensors", {"__metadata__": {"format": "pt"}, **entries}, data))
    assert facts.shape("a") == (2, 3)
    assert facts.tensors["b"] == header.TensorInfo("F16", ())
    assert facts.metadata == {"format": "pt"}


ENTRY = {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}
BROKEN = {
    "an empty file": (b"", "is empty"),
    "a few bytes": (b"abc", "too few"),
    "text": (b"hello, this is no model at all", "not a .safetensors file"),
    "a web page": (b"<!DOCTYPE html><html></html>", "not a .safetensors file"),
    "no JSON": (struct.pack("<Q", 8) + b"notjson!", "not JSON"),
    "a list": (struct.pack("<Q", 2) + b"[]", "not an object"),
    "deep nesting": (struct.pack("<Q", 200_000) + b"[" * 200_000, "not JSON"),
    "a cut header": (struct.pack("<Q", 5000) + b'{"a":', "ends inside its header"),
    "an enormous header": (struct.pack("<Q", 2**40) + b"{}", "would have"),
    "no shape": (struct.pack("<Q", 26) + b'{"a": {"dtype": "F16"}}   ', "malformed"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_refused_by_name_and_reason(kind: str, tmp_path: Path) -> None:
    data, reason = BROKEN[kind]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match=r"model\.safetensors") as caught:
        header.read(path)
    assert reason in str(caught.value)


def test_missing_data_is_counted(tmp_path: Path) -> None:
    entries, data = WHOLE
    with pytest.raises(DamagedFile, match="3 bytes are missing at the end"):
        header.read(write(tmp_path / "x.safetensors", entries, data[:-3]))


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    text = b'{"a": {"dtype": "F16", "shape": [], "data_offsets": [0, 2]}, "a": {}}'
    with pytest.raises(DamagedFile, match="names a twice"):
        header.read(write(tmp_path / "x.safetensors", text, b"  "))


def test_an_entry_that_does_not_fit_its_shape(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match="does not fit its shape"):
        header.read(write(tmp_path / "x.safetensors", {"a": {**ENTRY, "shape": [7]}}, bytes(14)))


def entry(begin: int, end: int) -> dict[str, object]:
    return {"dtype": "F16", "shape": [(end - begin) // 2], "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("entries", "data", "says"),
    [
        ({"a": entry(0, 4), "b": entry(2, 6)}, 6, "b overlaps"),
        ({"a": entry(0, 4), "b": entry(0, 4)}, 4, "b overlaps"),
        ({"a": entry(0, 4), "b": entry(6, 8)}, 8, "b does not follow"),
        ({"a": entry(0, 4)}, 9, "5 bytes that no tensor claims"),
        ({"a": {**ENTRY, "shape": [-1, -1]}}, 2, "malformed"),
        ({"a": {**ENTRY, "shape": [1.5]}}, 2, "malformed"),
        ({"a": {**ENTRY, "shape": [2**40, 2**40]}}, 2, "does not fit"),
        ({"a": {**ENTRY, "data_offsets": [2, 0]}}, 2, "does not fit"),
        ({"a": {**ENTRY, "data_offsets": [-2, 0]}}, 2, "malformed"),
        ({"__metadata__": [1], "a": ENTRY}, 2, "__metadata__ is no table"),
    ],
)
def test_places_that_cannot_be(entries: dict[str, object], data: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=rf"x\.safetensors: .*{says}"):
        header.read(write(tmp_path / "x.safetensors", entries, bytes(data)))


def test_a_large_header_is_read_and_a_huge_one_is_not(tmp_path: Path) -> None:
    entries, data = WHOLE

    def tagged(count: int) -> Path:
        tags = {"__metadata__": {"ss_tag_frequency": "x" * count}}
        return write(tmp_path / "x.safetensors", {**tags, **entries}, data)

    assert len(header.read(tagged(5_000_000)).metadata["ss_tag_frequency"]) == 5_000_000
    with pytest.raises(DamagedFile, match=r"x\.safetensors: a header of 10\d+ bytes; less than 10 MB"):
        header.read(tagged(10_000_000))
    claim = write(tmp_path / "y.safetensors", b"{}", bytes(10), length=header.MAX_HEADER + 1)
    with pytest.raises(DamagedFile, match="header would have"):
        header.read(claim)


@given(cut=st.integers(0, 300), flip=st.integers(0, 300), value=st.integers(0, 255))
def test_any_damage_is_either_harmless_or_refused(
    cut: int, flip: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    entries, data = WHOLE
    path = write(tmp_path_factory.mktemp("damage") / "x.safetensors", entries, data)
    content = bytearray(path.read_bytes())
    content[flip % len(content)] = value
    path.write_bytes(bytes(content[: max(0, len(content) - cut)]))
    with contextlib.suppress(DamagedFile):
        header.read(path)
