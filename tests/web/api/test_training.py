"""Creating and training by A1111's fields; what is not done is refused by name, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from modules.loading.pickles import unpickled
from tests.web.api.fakes import World


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (80, 64), "red").save(folder / "a.png")
    (folder / "a.txt").write_text("a red thing, on white", encoding="utf-8")
    return folder


def created(client: TestClient, name: str = "mine", **more: Any) -> Any:
    body = {"name": name, "enable_sizes": [320, "768"], **more}
    return client.post("/sdapi/v1/create/hypernetwork", json=body)


def test_a_hypernetwork_is_built_as_asked(client: TestClient, tmp_path: Path) -> None:
    asked = {
        "layer_structure": "1, 1.5, 1",
        "activation_func": "relu",
        "weight_init": "KaimingNormal",
        "add_layer_norm": True,
    }
    answer = created(client, use_dropout=True, dropout_structure="0, 0.3, 0", **asked)
    path = tmp_path / "models" / "hypernetworks" / "mine.pt"
    assert answer.json() == {"info": f"create hypernetwork filename: {path}"}
    data = unpickled(path)
    assert {key for key in data if isinstance(key, int)} == {320, 768}
    assert data["layer_structure"] == [1, 1.5, 1]
    assert (data["activation_func"], data["is_layer_norm"], data["use_dropout"]) == ("relu", True, True)
    keys, values = data[320]
    assert keys["linear.0.weight"].shape == (480, 320)
    assert not torch.equal(keys["linear.0.weight"], values["linear.0.weight"])
    listed = client.get("/sdapi/v1/hypernetworks").json()
    assert [each["name"] for each in listed] in ([], ["mine"]), "the tests' own folder of hypernetworks is another"


def test_what_is_there_is_not_overwritten_unasked(client: TestClient) -> None:
    assert created(client).status_code == 200
    answer = created(client)
    assert (answer.status_code, answer.json()["field"]) == (422, "name")
    assert created(client, overwrite_old=True).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "///"),
        ("enable_sizes", [7]),
        ("enable_sizes", []),
        ("enable_sizes", ["x"]),
        ("enable_sizes", ["inf"]),
        ("enable_sizes", ["320", "nan"]),
        ("layer_structure", "2, 1"),
        ("layer_structure", "1, 1000, 1"),
        ("layer_structure", "1, x, 1"),
        ("layer_structure", [1] * 40),
        ("activation_func", "nonsense"),
        ("weight_init", "nonsense"),
    ],
)
def test_what_cannot_be_built_is_named(client: TestClient, field: str, value: Any) -> None:
    answer = created(client, **{field: value})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_training_is_a_job_with_these_numbers(world: World, client: TestClient, pictures: Path) -> None:
    created(client)
    body = {
        "id_task": "task(a)",
        "hypernetwork_name": "mine",
        "learn_rate": "0.00001",
        "batch_size": 2,
        "gradient_step": 3,
        "data_root": str(pictures),
        "log_directory": "logs",
        "training_width": 128,
        "training_height": 128,
        "steps": 10,
        "clip_grad_mode": "norm",
        "clip_grad_value": "0.5",
        "shuffle_tags": True,
        "tag_drop_out": 0.25,
        "latent_sampling_method": "deterministic",
        "save_hypernetwork_every": 5,
        "template_filename": "None",
        "preview_from_txt2img": False,
        "preview_prompt": "x",
        "varsize": False,
        "use_weight": False,
    }
    answer = client.post("/sdapi/v1/train/hypernetwork", json=body)
    assert answer.status_code == 200
    assert answer.json()["info"].startswith("train hypernetwork complete: filename: ")
    assert world.queue.get("task(a)").state == "done"
    assert world.trained[0]["checkpoint"] == "tiny.safetensors"
    expected = {
        "kind": "hypernetwork",
        "name": "mine",
        "pictures": str(pictures),
        "steps": 10,
        "rate": 0.00001,
        "batch": 2,
        "gather": 3,
        "size": 128,
        "clip": 0.5,
        "template": "None",
        "shuffle": True,
        "drop": 0.25,
        "sampled": False,
        "every": 5,
        "log": "logs",
    }
    assert world.trained[0]["request"] == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hypernetwork_name", "other"),
        ("data_root", ""),
        ("data_root", "/nowhere"),
        ("varsize", True),
        ("use_weight", True),
        ("create_image_every", 100),
        ("training_height", 64),
        ("latent_sampling_method", "random"),
        ("clip_grad_mode", "value"),
        ("learn_rate", "0.005:100, 1e-3"),
        ("learn_rate", "fast"),
        ("learn_rate", -1),
        ("template_filename", "../a.txt"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_its_reason(
    world: World, client: TestClient, pictures: Path, field: str, value: Any
) -> None:
    created(client)
    sizes = {"training_width": 128, "training_height": 128}
    body = {"hypernetwork_name": "mine", "data_root": str(pictures), **sizes, field: value}
    answer = client.post("/sdapi/v1/train/hypernetwork", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert len(answer.json()["detail"]) > len(field) + 10
    assert not world.trained


def test_a_template_is_one_of_the_files_in_its_folder(
    world: World, client: TestClient, pictures: Path, tmp_path: Path
) -> None:
    created(client)
    folder = tmp_path / "textual_inversion_templates"
    folder.mkdir()
    (folder / "style.txt").write_text("a picture in the style of [name]\n", encoding="utf-8")
    body = {"hypernetwork_name": "mine", "data_root": str(pictures), "template_filename": "style.txt"}
    assert client.post("/sdapi/v1/train/hypernetwork", json=body).status_code == 200
