"""An always-on script is part of the jobs that ask for it, and of no other; what it does ends with the job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from modules.core.errors import BadRequest
from modules.core.hooks import all_moments
from modules.generate.moments import Decoded, Guided, Saved
from modules.generate.request import Txt2Img
from modules.generate.scripts.registry import AlwaysOn, Argument
from tests.studio import Bench

ARGUMENTS = (
    Argument(name="enabled", label="On", kind="bool", default=False, infotext="Mine"),
    Argument(name="what", label="What", kind="text", default="count", infotext="Mine what"),
)
MADE: list[Work] = []


class Work:
    """Counts what it hears, or fails as it is told."""

    def __init__(self, values: Mapping[str, Any], studio: object, request: Txt2Img) -> None:
        self.what, self.prompt, self.calls, self.files, self.closed = values["what"], request.prompt, 0, 0, 0
        MADE.append(self)

    def guided(self, event: Guided) -> None:
        self.calls += 1

    def decoded(self, event: Decoded) -> None:
        if self.what == "fail":
            raise ZeroDivisionError("by mistake")
        if self.what == "refuse":
            raise BadRequest("This cannot be.")

    def saved(self, event: Saved) -> None:
        self.files += 1

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def added(bench: Bench) -> Iterator[None]:
    MADE.clear()
    row = AlwaysOn(title="Mine", name="mine", arguments=lambda tab, menus: ARGUMENTS, work=Work)
    remove = bench.scripts.add_always_on(row)
    yield
    remove()


def job(*arguments: Any) -> Txt2Img:
    return Txt2Img(
        prompt="a cat", seed=1, subseed=1, width=64, height=64, steps=2, extension_args={"mine": list(arguments)}
    )


def test_a_job_that_asks_for_it_has_it_and_no_other(bench: Bench) -> None:
    bench.make(job())
    bench.make(job(False))
    assert MADE == []
    text = bench.make(job(True))["info"]["infotexts"][0]
    (work,) = MADE
    assert (work.prompt, work.calls, work.files, work.closed) == ("a cat", 2, 1, 1)
    assert "Mine: True, Mine what: count" in text
    bench.make(job())
    assert work.calls == 2
    assert not any(all_moments(bench.moments).values())


def test_each_job_has_its_own(bench: Bench) -> None:
    bench.make(job(True))
    bench.make(job(True))
    assert [work.calls for work in MADE] == [2, 2]


def test_what_fails_is_passed_over_and_told(bench: Bench) -> None:
    result = bench.make(job(True, "fail"))
    assert len(result["pictures"]) == 1
    assert 'Mine failed at "decoded" and was passed over: ZeroDivisionError: by mistake' in result["comments"]


def test_words_for_a_person_end_the_job_and_it_is_closed(bench: Bench) -> None:
    with pytest.raises(BadRequest, match=r"This cannot be\."):
        bench.make(job(True, "refuse"))
    assert MADE[0].closed == 1


def test_a_request_with_arguments_survives_its_trip_through_json() -> None:
    request = job(True, "x")
    assert Txt2Img.of_json(request.to_json()) == request
