"""Finding faces: RetinaFace on a ResNet-50 (J. Deng et al., 2019), with the names of the published weights.

`faces` uses it. The weights file is the one that facexlib, GFPGAN and A1111 use: detection_Resnet50_Final.pth.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from modules.core.device import Placement
from modules.core.errors import DamagedFile
from modules.loading import opening

LEAST_SIDE, MOST_SIDE = 640, 2048
"""The shorter side is brought up to the one for the search, the longer one never above the other."""
CONFIDENCE, SAME_FACE = 0.8, 0.4
"""A face is one from this probability on; of boxes that overlap by more than this share the surest stays."""
LEAST_EYES = 5.0  # pixels between the eyes
_MEAN = (104.0, 117.0, 123.0)  # of B, G, R
_STEPS, _SIZES = (8, 16, 32), ((16, 32), (64, 128), (256, 512))
_VARIANCES = (0.1, 0.2)
_PLACES = 2  # anchors at each point of a feature map


@dataclasses.dataclass(frozen=True, kw_only=True)
class Face:
    """box: left, top, right, bottom; points (5, 2): left eye, right eye, nose, corners of the mouth; all in pixels."""

    box: tuple[float, float, float, float]
    points: NDArray[np.float64]


class RetinaFace:
    """The detector on its device."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network = network
        self._device = device

    def find(self, image: Image.Image) -> list[Face]:
        """The faces of an RGB picture, the surest first."""
        scale = min(max(1.0, LEAST_SIDE / min(image.size)), MOST_SIDE / max(image.size))
        width, height = (max(1, int(side * scale)) for side in image.size)
        small = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(small, dtype=np.float32)[:, :, ::-1].copy()).to(self._device)
        x = (pixels - pixels.new_tensor(_MEAN)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            places, classes, marks = self._network(x)
        sure = classes[0].softmax(-1)[:, 1]
        found = torch.nonzero(sure > CONFIDENCE)[:, 0]
        anchors = priors(height, width).to(self._device)[found]
        size = anchors.new_tensor([width, height])
        boxes = decoded_boxes(places[0][found], anchors) * size.repeat(2)
        points = decoded_points(marks[0][found], anchors) * size
        kept = apart(boxes.cpu().numpy(), sure[found].cpu().numpy())
        return [_face(boxes[one] / scale, points[one] / scale) for one in kept if _is_large(points[one] / scale)]


def _face(box: Tensor, points: Tensor) -> Face:
    left, top, right, bottom = box.tolist()
    return Face(box=(left, top, right, bottom), points=points.double().cpu().numpy())


def _is_large(points: Tensor) -> bool:
    return bool((points[0] - points[1]).norm() >= LEAST_EYES)


def load(path: Path, placement: Placement) -> RetinaFace:
    """Read the weights, in 32 bits. Raises DamagedFile."""
    weights = {name.removeprefix("module."): tensor for name, tensor in opening.tensors(path).items()}
    network = Network()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise DamagedFile(f"{path.name}: these are not the weights of RetinaFace on a ResNet-50.") from error
    return RetinaFace(network.to(placement.device).eval().requires_grad_(False), placement.device)


# --- boxes


def priors(height: int, width: int) -> Tensor:
    """Anchors (n, 4): middle x, y and width, height, as shares of the picture."""
    rows: list[tuple[float, float, float, float]] = []
    for step, sizes in zip(_STEPS, _SIZES, strict=True):
        places = itertools.product(range(math.ceil(height / step)), range(math.ceil(width / step)), sizes)
        rows += [
            ((column + 0.5) * step / width, (row + 0.5) * step / height, size / width, size / height)
            for row, column, size in places
        ]
    return torch.tensor(rows)


def decoded_boxes(places: Tensor, anchors: Tensor) -> Tensor:
    """(n, 4) of the network and anchors (n, 4) -> left, top, right, bottom as shares of the picture."""
    middle = anchors[:, :2] + places[:, :2] * _VARIANCES[0] * anchors[:, 2:]
    half = anchors[:, 2:] * (places[:, 2:] * _VARIANCES[1]).exp() / 2
    return torch.cat([middle - half, middle + half], 1)


def decoded_points(marks: Tensor, anchors: Tensor) -> Tensor:
    """(n, 10) of the network and anchors (n, 4) -> points (n, 5, 2) as shares of the picture."""
    return anchors[:, None, :2] + marks.view(-1, 5, 2) * _VARIANCES[0] * anchors[:, None, 2:]


def apart(boxes: NDArray[np.float32], sure: NDArray[np.float32]) -> list[int]:
    """Indices of the boxes (n, 4) that stay, the surest first: none overlaps a surer one by more than SAME_FACE."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left, kept = np.argsort(-sure, kind="stable"), []
    while left.size:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[left, :2]), np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.maximum(high - low, 0).prod(1)
        left = left[shared / (areas[best] + areas[left] - shared) <= SAME_FACE]
    return kept


# --- the network


class Bottleneck(nn.Module):
    """A ResNet block (K. He et al., 2015), its stride in the 3x3 convolution."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample: nn.Module | None = None
        if stride > 1 or channels != width * 4:
            shortcut = nn.Conv2d(channels, width * 4, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width * 4))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(functional.relu(self.bn2(self.conv2(y)))))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class Body(nn.Module):
    """ResNet-50 without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _layer(64, 64, 3, 1)
        self.layer2 = _layer(256, 128, 4, 2)
        self.layer3 = _layer(512, 256, 6, 2)
        self.layer4 = _layer(1024, 512, 3, 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> features at 1/8, 1/16, 1/32 with 512, 1024, 2048 channels."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return [eighth, sixteenth, self.layer4(sixteenth)]


def _layer(channels: int, width: int, count: int, stride: int) -> nn.Sequential:
    rest = (Bottleneck(width * 4, width, 1) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(channels, width, stride), *rest)


def _convolution(channels: int, width: int, size: int, *, active: bool) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv2d(channels, width, size, 1, size // 2, bias=False), nn.BatchNorm2d(width)]
    return nn.Sequential(*parts, *([nn.ReLU()] if active else []))


class Pyramid(nn.Module):
    """Features of all sizes with 256 channels, the coarse ones added to the finer."""

    def __init__(self) -> None:
        super().__init__()
        self.output1 = _convolution(512, 256, 1, active=True)
        self.output2 = _convolution(1024, 256, 1, active=True)
        self.output3 = _convolution(2048, 256, 1, active=True)
        self.merge1 = _convolution(256, 256, 3, active=True)
        self.merge2 = _convolution(256, 256, 3, active=True)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = self.output1(features[0]), self.output2(features[1]), self.output3(features[2])
        middle = self.merge2(middle + functional.interpolate(coarse, size=middle.shape[2:], mode="nearest"))
        fine = self.merge1(fine + functional.interpolate(middle, size=fine.shape[2:], mode="nearest"))
        return [fine, middle, coarse]


class Context(nn.Module):
    """What is around each point, seen at three sizes (the paper's SSH module)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv3X3 = _convolution(256, 128, 3, active=False)
        self.conv5X5_1 = _convolution(256, 64, 3, active=True)
        self.conv5X5_2 = _convolution(64, 64, 3, active=False)
        self.conv7X7_2 = _convolution(64, 64, 3, active=True)
        self.conv7x7_3 = _convolution(64, 64, 3, active=False)

    def forward(self, x: Tensor) -> Tensor:
        once = self.conv5X5_1(x)
        seen = [self.conv3X3(x), self.conv5X5_2(once), self.conv7x7_3(self.conv7X7_2(once))]
        return functional.relu(torch.cat(seen, 1))


class Head(nn.Module):
    """`width` numbers for each anchor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width
        self.conv1x1 = nn.Conv2d(256, _PLACES * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 256, H, W) -> (B, H * W * 2, width)."""
        answer = cast(Tensor, self.conv1x1(x))
        return answer.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self._width)


class Network(nn.Module):
    """(1, 3, H, W), B G R minus their means -> places (1, n, 4), classes (1, n, 2), marks (1, n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Body()
        self.fpn = Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = Context(), Context(), Context()
        self.ClassHead = nn.ModuleList(Head(2) for _ in _STEPS)
        self.BboxHead = nn.ModuleList(Head(4) for _ in _STEPS)
        self.LandmarkHead = nn.ModuleList(Head(10) for _ in _STEPS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        levels = self.fpn(self.body(x))
        features = [context(level) for context, level in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]

        def asked(heads: nn.ModuleList) -> Tensor:
            return torch.cat([head(feature) for head, feature in zip(heads, features, strict=True)], 1)

        return asked(self.BboxHead), asked(self.ClassHead), asked(self.LandmarkHead)
