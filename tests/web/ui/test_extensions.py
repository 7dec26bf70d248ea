"""The Extensions tab asks the manager, and says why it may not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules.plugins.extension import Extension
from modules.settings.options import Option
from modules.web.ui.extensions import Board
from modules.web.ui.island import answered
from tests.web.ui.fakes import World


class Manager:
    """Takes every act and does none."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def refusal(self) -> str:
        return ""

    def allow(self) -> None:
        pass

    def submit(self, act: str, values: dict[str, Any], *, id: str | None = None, owner: str = "") -> str:
        self.asked.append((act, values))
        return "the job"

    def available(self, where: str) -> dict[str, Any]:
        return {"extensions": [{"name": "Glow", "url": where}], "tags": {}}

    def states(self) -> list[dict[str, Any]]:
        return [{"number": 1}]

    def trash(self) -> list[str]:
        return ["glow~20260101-000000-ab"]


def board(world: World, manager: Manager | None, *found: Extension) -> Board:
    given: dict[str, Any] = {"extensions": lambda: list(found)}
    given |= {"installing": manager} if manager is not None else {}
    return Board(services=dataclasses.replace(world.services, **given))


def ask(asked: Board, question: str, **values: Any) -> Any:
    said = answered(asked.answers(), [question, values])
    return said.get("answer", said)


def test_a_failed_one_shows_its_error_and_traceback(make_world: Callable[..., World], tmp_path: Path) -> None:
    failed = Extension(name="glow", folder=tmp_path).failed("It <broke>.", "Traceback …")
    (row,) = ask(board(make_world(), Manager(), failed), "list")["extensions"]
    assert (row["state"], row["error"], row["traceback"]) == ("failed", "It <broke>.", "Traceback …")


def test_the_way_to_its_settings(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world()
    registry = world.services.options.registry
    registry.add(Option(key="glow_amount", default=1, kind="int", section="glow", works=True), title="Glow")
    rows = [Extension(name=key, folder=tmp_path, settings=(key,)) for key in ("glow_amount", "canvas_hotkey_zoom")]
    listed = ask(board(world, Manager(), *rows), "list")["extensions"]
    assert [row["settings"] for row in listed] == ["settings_glow", ""]  # nothing honours the other


def test_acts_are_jobs(make_world: Callable[..., World]) -> None:
    manager = Manager()
    tab = board(make_world(), manager)
    assert ask(tab, "job", act="install", values={"url": "https://example.org/glow"}) == {"id": "the job"}
    assert manager.asked == [("install", {"url": "https://example.org/glow"})]
    assert "error" in ask(tab, "job", act="run", values={})
    assert ask(tab, "available", url="/list.json")["extensions"][0]["url"] == "/list.json"
    assert ask(tab, "states") == {"states": [{"number": 1}], "trash": ["glow~20260101-000000-ab"]}


def test_where_nobody_may_install_it_is_said(make_world: Callable[..., World]) -> None:
    tab = board(make_world(), None)
    assert "installs no extensions" in ask(tab, "list")["refusal"]
    for question, values in (
        ("job", {"act": "update", "values": {}}),
        ("do", {"act": "enable", "name": "x"}),
        ("available", {"url": "x"}),
    ):
        assert "installs no extensions" in ask(tab, question, **values)["error"]


def test_only_jobs_of_its_kind_are_followed(make_world: Callable[..., World]) -> None:
    world = make_world()
    id = world.services.queue.submit("merge", {"request": {}})
    assert "error" in ask(board(world, Manager()), "follow", id=id)
