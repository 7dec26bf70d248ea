"""Moments at which listeners may look at, or change, what is going on: typed, ordered, and removable.

`generate/moments.py` declares one `Moment` for each thing that extensions can hook; plugins and compat add listeners,
`generate` fires. A failing listener is logged with its owner and the others still run.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from modules.core.errors import Interrupted

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listener(Generic[T]):
    """Who listens and when: smaller `order` first, then smaller `number` (the order of adding)."""

    call: Callable[[T], None]
    owner: str
    order: int
    number: int


class Moment(Generic[T]):
    """A point in time with an event of type T. Safe to use from any thread, also while it fires.

    `if moment:` is true only with listeners, so an event that is costly to build need not be built for nobody.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._listeners: tuple[Listener[T], ...] = ()  # swapped whole: `fire` runs over the one it started with
        self._guard = threading.Lock()
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def __len__(self) -> int:
        return len(self._listeners)

    @property
    def owners(self) -> tuple[str, ...]:
        """Who listens, in the order of being called."""
        return tuple(listener.owner for listener in self._listeners)

    def add(self, listener: Callable[[T], None], *, owner: str, order: int = 0) -> Callable[[], None]:
        """Call `listener` with every event, smaller `order` first -> a function that takes it out again.

        Raises TypeError naming the owner when `listener` cannot be called with one argument.
        """
        _check(listener, owner, self.name)
        with self._guard:
            entry = Listener(call=listener, owner=owner, order=order, number=next(self._numbers))
            self._listeners = tuple(sorted((*self._listeners, entry), key=lambda one: (one.order, one.number)))

        def remove() -> None:
            self._keep(lambda one: one is not entry)

        return remove

    def remove_owner(self, owner: str) -> None:
        """Take out everything that `owner` added; nothing happens if that is nothing."""
        self._keep(lambda one: one.owner != owner)

    def fire(self, event: T) -> None:
        """Call the listeners in order. Only `Interrupted` (and what is not an Exception) comes through."""
        for listener in self._listeners:
            try:
                listener.call(event)
            except Interrupted:
                raise
            except Exception:
                moment = self.name or type(event).__name__
                log.exception('%s: its listener for "%s" failed and was passed over.', listener.owner, moment)

    def followed(self, then: Callable[[T], None]) -> Moment[T]:
        """This moment as one piece of work sees it: `then` comes after all listeners; what it raises comes through."""
        return _Followed(self, then)

    def _keep(self, wanted: Callable[[Listener[T]], bool]) -> None:
        with self._guard:
            self._listeners = tuple(one for one in self._listeners if wanted(one))


class _Followed(Moment[T]):
    """See `Moment.followed`."""

    def __init__(self, first: Moment[T], then: Callable[[T], None]) -> None:
        super().__init__(first.name)
        self._first = first
        self._then = then

    def __bool__(self) -> bool:
        return True

    def fire(self, event: T) -> None:
        self._first.fire(event)
        self._then(event)


def all_moments(collection: object) -> dict[str, Moment[Any]]:
    """The moments among the attributes of an object (a dataclass, a module, …), by attribute name, in their order."""
    return {name: value for name, value in vars(collection).items() if isinstance(value, Moment)}


def remove_owner(collection: object, owner: str) -> None:
    """Take out everything that `owner` added to any moment of the collection (an extension is unloaded)."""
    for moment in all_moments(collection).values():
        moment.remove_owner(owner)


def _check(listener: object, owner: str, moment: str) -> None:
    where = f'a listener for "{moment}"' if moment else "a listener"
    if not callable(listener):
        raise TypeError(f"{owner}: {where} must be callable, not {type(listener).__name__}.")
    if inspect.iscoroutinefunction(listener):
        raise TypeError(f"{owner}: {where} must be a plain function; an async one would never run.")
    try:
        signature = inspect.signature(listener)
    except ValueError:  # some functions written in C do not say what they take; calling them will show it
        return
    try:
        signature.bind(object())
    except TypeError as error:
        raise TypeError(f"{owner}: {where} must take one argument, the event ({error}): {signature}.") from error
