"""A plot outlives kill -9: the server that is started again makes only the cells that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.running import SMALL, Answer, Server, blamed, files, until

STEPS = "20,21,22,23,24,25"
PLOT = [4, STEPS, [], 0, "", [], 0, "", [], True, True]
ASKED: Mapping[str, Any] = {"script_name": "x/y/z plot", "script_args": PLOT, "force_task_id": "plot"}
BODY: Mapping[str, Any] = {**SMALL, "seed": -1, **ASKED}


def times(folder: Path) -> dict[Path, int]:
    """When each file below the folder was written."""
    return {path: path.stat().st_mtime_ns for path in files(folder)}


def kill_half_way(data: Path) -> dict[Path, int]:
    """Start a server, give it the plot, kill it after some cells -> the cells' files."""
    with ThreadPoolExecutor(1) as pool, Server(data, "--nowebui") as server:
        posted = pool.submit(server.post, "txt2img", dict(BODY))
        until(lambda: server.task("plot")["active"])
        until(lambda: (server.task("plot")["progress"] or 0) > 0.4)
        server.kill()
        assert isinstance(posted.exception(), httpx.TransportError)
    return times(data / "cache" / "results" / "plot")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Path, int]]:
    data = tmp_path_factory.mktemp("plot")
    return data, kill_half_way(data)


@pytest.fixture(scope="module")
def revived(killed: tuple[Path, dict[Path, int]]) -> Iterator[Server]:
    with Server(killed[0], "--nowebui") as server:
        until(lambda: server.task("plot")["completed"], seconds=120)
        yield server


def test_only_missing_cells_are_made(killed: tuple[Path, dict[Path, int]], revived: Server) -> None:
    data, before = killed
    after = times(data / "cache" / "results" / "plot")
    assert 2 <= len(before) < 6
    assert after.items() >= before.items(), "what was finished is untouched"
    assert len(after) == 6 + 1, "six cells and their grid"


def test_the_plot_is_that_of_a_server_that_was_not_killed(revived: Server) -> None:
    answer = Answer(revived.post("txt2img", dict(BODY)).raise_for_status())
    assert len(answer.images) == 7
    for steps, text in zip(STEPS.split(","), answer.infotexts[1:], strict=True):
        assert f"Steps: {steps}," in text
    fixed = {**BODY, "force_task_id": None, "seed": answer.info["all_seeds"][0]}
    assert answer.same_as(Answer(revived.post("txt2img", fixed).raise_for_status()))


def test_another_script_under_the_same_id_is_refused(revived: Server) -> None:
    answer = revived.post("txt2img", {**BODY, "script_args": [4, "1,2"]})
    assert (answer.status_code, blamed(answer)) == (422, "force_task_id")


def test_a_script_is_interrupted_with_what_there_is(revived: Server) -> None:
    body = {**BODY, "force_task_id": "long", "script_args": [4, "10,9000", *PLOT[2:]]}
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(revived.post, "txt2img", body)
        until(lambda: (revived.task("long")["progress"] or 0) >= 0.5)
        revived.post("interrupt", {}).raise_for_status()
        answer = Answer(posted.result().raise_for_status())
    assert len(answer.images) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"script_args": [4, "many"]}, "script_args"),
        ({"script_args": [400]}, "script_args.0"),
        ({"script_args": [9, "", ["Eular"]]}, "script_args"),
        ({"script_args": [0] * 30}, "script_args"),
        ({"script_name": "xyz"}, "script_name"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(revived: Server, body: dict[str, Any], field: str) -> None:
    answer = revived.post("txt2img", {**BODY, "force_task_id": None, **body})
    assert (answer.status_code, blamed(answer)) == (422, field)
