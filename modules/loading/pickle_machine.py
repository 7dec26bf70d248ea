"""Reads a pickle without running it: containers are built, everything else becomes a record of what was asked for.

`pickletools` takes the stream apart; the stack machine below knows every opcode that data needs. No name of the pickle
is ever imported or called, so that a checkpoint from anywhere may be looked at. Called by `pickles`.
"""

from __future__ import annotations

import dataclasses
import pickletools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO


class Unreadable(ValueError):
    """Not a pickle, or one that does more than data needs; the message says which."""


@dataclasses.dataclass(eq=False, frozen=True)
class Name:
    """A global that the pickle names: "torch.FloatStorage"."""

    path: str


@dataclasses.dataclass(eq=False)
class Stranger:
    """What calling an unknown global would have made; items put into it are dropped."""

    name: str


Meanings = Mapping[str, Callable[..., Any]]
"""For a global: what calling it means, as a function of the arguments."""


class Machine:
    """One reading. meanings: see there; persistent: what a persistent id stands for; `names`: the globals that came up,
    in order.
    """

    def __init__(self, meanings: Meanings, persistent: Callable[[Any], Any]) -> None:
        self._meanings = meanings
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self.names: dict[str, None] = {}

    def read(self, stream: BinaryIO) -> Any:
        """The object of the next pickle in the stream. Raises Unreadable."""
        self._stack, self._marks, self._memo = [], [], {}
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                self._step(opcode.name, argument)
            return self._stack.pop()
        except Unreadable:
            raise
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
            raise Unreadable(f"not a pickle ({error})" if str(error) else "not a pickle") from error

    def _step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _FRESH:
            self._stack.append(_FRESH[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            self._stack[-count:] = [tuple(self._stack[-count:])]
        elif name in _FROM_MARK:
            items = self._to_mark()  # first: it brings the older stack back
            self._stack.append(_FROM_MARK[name](items))
        elif name not in _NOTHING:
            step: Callable[[Machine, Any], None] | None = _STEPS.get(name)
            if step is None:
                raise Unreadable(f"the pickle uses {name}, which no checkpoint needs")
            step(self, argument)

    def _to_mark(self) -> list[Any]:
        """What was put on the stack since the last mark; the mark goes too."""
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def _pop(self, _: Any) -> None:
        self._stack.pop() if self._stack else self._to_mark()

    def _pop_mark(self, _: Any) -> None:
        self._to_mark()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _append(self, _: Any) -> None:
        _extend(self._stack[-2], [self._stack.pop()])

    def _appends(self, _: Any) -> None:
        items = self._to_mark()
        _extend(self._stack[-1], items)

    def _set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        _set_items(self._stack[-1], [key, value])

    def _set_items(self, _: Any) -> None:
        items = self._to_mark()
        _set_items(self._stack[-1], items)

    def _global(self, argument: str) -> None:
        self._stack.append(self._named(argument.replace(" ", ".", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(self._named(f"{module}.{name}"))

    def _named(self, path: str) -> Name:
        self.names.setdefault(path)
        return Name(path)

    def _reduce(self, _: Any) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        self._stack.append(self._call(called, arguments))

    def _new_object(self, _: Any) -> None:
        self._reduce(None)

    def _new_object_with_words(self, _: Any) -> None:
        self._stack.pop()
        self._reduce(None)

    def _instance(self, argument: str) -> None:
        arguments = self._to_mark()
        self._stack.append(self._call(self._named(argument.replace(" ", ".", 1)), arguments))

    def _object(self, _: Any) -> None:
        called, *arguments = self._to_mark()
        self._stack.append(self._call(called, arguments))

    def _build(self, _: Any) -> None:
        """The state of an object: an OrderedDict's attributes and a stranger's insides are not needed."""
        self._stack.pop()

    def _persistent_id(self, _: Any) -> None:
        self._stack.append(self._persistent(self._stack.pop()))

    def _call(self, called: Any, arguments: Sequence[Any]) -> Any:
        name = called.path if isinstance(called, Name) else getattr(called, "name", type(called).__name__)
        meaning = self._meanings.get(name)
        return Stranger(name) if meaning is None else meaning(*arguments)


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Stranger | set):
        raise Unreadable("not a pickle (it appends to what is no list)")


def _set_items(target: Any, items: list[Any]) -> None:
    if isinstance(target, Stranger):
        return
    if not isinstance(target, dict):
        raise Unreadable("not a pickle (it sets an item of what is no dictionary)")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # a deeply nested tuple as a key would be hashed by recursion in C
        target[key if isinstance(key, str | int | float | bytes | Name | None) else Stranger("key")] = value


def _pairs(items: list[Any]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    _set_items(made, items)
    return made


_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
_TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_LITERALS = frozenset(_NUMBERS | _TEXTS | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"})
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_FROM_MARK: dict[str, Callable[[list[Any]], Any]] = {
    "TUPLE": tuple,
    "LIST": list,
    "DICT": _pairs,
    "FROZENSET": lambda items: Stranger("frozenset"),
}
_NOTHING = frozenset({"PROTO", "FRAME", "STOP"})
_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": Machine._mark,
    "PUT": Machine._put,
    "BINPUT": Machine._put,
    "LONG_BINPUT": Machine._put,
    "MEMOIZE": Machine._memoize,
    "GET": Machine._get,
    "BINGET": Machine._get,
    "LONG_BINGET": Machine._get,
    "POP": Machine._pop,
    "POP_MARK": Machine._pop_mark,
    "DUP": Machine._dup,
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "ADDITEMS": Machine._appends,
    "SETITEM": Machine._set_item,
    "SETITEMS": Machine._set_items,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._new_object,
    "NEWOBJ_EX": Machine._new_object_with_words,
    "INST": Machine._instance,
    "OBJ": Machine._object,
    "BUILD": Machine._build,
    "BINPERSID": Machine._persistent_id,
}
