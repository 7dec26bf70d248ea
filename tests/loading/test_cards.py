"""What lies beside a model file, under A1111's names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.core.errors import BadRequest
from modules.loading import cards


@pytest.fixture
def model(tmp_path: Path) -> Path:
    told = {"format": "pt", "ss_tags": json.dumps({"cat": 3}), "odd": "{not json"}
    save_file({"a": torch.zeros(2)}, tmp_path / "m.v1.safetensors", metadata=told)
    return tmp_path / "m.v1.safetensors"


def test_metadata_are_read_and_tables_in_them_too(model: Path) -> None:
    card = cards.read(model)
    assert card.metadata == {"format": "pt", "ss_tags": {"cat": 3}, "odd": "{not json"}
    assert (card.size, card.notes, card.description, card.preview) == (model.stat().st_size, {}, "", None)


def test_notes_are_changed_one_by_one(model: Path) -> None:
    assert cards.write_notes(model, {"vae": "x.pt", "notes": "gut für Köpfe"}) == {
        "vae": "x.pt",
        "notes": "gut für Köpfe",
    }
    assert cards.write_notes(model, {"vae": None, "description": "d"}) == {"notes": "gut für Köpfe", "description": "d"}
    assert json.loads((model.parent / "m.v1.json").read_text("utf-8")) == cards.read(model).notes
    assert cards.read(model).description == "d"
    with pytest.raises(BadRequest):
        cards.write_notes(model, {"x": float("nan")})


@pytest.mark.parametrize("content", ["", "[1]", "{", "null"])
def test_notes_that_cannot_be_read_are_none(model: Path, content: str) -> None:
    (model.parent / "m.v1.json").write_text(content)
    assert cards.read(model).notes == {}


def test_previews_and_descriptions(model: Path) -> None:
    for name in ("m.v1.preview.webp", "m.v1.jpg", "m.v1.preview.png"):
        (model.parent / name).touch()
        assert cards.read(model).preview == model.parent / name
    (model.parent / "m.v1.txt").write_text("from a file")
    assert cards.read(model).description == "from a file"


def test_a_folder_and_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "sd v1.5" / "unet").mkdir(parents=True)
    (tmp_path / "sd v1.5" / "unet" / "x").write_bytes(bytes(10))
    (tmp_path / "sd v1.5.json").write_text('{"notes": "n"}')
    card = cards.read(tmp_path / "sd v1.5")
    assert (card.size, card.notes) == (10, {"notes": "n"})
    (tmp_path / "cut.safetensors").write_bytes(b"abc")
    assert cards.read(tmp_path / "cut.safetensors").metadata == {}
    with pytest.raises(FileNotFoundError):
        cards.read(tmp_path / "nothing.safetensors")
