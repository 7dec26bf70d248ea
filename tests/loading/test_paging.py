"""What was copied out of a mapped file takes no memory there, and is still what it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.loading import opening
from modules.loading.paging import Pages

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system does not tell of mappings")


def resident(path: Path) -> int:
    """Bytes of the file that are counted as this process's."""
    blocks = re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(encoding="utf-8"))
    of_file = [block for block in blocks if block.splitlines()[0].endswith(str(path))]
    return sum(int(found[1]) * 1024 for block in of_file if (found := re.search(r"\nRss: +(\d+) kB", block)))


def test_a_copied_tensor_gives_its_pages_back(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    written = {name: torch.randn(512, 1024) for name in ("kept", "copied")}  # 2 MB each
    save_file(written, path)
    mapped = opening.tensors(path)
    pages, size = Pages(path), written["copied"].nbytes
    copies = {name: tensor.half() for name, tensor in mapped.items()}
    assert resident(path) >= 2 * size
    pages.let_go(mapped["copied"])
    assert size <= resident(path) < 1.1 * size
    assert all(torch.equal(mapped[name], written[name]) for name in written), "it is read again when it is looked at"
    assert all(torch.equal(copies[name], written[name].half()) for name in written)


def test_memory_that_is_not_the_files_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(2048, 16)}, path)
    mapped = opening.tensors(path)["a"]
    own, turned = torch.ones(2048, 16), mapped.t()
    pages = Pages(path)
    for tensor in (own, turned, mapped[:1]):
        pages.let_go(tensor)
    assert bool((own == 1).all())
    assert torch.equal(mapped, load_file(path)["a"])
    Pages(tmp_path / "none").let_go(own)
    assert bool((own == 1).all())
