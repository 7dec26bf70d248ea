"""What is written is read back as it was; a write that fails leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from modules.core.store import StoreError
from modules.loading import header, safetensors_writing
from modules.loading.header import TensorInfo

INFOS = {"a": TensorInfo("F32", (2, 3)), "b": TensorInfo("F16", ()), "empty": TensorInfo("I64", (0, 4))}
PARTS = [bytes(range(24)), b"ab", b""]


def test_the_formats_own_reader_reads_it(tmp_path: Path) -> None:
    safetensors_writing.write(tmp_path / "x.safetensors", INFOS, PARTS, {"note": "ü"})
    found = load_file(tmp_path / "x.safetensors")
    assert found["a"].numpy().tobytes() == PARTS[0]
    assert (found["b"].shape, found["empty"].shape) == (torch.Size([]), torch.Size([0, 4]))
    facts = header.read(tmp_path / "x.safetensors")
    assert (facts.tensors, facts.metadata) == (INFOS, {"note": "ü"})


@given(
    infos=st.dictionaries(
        st.text(min_size=1, max_size=20).filter(lambda name: name != "__metadata__"),
        st.builds(
            TensorInfo, st.sampled_from(sorted(header.SIZES)), st.lists(st.integers(0, 4), max_size=3).map(tuple)
        ),
        max_size=6,
    )
)
def test_read_after_write_is_the_identity(
    infos: dict[str, TensorInfo], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("written") / "x.safetensors"
    safetensors_writing.write(path, infos, [bytes(safetensors_writing.extent(info)) for info in infos.values()])
    assert header.read(path).tensors == infos


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    safetensors_writing.write(path, INFOS, PARTS)
    before = path.read_bytes()

    def stopping() -> Iterator[bytes]:
        yield PARTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        safetensors_writing.write(path, INFOS, stopping())
    with pytest.raises(ValueError, match="b has 1 bytes instead of 2"):
        safetensors_writing.write(path, INFOS, [PARTS[0], b"x", b""])
    with pytest.raises(ValueError, match="shorter"):
        safetensors_writing.write(path, INFOS, PARTS[:1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere.*does not exist"):
        safetensors_writing.write(tmp_path / "nowhere" / "x.safetensors", INFOS, PARTS)
