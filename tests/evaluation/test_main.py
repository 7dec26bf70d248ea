"""The command: a table of numbers, refusals with the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modules.evaluation import extractors
from modules.evaluation.__main__ import main, table
from modules.evaluation.reader import Reader, save
from modules.training.painter.picture import paint
from modules.training.painter.scene import draw


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save(Reader((8, 8)), tmp_path / "reader.safetensors", {})
    return tmp_path / "reader.safetensors"


def folder(path: Path, seeds: range) -> Path:
    path.mkdir()
    for seed in seeds:
        paint(draw(seed), 64).save(path / f"{seed}.png")
    return path


def test_the_table_has_a_row_for_each_check() -> None:
    text = table({"generated": {"object": 0.5, "colour": 0.875}, "painted": {"object": 1.0, "colour": 0.99}})
    assert text.splitlines()[1].split() == ["object", "50.0%", "100.0%"]
    assert text.splitlines()[2].split() == ["colour", "87.5%", "99.0%"]


@pytest.mark.parametrize("extractor", ["pixels", "reader"])
def test_distance_of_folders(extractor: str, reader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = folder(tmp_path / "a", range(6)), folder(tmp_path / "b", range(6, 12))
    found = []
    for other in (first, second):
        words = ["--reader", str(reader), "distance", str(first), str(other), "--extractor", extractor]
        assert main(words) == 0
        found.append(float(capsys.readouterr().out))
    assert found[0] == pytest.approx(0, abs=0.05)
    assert found[1] > found[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_extractor_is_the_users_own(tmp_path: Path) -> None:
    class Mean(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures.float().mean(dim=(2, 3))

    torch.jit.script(Mean()).save(str(tmp_path / "mean.pt"))
    extract = extractors.find(f"torchscript:{tmp_path / 'mean.pt'}", reader=tmp_path)
    pictures = torch.from_numpy(np.array(Image.new("RGB", (4, 4), (10, 20, 30)))).unsqueeze(0)
    assert extractors.in_batches(extract, pictures).tolist() == [[10.0, 20.0, 30.0]]


def test_refusals_name_the_thing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    empty = str(tmp_path / "empty")
    assert main(["distance", empty, empty, "--extractor", "pixels"]) == 1
    assert "empty" in capsys.readouterr().err
    assert main(["distance", empty, empty, "--extractor", "eye"]) == 1
    assert "eye" in capsys.readouterr().err
    assert main(["--reader", str(tmp_path / "no"), "adherence", str(tmp_path / "no.safetensors")]) == 1
    assert "modules.evaluation train" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["adherence", "sketch"])
def test_a_checkpoint_is_measured_from_end_to_end(
    command: str, reader: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    words = ["--reader", str(reader), command, str(checkpoint), "--count", "4", "--sheet", str(sheet)]
    assert main(words) == 0
    assert "object and colour" in capsys.readouterr().out
    assert Image.open(sheet).width > 32
