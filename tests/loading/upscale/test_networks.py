"""Any published format becomes something that enlarges pixels; the same weights under other names are the same network;
what is no upscaler is refused by name.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.core import device
from modules.core.device import Placement
from modules.core.errors import DamagedFile
from modules.imaging.upscale import Bytes
from modules.loading.upscale import networks
from modules.loading.upscale.networks import Network
from tests.loading.upscale import made

CPU = device.choose(use_cpu=["all"])


def noise(height: int, width: int) -> Bytes:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", list(made.FORMATS))
def test_every_format_enlarges_by_its_own_factor(tmp_path: Path, name: str) -> None:
    network = networks.load(made.FORMATS[name](tmp_path), CPU)
    enlarged = network(noise(20, 26))
    scale = made.SCALES.get(name, 4)
    assert network.scale == scale
    assert enlarged.shape == (20 * scale, 26 * scale, 3)
    assert enlarged.min() >= 0
    assert enlarged.max() <= 255
    assert enlarged.std() > 0


def test_the_same_weights_under_other_names_are_the_same_network(tmp_path: Path) -> None:
    picture = noise(12, 12)
    names = ("esrgan-old", "esrgan-new", "real-esrgan", "real-esrgan-safetensors")
    first, *others = (networks.load(made.FORMATS[name](tmp_path), CPU)(picture) for name in names)
    assert all(np.array_equal(first, other) for other in others)


def test_a_picture_goes_in_as_bgr_and_comes_out_as_rgb() -> None:
    """As A1111 feeds these networks. A network that halves its first channel halves blue."""

    def halve_first(x: torch.Tensor) -> torch.Tensor:
        return x * torch.tensor([0.5, 1, 1]).view(1, 3, 1, 1)

    assert np.allclose(made_up(halve_first)(np.full((2, 2, 3), 200, np.uint8)), [200, 200, 100])


def made_up(call: object, channels: int = 3) -> Network:
    facts = {"name": "x.pth", "architecture": "X", "scale": 1, "align": 1}
    return Network(call=call, channels=channels, device=CPU.device, dtype=CPU.dtype, **facts)


def test_a_grey_network_gets_luminance() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    grey = made_up(lambda x: x, channels=1)(pixels)
    assert np.allclose(grey[0, :, 0], [76.2, 149.7, 29.1], atol=0.1)
    assert np.array_equal(grey[..., 0], grey[..., 2])


def test_half_precision_where_the_architecture_can_do_it() -> None:
    class Descriptor:
        def __init__(self, half: bool, bfloat: bool) -> None:
            self.supports_half, self.supports_bfloat16 = half, bfloat

    gpu = Placement(device=torch.device("cpu"), dtype=torch.float16, vae_dtype=torch.float16)
    assert networks.fitting_dtype(Descriptor(True, True), gpu) is torch.float16
    assert networks.fitting_dtype(Descriptor(False, True), gpu) is torch.bfloat16
    assert networks.fitting_dtype(Descriptor(False, False), gpu) is torch.float32
    assert networks.fitting_dtype(Descriptor(True, True), CPU) is torch.float32


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch bomb-went-off",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"params": Bomb()}))
    with pytest.raises(DamagedFile, match=r"evil\.pth"):
        networks.load(path, CPU)
    assert not (tmp_path / "bomb-went-off").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"model.weight": torch.zeros(2)}, "no kind that spandrel knows"),
        ({**made.newer(made.esrgan()), "conv_last.weight": torch.zeros(3, 9, 3, 3)}, "not a complete network"),
        ([1, 2], "no table of weights"),
        ({}, "no table of weights"),
    ],
)
def test_what_is_no_upscaler_is_refused_by_name(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(DamagedFile, match=rf"other\.pth: .*{reason}"):
        networks.load(made.pth(tmp_path / "other.pth", content), CPU)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut off", b"<html>not found</html>"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_damaged_files_are_refused_by_name(tmp_path: Path, data: bytes, ending: str) -> None:
    path = tmp_path / f"half.{ending}"
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match=r"half\."):
        networks.load(path, CPU)
