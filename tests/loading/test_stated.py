"""Which of a checkpoint's neighbours, notes and marks says what its network predicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.loading import stated
from modules.loading.header import Header, TensorInfo


def header(path: Path, *marks: str, **metadata: str) -> Header:
    named = {f"modelspec.{key}": value for key, value in metadata.items()}
    return Header(path / "model.safetensors", {mark: TensorInfo("F32", ()) for mark in marks}, named)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('model:\n  params:\n    parameterization: "v"\n', "v"),
        ("model:\n  params: {parameterization: v, timesteps: 1000}\n", "v"),
        ("model:\n  params:\n    scaling_config:\n      target: sgm.denoiser_scaling.VScaling\n", "v"),
        ("model:\n  params:\n    parameterization: eps\n", "eps"),
        ("model:\n  params:\n    target: sgm.denoiser_scaling.EpsScaling\n", "eps"),
        ("train: {steps: 10}\n", None),
    ],
)
def test_a_configuration_beside_the_file(text: str, told: str | None, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(text)
    assert stated.prediction(header(tmp_path)) == told


def test_notes_metadata_and_marks_in_this_order(tmp_path: Path) -> None:
    assert stated.prediction(header(tmp_path)) is None
    assert stated.prediction(header(tmp_path, "v_pred")) == "v"
    assert stated.prediction(header(tmp_path, "v_pred", prediction_type="epsilon")) == "eps"
    (tmp_path / "model.json").write_text(json.dumps({"prediction": "v"}))
    assert stated.prediction(header(tmp_path, prediction_type="epsilon")) == "v"
    (tmp_path / "model.yaml").write_text("model: {}\n")
    assert stated.prediction(header(tmp_path, "v_pred")) == "eps"


@pytest.mark.parametrize("text", ["{", "[]", '"v"', '{"prediction": 3}'])
def test_odd_notes_say_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(text)
    assert stated.prediction(header(tmp_path)) is None


def test_only_the_mark_says_that_levels_end_in_noise(tmp_path: Path) -> None:
    assert stated.ends_in_noise(header(tmp_path, "ztsnr"))
    assert not stated.ends_in_noise(header(tmp_path, "v_pred"))
