"""Depth comes from the user's own model, in -1..1 and at the size asked for; without one the way out is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from modules.core.errors import DamagedFile, EaselError
from modules.loading.depth import DepthModel
from modules.loading.loader import declare_vision_operators

declare_vision_operators()


def dpt(folder: Path) -> Path:
    """A tiny random DPT in transformers' layout."""
    from transformers import DPTConfig, DPTForDepthEstimation

    torch.manual_seed(0)
    config = DPTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=48, image_size=384, patch_size=16,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16,
        reassemble_factors=[4, 2, 1, 0.5], is_hybrid=False,
    )  # fmt: skip
    DPTForDepthEstimation(config).save_pretrained(folder)
    return folder


def test_depth_fills_its_range_at_the_size_asked_for(tmp_path: Path) -> None:
    model = DepthModel([tmp_path / "absent", dpt(tmp_path / "midas" / "dpt").parent])
    picture = Image.linear_gradient("L").convert("RGB").resize((160, 96))
    found = model.tell(picture, (12, 20))
    assert found.shape == (1, 1, 12, 20)
    assert (float(found.min()), float(found.max())) == pytest.approx((-1, 1), abs=1e-5)
    assert torch.equal(model.tell(picture, (12, 20)), found)


def test_without_a_model_the_way_out_is_told(tmp_path: Path) -> None:
    model = DepthModel([tmp_path / "midas"])
    assert model.folder is None
    with pytest.raises(EaselError, match=r"transformers' layout.*midas"):
        model.tell(Image.new("RGB", (8, 8)), (1, 1))


def test_another_kind_of_model_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "midas").mkdir()
    (tmp_path / "midas" / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(DamagedFile, match="midas"):
        DepthModel([tmp_path / "midas"]).tell(Image.new("RGB", (8, 8)), (1, 1))
