"""/easel/v1/history: what was made is found by each of its facts, starred, deleted and had back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from modules.jobs.history import Picture
from tests.web.api.fakes import World

HISTORY = "/easel/v1/history"


@pytest.fixture
def pictures(world: World, tmp_path: Path) -> list[int]:
    """Three pictures, files included -> their numbers."""
    rows = [
        ("a red cat", "Euler a", "anime", 10.0, 1),
        ("a blue cat\nNegative prompt: red", "Heun", "photo", 20.0, 2**63 + 5),
        ("a dog", "Euler a", "photo", 30.0, 3),
    ]
    for index, (prompt, sampler, model, created, seed) in enumerate(rows):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (8, 8), (index, 0, 0)).save(path)
        path.with_suffix(".txt").write_text(prompt)
        infotext = f"{prompt}\nSteps: 20, Sampler: {sampler}, Seed: {seed}, Model: {model}"
        world.history.add(
            [
                Picture(
                    job_id=f"job-{index}",
                    path=str(path),
                    infotext=infotext,
                    seed=seed,
                    width=8,
                    height=8,
                    model=model,
                    sampler=sampler,
                    created=created,
                )
            ]
        )
    return [picture.number for picture in reversed(world.history.latest())]


def found(client: TestClient, **query: Any) -> list[int]:
    answer = client.get(HISTORY, params=query)
    assert answer.status_code == 200, answer.text
    return [int(picture["job"][-1]) for picture in answer.json()["pictures"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [2, 1, 0]),
        ({"order": "oldest"}, [0, 1, 2]),
        ({"text": "CAT photo"}, [1]),
        ({"prompt": "cat"}, [1, 0]),
        ({"prompt": "euler"}, []),
        ({"prompt": "red"}, [1, 0]),
        ({"model": "pho"}, [2, 1]),
        ({"sampler": "euler a"}, [2, 0]),
        ({"seed": 2**63 + 5}, [1]),
        ({"since": 20, "until": 30}, [1]),
        ({"job": "job-2"}, [2]),
        ({"kind": "grid"}, []),
        ({"starred": True}, []),
        ({"trash": True}, []),
        ({"sampler": "euler", "model": "photo"}, [2]),
    ],
)
def test_a_search_finds_what_holds(
    client: TestClient, pictures: list[int], query: dict[str, Any], expected: list[int]
) -> None:
    assert found(client, **query) == expected
    assert client.get(HISTORY, params=query).json()["count"] == len(expected)


def test_pages_are_the_whole(client: TestClient, pictures: list[int]) -> None:
    first = client.get(HISTORY, params={"limit": 2}).json()
    assert (len(first["pictures"]), first["count"]) == (2, 3)
    second = client.get(HISTORY, params={"limit": 2, "cursor": first["cursor"]}).json()
    assert [each["number"] for each in second["pictures"]] == pictures[:1]
    assert second["cursor"] is None


def test_a_star_is_put_on_and_taken_off(client: TestClient, pictures: list[int]) -> None:
    assert client.patch(f"{HISTORY}/{pictures[1]}", json={"starred": True}).json()["starred"]
    assert found(client, starred=True) == [1]
    client.patch(f"{HISTORY}/{pictures[1]}", json={"starred": False})
    assert found(client, starred=True) == []
    assert client.patch(f"{HISTORY}/999", json={"starred": True}).status_code == 404


def test_a_deleted_picture_is_had_back_with_its_text(client: TestClient, pictures: list[int], tmp_path: Path) -> None:
    number, path = pictures[0], tmp_path / "0.png"
    before = client.get(f"{HISTORY}/{number}/picture").content
    client.delete(f"{HISTORY}/{number}")
    client.delete(f"{HISTORY}/{number}")  # twice is once
    assert not path.exists()
    assert not path.with_suffix(".txt").exists()
    assert (found(client), found(client, trash=True)) == ([2, 1], [0])
    assert client.get(f"{HISTORY}/{number}/picture").content == before
    client.post(f"{HISTORY}/{number}/restore")
    assert path.read_bytes() == before
    assert path.with_suffix(".txt").read_text() == "a red cat"
    assert found(client) == [2, 1, 0]


def test_a_restored_picture_replaces_no_other(client: TestClient, pictures: list[int], tmp_path: Path) -> None:
    client.delete(f"{HISTORY}/{pictures[0]}")
    (tmp_path / "0.png").write_bytes(b"another")
    assert client.post(f"{HISTORY}/{pictures[0]}/restore").json()["path"] == str(tmp_path / "0-2.png")
    assert (tmp_path / "0.png").read_bytes() == b"another"


def test_only_what_is_in_the_trash_goes_for_good(client: TestClient, pictures: list[int], world: World) -> None:
    assert client.delete(f"{HISTORY}/{pictures[0]}/forever").status_code == 404
    client.delete(f"{HISTORY}/{pictures[0]}")
    trashed = Path(world.history.get(pictures[0]).file)
    assert client.delete(f"{HISTORY}/{pictures[0]}/forever").status_code == 204
    assert not trashed.exists()
    client.delete(f"{HISTORY}/{pictures[1]}")
    assert client.delete(f"{HISTORY}/trash").json() == {"deleted": 1}
    assert found(client) == [2]


def test_names_for_filters(client: TestClient, pictures: list[int]) -> None:
    expected = {"models": ["photo", "anime"], "samplers": ["Euler a", "Heun"], "kinds": ["sample"]}
    assert client.get(f"{HISTORY}/names").json() == expected


def test_a_picture_whose_file_is_gone_is_404(client: TestClient, pictures: list[int], tmp_path: Path) -> None:
    (tmp_path / "2.png").unlink()
    assert client.get(f"{HISTORY}/{pictures[2]}/picture").status_code == 404
