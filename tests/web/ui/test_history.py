"""The History tab: what was made is found again, starred, thrown away and brought back."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modules.core.errors import BadRequest
from modules.web.ui import history, page
from tests.web.ui.fakes import World

REQUEST = {"negative_prompt": "", "steps": 2, "sampler_name": "Euler a", "scheduler": "Karras", "cfg_scale": 7.0}


def made(world: World, count: int) -> history.Album:
    for number in range(count):
        request: dict[str, Any] = {**REQUEST, "prompt": f"cat {number}", "width": 64, "height": 64}
        world.painter.write(request, "job", number, 100 + number)
    return history.Album(services=world.services, media=page.media_of(world.services))


def prompts(found: dict[str, Any]) -> list[str]:
    return [picture["prompt"] for picture in found["pictures"]]


def test_pages_joined_are_everything_newest_first(make_world: Callable[..., World]) -> None:
    album = made(make_world(), history.PAGE + 3)
    first = album.find({})
    second = album.find({"beyond": first["beyond"]})
    assert prompts(first) + prompts(second) == [f"cat {number}" for number in reversed(range(history.PAGE + 3))]
    assert (first["count"], second["beyond"]) == (history.PAGE + 3, None)


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"text": "cat 101"}, 1),
        ({"seed": "102"}, 1),
        ({"sampler": "Euler a"}, 3),
        ({"model": "another"}, 0),
        ({"since": datetime.date.today().isoformat()}, 3),
        ({"until": "2001-01-01"}, 0),
        ({"starred": True}, 0),
    ],
)
def test_filters(make_world: Callable[..., World], asked: dict[str, Any], count: int) -> None:
    assert made(make_world(), 3).find(asked)["count"] == count


def test_what_goes_to_the_trash_leaves_the_album_and_comes_back(make_world: Callable[..., World]) -> None:
    album = made(make_world(), 2)
    number = album.find({})["pictures"][0]["number"]
    path = Path(album.picture({"number": number})["file"])
    album.act({"act": "trash", "numbers": [number]})
    assert not path.exists()
    assert album.find({})["count"] == 1
    assert prompts(album.find({"trashed": True})) == ["cat 1"]
    album.act({"act": "restore", "numbers": [number]})
    assert path.is_file()
    assert album.find({})["count"] == 2


def test_stars_are_kept(make_world: Callable[..., World]) -> None:
    album = made(make_world(), 2)
    number = album.find({})["pictures"][1]["number"]
    album.act({"act": "star", "numbers": [number]})
    assert prompts(album.find({"starred": True})) == ["cat 0"]
    album.act({"act": "unstar", "numbers": [number]})
    assert album.find({"starred": True})["count"] == 0


def test_small_copies_are_made_when_asked_for(make_world: Callable[..., World]) -> None:
    album = made(make_world(), 1)
    (picture,) = album.find({})["pictures"]
    assert picture["small"] is None
    address = album.smalls({"numbers": [picture["number"]]})[str(picture["number"])]
    assert address.endswith(".webp")
    assert album.find({})["pictures"][0]["small"] == address
    assert album.picture({"number": picture["number"]})["whole"].endswith(".png")


@pytest.mark.parametrize("asked", [{"seed": "7th"}, {"since": "yesterday"}])
def test_nonsense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        history.wanted(asked)
