"""Whatever an extension can add is there once it is loaded, works, and is gone when it is unloaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from modules.core.errors import DamagedFile, EaselError
from modules.generate.moments import NetworksApplied, Planned, Saved
from modules.generate.scripts.axes import Axis
from modules.loading import families
from modules.plugins.api import ExtensionApi, Option, Sampler, Scheduler, Script, Step, Tag, flag, number
from modules.plugins.extension import Extension
from modules.plugins.house import House
from modules.plugins.manifest import Manifest
from modules.samplers import rows


@pytest.fixture
def api(house: House, tmp_path: Path) -> ExtensionApi:
    folder = tmp_path / "extensions" / "mine"
    folder.mkdir(parents=True)
    return ExtensionApi(Extension(name="mine", folder=folder), house)


def nothing(*_: Any, **__: Any) -> Any:
    return None


def added_sampler(api: ExtensionApi) -> None:
    api.sampler(Sampler(**{**_shallow(rows.SAMPLERS[0]), "name": "Mine", "aliases": ()}))


def added_scheduler(api: ExtensionApi) -> None:
    api.scheduler(Scheduler(**{**_shallow(rows.SCHEDULERS[1]), "name": "mine", "label": "Mine", "aliases": ()}))


def _shallow(row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}


def added_file(api: ExtensionApi) -> None:
    (api.folder / "mine.js").write_text("let mine = 1;")
    api.page_file("mine.js")


FAMILY = dataclasses.replace(families.TABLE[0], id="mine", title="Mine", marks=("mine.",))

THINGS: dict[str, tuple[Callable[[ExtensionApi], None], Callable[[House], bool]]] = {
    "sampler": (added_sampler, lambda house: "Mine" in [row.name for row in house.catalog.samplers()]),
    "scheduler": (added_scheduler, lambda house: "Mine" in [row.label for row in house.catalog.schedulers()]),
    "upscaler": (
        lambda api: api.upscaler("Mine", lambda image, scale: image.resize((image.width * 2, image.height * 2))),
        lambda house: "Mine" in house.upscalers.names(),
    ),
    "script": (
        lambda api: api.script(Script(title="Mine", run=nothing)),
        lambda house: [each.title for each in house.scripts.of("txt2img")] == ["Mine"],
    ),
    "always_on": (
        lambda api: api.always_on("Mine", [flag("enabled", "On")], nothing),
        lambda house: [each.title for each in house.scripts.always_on("img2img")] == ["Mine"],
    ),
    "axis": (
        lambda api: api.axis(Axis(label="Mine", apply=lambda request, value, values: request)),
        lambda house: [each.label for each in house.axes.of("txt2img")] == ["Mine"],
    ),
    "option": (
        lambda api: api.option(Option(key="mine_amount", default=3, kind="int", minimum=0, maximum=9)),
        lambda house: house.options.snapshot().get("mine_amount") == 3,
    ),
    "honour": (
        lambda api: api.honour("canvas_hotkey_zoom"),
        lambda house: house.options.registry["canvas_hotkey_zoom"].works,
    ),
    "tab": (
        lambda api: api.tab("mine", "Mine", nothing),
        lambda house: [each.title for each in house.additions.tabs.all()] == ["Mine"],
    ),
    "network": (lambda api: api.network("mine", nothing), lambda house: "mine" in house.network_words),
    "family": (lambda api: api.family(FAMILY), lambda house: FAMILY in families.rows()),
    "page_file": (
        added_file,
        lambda house: [each.path.name for each in house.additions.files.all()] == ["mine.js"],
    ),
    "translation": (
        lambda api: api.translation("Martian", {"Generate": "Zork"}),
        lambda house: [each.texts() for each in house.additions.translations.all()] == [{"Generate": "Zork"}],
    ),
    "step": (
        lambda api: api.step(Step(name="Mine", order=1, run=nothing)),
        lambda house: house.steps.names() == ["Mine"],
    ),
    "captioner": (
        lambda api: api.captioner("Mine", lambda image: f"{image.width} wide"),
        lambda house: "Mine" in house.captioners and house.captioners["Mine"](Image.new("RGB", (8, 8))) == "8 wide",
    ),
    "infotext": (
        lambda api: api.infotext("Mine", field="steps", read=int),
        lambda house: [each.read("7") for each in house.additions.labels.all()] == [7],
    ),
    "on": (lambda api: api.on(api.moments.saved, nothing), lambda house: bool(house.moments.saved)),
    "route": (lambda api: api.route(_router()), lambda house: _answers(house)),
    "at_unload": (lambda api: api.at_unload(lambda: TOLD.append("bye")), lambda house: not TOLD),
}
"""Method -> (what adds something, whether it is there)."""
TOLD: list[str] = []


def _router() -> Any:
    from fastapi import APIRouter

    router = APIRouter()
    router.add_api_route("/mine", lambda: {"here": True})
    return router


def _answers(house: House) -> bool:
    app = FastAPI()
    house.routes.open(app)
    return TestClient(app).get("/mine").status_code == 200


def test_every_way_to_add_something_is_tried_here() -> None:
    seen = {"name", "folder", "data", "models", "user_data", "log", "moments", "options", "flags", "studio", "withdraw"}
    ways = {name for name in vars(ExtensionApi) if not name.startswith("_")} - seen
    assert ways == set(THINGS)


@pytest.mark.parametrize("name", THINGS)
def test_it_is_there_and_then_gone(api: ExtensionApi, house: House, name: str) -> None:
    TOLD.clear()
    add, there = THINGS[name]
    assert name == "at_unload" or not there(house)
    add(api)
    assert there(house)
    assert api.withdraw() == []
    assert not there(house)
    add(api)  # and can be added again
    assert name == "at_unload" or there(house)
    api.withdraw()


def test_what_fails_at_unloading_does_not_keep_the_rest(api: ExtensionApi, house: House) -> None:
    api.on(house.moments.saved, nothing)
    api.at_unload(lambda: 1 / 0)
    assert api.withdraw() == ["ZeroDivisionError: division by zero"]
    assert not house.moments.saved


def test_names_that_are_taken_are_refused(api: ExtensionApi) -> None:
    api.captioner("Mine", str)
    api.network("mine", nothing)
    for again in (
        lambda: api.captioner("Mine", str),
        lambda: api.network("mine", nothing),
        lambda: api.network("lora", nothing),
        lambda: api.upscaler("Lanczos", nothing),
        lambda: api.option(Option(key="samples_save", default=1, kind="int")),
        lambda: api.family(families.TABLE[0]),
        lambda: api.honour("samples_save"),
        lambda: api.honour("no_such_setting"),
    ):
        with pytest.raises(ValueError, match=r"already|taken|exists"):
            again()
    api.withdraw()


def test_page_files_are_checked(api: ExtensionApi) -> None:
    with pytest.raises(DamagedFile, match="lost"):
        api.page_file("lost.css")
    (api.folder / "words.txt").write_text("")
    with pytest.raises(ValueError, match=r"\.css"):
        api.page_file("words.txt")


def test_an_option_keeps_its_value_from_load_to_load(api: ExtensionApi, house: House) -> None:
    option = Option(key="mine_amount", default=3, kind="int", minimum=0, maximum=9, label="Amount")
    api.option(option, section="Mine")
    house.options.set({"mine_amount": 5})
    assert ("mine", "Mine", ["mine_amount"]) in [
        (id, title, [each.key for each in options]) for id, title, options in house.options.registry.sections()
    ]
    api.withdraw()
    assert "mine_amount" not in house.options.snapshot()
    api.option(option)
    assert api.options["mine_amount"] == 5
    api.withdraw()
    api.option(dataclasses.replace(option, maximum=4))
    assert api.options["mine_amount"] == 3  # 5 is no value of it any more


def test_settings_of_a1111s_work_while_they_are_honoured(api: ExtensionApi, house: House) -> None:
    api.honour("canvas_hotkey_move", "canvas_show_tooltip")
    house.options.set({"canvas_hotkey_move": "G"})
    assert api.settings == ["canvas_hotkey_move", "canvas_show_tooltip"]
    api.withdraw()
    assert not house.options.registry["canvas_show_tooltip"].works
    assert house.options.snapshot()["canvas_hotkey_move"] == "G"


def test_a_network_kind_gets_its_tags_of_every_batch(api: ExtensionApi, house: House) -> None:
    seen: list[list[Tag]] = []
    api.network("mine", lambda event, tags: seen.append(list(tags)))
    mine, other = Tag("mine", ("a", "1"), {}), Tag("lora", ("b",), {})
    for tags in ((other, mine), (other,)):
        house.moments.networks_applied.fire(NetworksApplied(plan=None, index=0, prompts=["x"], tags=tags, model=None))
    assert seen == [[mine], []]


def test_an_infotext_field_is_told_for_each_picture(api: ExtensionApi, house: House) -> None:
    @dataclasses.dataclass(frozen=True)
    class Work:
        tellers: tuple[Any, ...] = ()

    api.infotext("Mine", lambda plan, index: index * 2 if index else None)
    event = Planned(plan=Work())
    house.moments.planned.fire(event)
    assert [tell(event.plan, index) for tell in event.plan.tellers for index in (0, 3)] == [{}, {"Mine": 6}]


def test_listeners_come_in_order_and_fail_alone(api: ExtensionApi, house: House, tmp_path: Path) -> None:
    heard: list[str] = []
    api.on(house.moments.saved, lambda event: heard.append("late"), order=5)
    api.on(house.moments.saved, lambda event: 1 / 0, order=1)
    api.on(house.moments.saved, lambda event: heard.append("early"))
    house.moments.saved.fire(Saved(path=tmp_path, infotext=""))
    assert heard == ["early", "late"]


def test_routes_stand_before_what_answers_everything(house: House, api: ExtensionApi) -> None:
    app = FastAPI()
    app.add_api_route("/{anything:path}", lambda anything: {"page": anything})
    house.routes.open(app)
    client = TestClient(app)
    assert client.get("/mine").json() == {"page": "mine"}
    api.route(_router())
    assert client.get("/mine").json() == {"here": True}
    assert "/mine" in app.openapi()["paths"]
    api.withdraw()
    assert client.get("/mine").json() == {"page": "mine"}
    assert "/mine" not in app.openapi()["paths"]


def test_its_places(api: ExtensionApi, house: House) -> None:
    assert (api.name, api.folder.name, api.log.name) == ("mine", "mine", "easel.mine")
    assert api.data == house.data / "extension-data" / "mine"
    assert api.data.is_dir()
    assert api.user_data == house.data


def test_numbers_are_whole_where_their_steps_are() -> None:
    assert number("n", "N", 3, 0, 9, 1).kind == "int"
    assert number("n", "N", 3, 0, 9, 0.5).kind == "float"
    assert flag("f", "F").kind == "bool"


@pytest.mark.parametrize(("declared", "works"), [(None, True), (("routes",), True), ((), False), (("network",), False)])
def test_routes_need_their_permission_where_any_is_declared(
    house: House, tmp_path: Path, declared: tuple[str, ...] | None, works: bool
) -> None:
    api = ExtensionApi(Extension(name="mine", folder=tmp_path, manifest=Manifest(permissions=declared)), house)
    if works:
        api.route(APIRouter())
        return
    with pytest.raises(EaselError, match=r'mine adds routes.*"routes"'):
        api.route(APIRouter())
