"""The detector's arithmetic, and that it takes the published weights' names. (Against facexlib with the same random
weights all three outputs were equal, bit for bit.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modules.core import device
from modules.core.errors import DamagedFile
from modules.loading import retinaface
from modules.loading.retinaface import Network
from tests.loading.upscale import made

PUBLISHED = {
    "body.conv1.weight": (64, 3, 7, 7),
    "body.layer1.0.downsample.1.running_mean": (256,),
    "body.layer3.5.bn3.bias": (1024,),
    "fpn.output3.0.weight": (256, 2048, 1, 1),
    "fpn.merge2.1.running_var": (256,),
    "ssh1.conv3X3.0.weight": (128, 256, 3, 3),
    "ssh3.conv7x7_3.1.num_batches_tracked": (),
    "ClassHead.0.conv1x1.weight": (4, 256, 1, 1),
    "BboxHead.2.conv1x1.bias": (8,),
    "LandmarkHead.1.conv1x1.bias": (20,),
}
"""Some names and shapes of detection_Resnet50_Final.pth."""


def test_the_names_are_those_of_the_published_weights() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in Network().state_dict().items()}
    assert {name: shapes.get(name) for name in PUBLISHED} == PUBLISHED
    assert len(shapes) == 456


def test_there_are_two_anchors_at_each_point_of_three_maps() -> None:
    anchors = retinaface.priors(64, 96)
    assert anchors.shape == (2 * (8 * 12 + 4 * 6 + 2 * 3), 4)
    assert torch.allclose(anchors[0], torch.tensor([4 / 96, 4 / 64, 16 / 96, 16 / 64]))
    assert torch.allclose(anchors[-1], torch.tensor([80 / 96, 48 / 64, 512 / 96, 512 / 64]))


def test_an_answer_of_zeros_is_the_anchor_itself() -> None:
    anchors = torch.tensor([[0.5, 0.25, 0.2, 0.1]])
    assert torch.allclose(retinaface.decoded_boxes(torch.zeros(1, 4), anchors), torch.tensor([[0.4, 0.2, 0.6, 0.3]]))
    assert torch.allclose(retinaface.decoded_points(torch.zeros(1, 10), anchors), anchors[:, None, :2].expand(1, 5, 2))


def test_of_boxes_on_one_face_the_surest_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [40, 40, 50, 50], [0, 0, 10, 4]], np.float32)
    sure = np.array([0.8, 0.9, 0.85, 0.95], np.float32)
    assert retinaface.apart(boxes, sure) == [3, 1, 2]
    assert retinaface.apart(boxes[:0], sure[:0]) == []


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights whose network sees a face at every coarse anchor, wrapped as DataParallel saves it."""
    torch.manual_seed(0)
    state = Network().state_dict()
    for name in state:
        if "Head" in name:
            state[name] = torch.zeros_like(state[name])
        if name.startswith("ClassHead") and name.endswith("bias"):
            sign = 1 if ".2." in name else -1  # coarse anchors only
            state[name] = sign * torch.tensor([-2.0, 2.0, -2.0, 2.0])
        if name.startswith("LandmarkHead") and name.endswith("bias"):
            state[name] = torch.tensor([-2.0, -2, 2, -2, 0, 0, -2, 2, 2, 2] * 2)
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    return made.pth(tmp_path_factory.mktemp("faces") / "detection_Resnet50_Final.pth", wrapped)


def test_faces_are_found_in_the_pixels_of_the_picture(weights: Path) -> None:
    detector = retinaface.load(weights, device.choose(use_cpu=["all"]))
    found = detector.find(Image.new("RGB", (160, 120)))
    assert found
    for face in found:
        left, top, right, bottom = face.box
        middle = face.points[2]
        assert np.allclose(middle, [(left + right) / 2, (top + bottom) / 2], atol=1e-3)
        assert 0 < middle[0] < 160 + 32
        assert 0 < middle[1] < 120 + 32
        assert np.linalg.norm(face.points[0] - face.points[1]) >= 5


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    path = made.pth(tmp_path / "detection_Resnet50_Final.pth", made.compact())
    with pytest.raises(DamagedFile, match=r"detection_Resnet50_Final\.pth"):
        retinaface.load(path, device.choose(use_cpu=["all"]))
