"""Laws of companions: a file is what its header says; one named after the checkpoint comes first; broken ones and other
kinds are passed over.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from modules.loading import companions

MARK = "encoder.block.0.weight"


def put(path: Path, *names: str, rows: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: torch.full((rows, 2), float(rows)) for name in names}, path)
    return path


def test_the_part_is_found_whatever_stands_before_its_names(tmp_path: Path) -> None:
    put(tmp_path / "text" / "a.safetensors", "other.weight")
    put(tmp_path / "text" / "deep" / "b.safetensors", f"model.text.{MARK}", "model.text.norm", "model.vision.norm")
    found = companions.search([tmp_path / "text"], tmp_path / "sd" / "flux.safetensors", MARK)
    assert found is not None
    assert found.path.name == "b.safetensors"
    assert set(found.weights()) == {MARK, "norm"}
    assert set(found.weights("model.vision.norm", "absent")) == {MARK, "norm", "model.vision.norm"}


def test_a_vision_tower_before_the_text_does_not_hide_it(tmp_path: Path) -> None:
    put(tmp_path / "a.safetensors", f"image.{MARK}", f"text.{MARK}", "text.norm")
    found = companions.search([tmp_path], tmp_path / "sd" / "x.safetensors", MARK, lambda _, prefix: prefix == "text.")
    assert found is not None
    assert set(found.weights()) == {MARK, "norm"}


def test_the_one_named_after_the_checkpoint_comes_first(tmp_path: Path) -> None:
    checkpoint = put(tmp_path / "sd" / "flux.safetensors", "x")
    put(tmp_path / "text" / "aaa.safetensors", MARK)
    put(tmp_path / "sd" / "flux.t5.safetensors", MARK)
    found = companions.search([tmp_path / "text"], checkpoint, MARK)
    assert found is not None
    assert found.path.name == "flux.t5.safetensors"


def test_what_does_not_fit_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "a.safetensors", MARK, rows=1)
    put(tmp_path / "b.safetensors", MARK, rows=3)
    (tmp_path / "0.safetensors").write_bytes(b"half a file")
    beside = tmp_path / "sd" / "x.safetensors"
    found = companions.search([tmp_path], beside, MARK, lambda facts, prefix: facts.shape(prefix + MARK)[0] == 3)
    assert found is not None
    assert found.path.name == "b.safetensors"
    assert companions.search([tmp_path, tmp_path / "absent"], beside, "nowhere") is None
