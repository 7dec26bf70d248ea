"""ParseNet: weights under the published names give what its authors' sums give; only what is face is pasted back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from modules.core import device
from modules.core.errors import DamagedFile
from modules.loading import face_parts, faces
from modules.loading.faces import TEMPLATE

CPU = device.choose(use_cpu=["all"])
WIDTHS = {"encoder": ((4, 6), (6, 8)), "body": ((8, 8),), "decoder": ((8, 6), (6, 4))}


def weights(labels: int = 19) -> dict[str, Tensor]:
    """The published layout, narrower and shorter."""
    torch.manual_seed(0)
    found: dict[str, Tensor] = {}

    def layer(name: str, before: int, after: int, *, normed: bool) -> None:
        found[f"{name}.conv2d.weight"] = torch.randn(after, before, 3, 3) / 3
        if not normed:
            found[f"{name}.conv2d.bias"] = torch.randn(after) / 3
            return
        found[f"{name}.norm.norm.weight"], found[f"{name}.norm.norm.bias"] = torch.rand(after), torch.randn(after)
        found[f"{name}.norm.norm.running_mean"] = torch.randn(after)
        found[f"{name}.norm.norm.running_var"] = torch.rand(after) + 0.5
        found[f"{name}.norm.norm.num_batches_tracked"] = torch.tensor(3)

    layer("encoder.0", 3, 4, normed=False)
    for part, rows in WIDTHS.items():
        for number, (before, after) in enumerate(rows, 1 if part == "encoder" else 0):
            layer(f"{part}.{number}.conv1", before, after, normed=True)
            layer(f"{part}.{number}.conv2", after, after, normed=True)
            if part != "body":
                layer(f"{part}.{number}.shortcut_func", before, after, normed=False)
    layer("out_img_conv", 4, 3, normed=False)
    layer("out_mask_conv", 4, labels, normed=False)
    return found


def expected(x: Tensor, given: dict[str, Tensor]) -> Tensor:
    """Sum by sum."""

    def layer(x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        x = functional.conv2d(padded, given[f"{name}.conv2d.weight"], given.get(f"{name}.conv2d.bias"), stride)
        norm = f"{name}.norm.norm"
        if f"{norm}.weight" not in given:
            return x
        told = [given[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *told)

    def twice(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    def rectified(x: Tensor) -> Tensor:
        return torch.where(x < 0, x * 0.2, x)

    x = layer(x, "encoder.0")
    for name in ("encoder.1", "encoder.2"):
        inner = layer(rectified(layer(x, f"{name}.conv1")), f"{name}.conv2", stride=2)
        x = layer(x, f"{name}.shortcut_func", stride=2) + inner
    x = x + (x + layer(rectified(layer(x, "body.0.conv1")), "body.0.conv2"))
    for name in ("decoder.0", "decoder.1"):
        inner = layer(rectified(layer(twice(x), f"{name}.conv1")), f"{name}.conv2")
        x = layer(twice(x), f"{name}.shortcut_func") + inner
    return layer(x, "out_mask_conv")


def test_layers_are_read_in_their_places(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "x.pth")
    network = face_parts.load(tmp_path / "x.pth", CPU)._network
    x = torch.randn(1, 3, 24, 16)
    torch.testing.assert_close(network(x), expected(x, weights()), atol=1e-4, rtol=1e-4)


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "parsing_parsenet.pth")
    with pytest.raises(DamagedFile, match=r"parsing_parsenet\.pth: not the network"):
        face_parts.load(tmp_path / "parsing_parsenet.pth", CPU)


class Halved(torch.nn.Module):
    """Skin (label 1) at the left, hair (17) at the right."""

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.zeros(1, 19, *x.shape[2:])
        scores[:, 1, :, : x.shape[3] // 2] = scores[:, 17, :, x.shape[3] // 2 :] = 1
        return scores


def test_only_what_is_face_is_pasted_back() -> None:
    parts = face_parts.FaceParts(Halved(), torch.device("cpu"))
    mask = np.asarray(parts.mask(Image.new("RGB", (512, 512)))).astype(int)
    assert mask[256, 100] == 255
    assert mask[256, 400] == mask[256, 5] == mask[5, 100] == 0
    assert np.abs(np.diff(mask[256, 12:])).max() < 20, "the edge is soft"
    image, points = Image.new("RGB", (512, 512), (50, 50, 50)), TEMPLATE
    white = faces.restored(image, [points], lambda square: Image.new("RGB", square.size, "white"), parts.mask)
    assert white.getpixel((150, 256)) == (255, 255, 255)
    assert white.getpixel((400, 256)) == (50, 50, 50)
