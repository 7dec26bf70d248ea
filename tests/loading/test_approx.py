"""Approx NN: a file in A1111's layout gives what its layers say; anything else is told apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.core.errors import DamagedFile
from modules.generate.request import Txt2Img
from modules.loading import approx
from modules.loading.approx import ApproxFiles
from modules.loading.families import TABLE
from tests.generate.test_run import SMALL
from tests.studio import Bench, Silent

SD1, SDXL, FLUX = (next(row for row in TABLE if row.id == id) for id in ("sd1", "sdxl", "flux"))
CPU = torch.device("cpu")
LAYERS = ((8, 7), (16, 5), (32, 3), (64, 3), (32, 3), (16, 3), (8, 3), (3, 3))
"""Channels out and side of the kernel: A1111's."""


def weights(channels: int = 4, layers: tuple[tuple[int, int], ...] = LAYERS) -> dict[str, Tensor]:
    torch.manual_seed(0)
    found: dict[str, Tensor] = {}
    widths = (channels, *(width for width, _ in layers))
    for number, ((before, after), (_, side)) in enumerate(zip(itertools.pairwise(widths), layers, strict=True), 1):
        layer = nn.Conv2d(before, after, side)
        found |= {f"conv{number}.{name}": tensor for name, tensor in layer.state_dict().items()}
        found[f"conv{number}.weight"] = found[f"conv{number}.weight"].half()
    return found


def expected(latent: Tensor, given: dict[str, Tensor]) -> Tensor:
    """Step by step."""
    x = latent.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)[None]
    x = functional.pad(x, (11, 11, 11, 11))
    for number in range(1, 9):
        x = functional.conv2d(x, given[f"conv{number}.weight"].float(), given[f"conv{number}.bias"])
        x = torch.where(x < 0, x * 0.1, x)
    return (x[0] / 2 + 0.5).clamp(0, 1)


def test_layers_are_read_in_their_places(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "model.pt")
    files, latent = ApproxFiles(tmp_path), torch.randn(4, 6, 10) * 8
    decode = files.decode_with(SD1, CPU)
    assert decode is not None
    assert decode(latent).shape == (3, 12, 20)
    torch.testing.assert_close(decode(latent), expected(latent, weights()))


def test_each_latent_space_has_its_own_file(tmp_path: Path) -> None:
    files = ApproxFiles(tmp_path)
    torch.save(weights(), tmp_path / "vaeapprox-sdxl.pt")
    assert files.find(SDXL) == tmp_path / "vaeapprox-sdxl.pt"
    assert [files.find(row) for row in (SD1, FLUX)] == [None, None]
    assert ApproxFiles().find(SDXL) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [(weights(16), "take 4 channels"), (weights(layers=LAYERS[:3]), "layout"), ({"a": torch.zeros(1)}, "layout")],
)
def test_another_file_is_none(tmp_path: Path, given: dict[str, Tensor], why: str) -> None:
    path = tmp_path / "model.pt"
    torch.save(given, path)
    with pytest.raises(DamagedFile, match=f"model.pt.*{why}"):
        approx.read(path, 0, 4)
    assert ApproxFiles(tmp_path).decode_with(SD1, CPU) is None


def test_previews_come_from_it(bench: Bench) -> None:
    """Without the file they are the cheap ones, a pixel for a latent pixel."""
    folder = bench.folder / "VAE-approx"
    folder.mkdir()
    path = folder / "model.pt"
    watching = {"show_progress_type": "Approx NN", "show_progress_every_n_steps": 1}
    sizes = []
    for write in (True, False):
        torch.save(weights(), path) if write else path.unlink()
        control = Silent(watching=True)
        bench.make(Txt2Img(**SMALL), control, **watching)
        sizes.append({preview.size for preview in control.previews})
    assert sizes == [{(16, 16)}, {(8, 8)}]


def test_interrupted_work_may_be_shown_in_the_way_of_previews(bench: Bench) -> None:
    asked, wish = Txt2Img(**{**SMALL, "steps": 6}), {"live_preview_fast_interrupt": True}
    quick = bench.images(asked, Silent(interrupt_at=3), **wish)[0]
    slow = bench.images(asked, Silent(interrupt_at=3))[0]
    assert quick.size == slow.size == (64, 64)
    assert quick.tobytes() != slow.tobytes()
    assert bench.images(asked, **wish)[0].tobytes() == bench.images(asked)[0].tobytes()


def test_what_is_said_of_pictures_can_go_to_the_console(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.make(Txt2Img(**SMALL))
    assert "infotexts" not in capsys.readouterr().out
    bench.make(Txt2Img(**SMALL), samples_log_stdout=True)
    assert '"infotexts": ["' in capsys.readouterr().out
