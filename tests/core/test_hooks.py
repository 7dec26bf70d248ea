"""modules.core.hooks: order, removal, failing listeners, and adding or removing while firing."""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.core.errors import Interrupted
from modules.core.hooks import Moment, all_moments, remove_owner


@dataclasses.dataclass(frozen=True)
class Sampled:
    value: int = 0


@dataclasses.dataclass
class Moments:
    planned: Moment[Sampled] = dataclasses.field(default_factory=Moment)
    sampled: Moment[Sampled] = dataclasses.field(default_factory=Moment)
    title: str = "not a moment"


def noting(seen: list[object], mark: object) -> Callable[[Sampled], None]:
    def listen(event: Sampled) -> None:
        seen.append(mark)

    return listen


@given(st.lists(st.integers(-3, 3), max_size=12))
@settings(deadline=None)
def test_listeners_run_by_order_and_then_as_they_were_added(orders: list[int]) -> None:
    moment: Moment[Sampled] = Moment()
    seen: list[object] = []
    for index, order in enumerate(orders):
        moment.add(noting(seen, (order, index)), owner="test", order=order)
    moment.fire(Sampled())
    assert seen == sorted((order, index) for index, order in enumerate(orders))


@given(st.lists(st.sampled_from("abc"), max_size=10), st.sampled_from("abc"))
@settings(deadline=None)
def test_remove_owner_takes_out_all_of_one_and_none_of_others(owners: list[str], gone: str) -> None:
    moment: Moment[Sampled] = Moment()
    for owner in owners:
        moment.add(noting([], owner), owner=owner)
    moment.remove_owner(gone)
    assert list(moment.owners) == [owner for owner in owners if owner != gone]


def test_the_remover_takes_out_its_own_only_and_may_be_called_twice() -> None:
    moment: Moment[Sampled] = Moment()
    seen: list[object] = []
    same = noting(seen, "same")
    remove = moment.add(same, owner="first")
    moment.add(same, owner="second")
    remove()
    remove()
    moment.fire(Sampled())
    assert seen == ["same"]
    assert moment.owners == ("second",)


def test_a_moment_is_true_only_with_listeners() -> None:
    moment: Moment[Sampled] = Moment()
    assert not moment
    remove = moment.add(noting([], 0), owner="test")
    assert moment
    assert len(moment) == 1
    remove()
    assert not moment


def test_the_event_itself_is_passed() -> None:
    moment: Moment[Sampled] = Moment()
    seen: list[Sampled] = []
    event = Sampled(3)
    moment.add(seen.append, owner="test")
    moment.fire(event)
    assert seen[0] is event


def test_a_failing_listener_is_logged_with_its_owner_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    moment: Moment[Sampled] = Moment("sampled")
    seen: list[object] = []

    def fail(event: Sampled) -> None:
        raise ValueError("a bad day")

    moment.add(noting(seen, "before"), owner="good")
    moment.add(fail, owner="sd-bad-extension")
    moment.add(noting(seen, "after"), owner="good")
    with caplog.at_level(logging.ERROR):
        moment.fire(Sampled())
    assert seen == ["before", "after"]
    assert 'sd-bad-extension: its listener for "sampled" failed' in caplog.text
    assert "Traceback" in caplog.text
    assert "a bad day" in caplog.text


@pytest.mark.parametrize("signal", [Interrupted(), KeyboardInterrupt(), SystemExit()])
def test_what_ends_the_work_comes_through(signal: BaseException) -> None:
    moment: Moment[Sampled] = Moment()
    seen: list[object] = []

    def stop(event: Sampled) -> None:
        raise signal

    moment.add(stop, owner="test")
    moment.add(noting(seen, "after"), owner="test")
    with pytest.raises(type(signal)):
        moment.fire(Sampled())
    assert seen == []


def test_adding_and_removing_while_firing_takes_effect_the_next_time() -> None:
    moment: Moment[Sampled] = Moment()
    seen: list[object] = []

    def change(event: Sampled) -> None:
        remove_last()
        moment.add(noting(seen, "new"), owner="test")

    remove_change = moment.add(change, owner="test")
    remove_last = moment.add(noting(seen, "last"), owner="test")
    moment.fire(Sampled())
    assert seen == ["last"]
    remove_change()
    moment.fire(Sampled())
    assert seen == ["last", "new"]


def test_adding_from_many_threads_loses_none() -> None:
    moment: Moment[Sampled] = Moment()

    def add() -> None:
        for index in range(50):
            moment.add(noting([], index), owner="test")

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moment) == 400


class Listens:
    def __call__(self, event: Sampled) -> None: ...

    def method(self, event: Sampled) -> None: ...


def two(event: Sampled, more: int) -> None: ...


def needs_name(event: Sampled, *, name: str) -> None: ...


async def later(event: Sampled) -> None: ...


@pytest.mark.parametrize(
    "listener", [Listens(), Listens().method, [].append, functools.partial(two, more=1), lambda *events: None, print]
)
def test_everything_that_takes_one_argument_may_listen(listener: Callable[[Sampled], None]) -> None:
    moment: Moment[Sampled] = Moment()
    moment.add(listener, owner="test")
    moment.fire(Sampled())
    assert moment.owners == ("test",)


@pytest.mark.parametrize("listener", [None, "text", two, needs_name, later, lambda: None])
def test_what_cannot_listen_is_refused_with_the_owners_name(listener: object) -> None:
    moment: Moment[Sampled] = Moment("sampled")
    with pytest.raises(TypeError, match=r'sd-owner: a listener for "sampled" must'):
        moment.add(listener, owner="sd-owner")
    assert not moment


def test_all_moments_of_an_object_and_an_owner_out_of_them_all() -> None:
    moments = Moments()
    assert all_moments(moments) == {"planned": moments.planned, "sampled": moments.sampled}
    for moment in all_moments(moments).values():
        moment.add(noting([], 0), owner="leaves")
        moment.add(noting([], 0), owner="stays")
    remove_owner(moments, "leaves")
    assert [moment.owners for moment in all_moments(moments).values()] == [("stays",), ("stays",)]


def test_a_followed_moment_is_one_pieces_of_work_alone() -> None:
    moment: Moment[list[str]] = Moment("testing")
    moment.add(lambda event: event.append("all"), owner="everybody")
    own = moment.followed(lambda event: event.append("mine"))
    heard: list[str] = []
    own.fire(heard)
    assert heard == ["all", "mine"]
    moment.fire(heard)
    assert heard == ["all", "mine", "all"]
    assert own


def test_what_the_follower_raises_comes_through() -> None:
    def refuse(event: list[str]) -> None:
        raise ValueError("no")

    own: Moment[list[str]] = Moment[list[str]]("testing").followed(refuse)
    with pytest.raises(ValueError, match="no"):
        own.fire([])
