"""Reading pickles of plain data without running them.

A pickle is a program for a machine with a stack, and may call any function of any module. This machine has the
instructions that plain data take, and calls only the functions that it was given.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

LARGEST = 1 << 20
"""Maximum size of a pickle in bytes; that of the largest ResNet has a seventh of it."""

_LITERALS = {
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class UnknownNameError(ValueError):
    """A pickle that refers to something that the reader was not given; the message is its name."""


def read_pickle(
    stream: io.BytesIO, known: Mapping[str, Any], find: Callable[[Any], Any] | None = None, built: tuple[type, ...] = ()
) -> Any:
    """Reads the next pickle of a stream; of what it refers to, nothing is imported or called that is not in `known`.

    Args:
        stream: The pickle, of at most `LARGEST` bytes, and what follows; afterwards it is at its end.
        known: What the pickle may refer to, by "module.name". Functions among it are called with the pickle's
            arguments, whatever these are.
        find: Returns what a persistent id stands for; None if the pickle must not have any.
        built: Types of results of `known` that the pickle may give a state, which is dropped.

    Returns:
        Numbers, strings, lists, tuples, dicts with keys that are strings or numbers, and results of `known` and `find`.

    Raises:
        UnknownNameError: If the pickle refers to something else.
        ValueError: If it is damaged, or holds other things.
    """
    machine = _Machine(known, find, built)
    start = stream.tell()
    try:
        for instruction, operand in _instructions(stream):
            if instruction == "STOP":
                return machine.pop()
            if stream.tell() - start > LARGEST:
                raise ValueError(f"its pickle has more than {LARGEST >> 10} KiB")
            machine.step(instruction, operand)
    except (IndexError, KeyError, TypeError, OverflowError):  # an empty stack, or operands of other types
        raise ValueError(f"its pickle is damaged before byte {stream.tell()}") from None
    raise ValueError("its pickle has no end")


def _instructions(stream: io.BytesIO) -> Iterator[tuple[str, Any]]:
    try:
        for instruction, operand, _ in pickletools.genops(stream):
            yield instruction.name, operand
    except ValueError:  # it ends too early, or is none
        raise ValueError(f"its pickle is damaged before byte {stream.tell()}") from None


class _Machine:
    """The stack, the memo and the instructions."""

    def __init__(self, known: Mapping[str, Any], find: Callable[[Any], Any] | None, built: tuple[type, ...]) -> None:
        self._known, self._find, self._built = known, find, built
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # stacks set aside by marks
        self._memo: dict[int, Any] = {}
        self._taken = 0  # values in arguments of calls

    def pop(self) -> Any:
        return self._stack.pop()

    def step(self, name: str, operand: Any) -> None:
        """Executes an instruction with its operand, if it has one."""
        if name in _LITERALS:
            self._stack.append(operand)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            items = [self.pop() for _ in range(_TUPLES[name])]
            self._stack.append(tuple(reversed(items)))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[operand] = self._stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[operand])
        elif name not in ("PROTO", "FRAME"):
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise ValueError(f"its pickle has the instruction {name}, which is not read")
            method(*([] if operand is None else [operand]))

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _tuple(self) -> None:
        items = self._since_mark()
        self._stack.append(tuple(items))

    def _append(self) -> None:
        self._extend([self.pop()])

    def _appends(self) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        self._require(list).extend(items)

    def _setitem(self) -> None:
        value, key = self.pop(), self.pop()
        self._update([key, value])

    def _setitems(self) -> None:
        self._update(self._since_mark())

    def _update(self, items: list[Any]) -> None:
        target = self._require(dict)
        if len(items) % 2:
            raise TypeError
        for key, value in zip(items[::2], items[1::2]):
            target[plain_key(key)] = value

    def _require(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise TypeError
        return self._stack[-1]

    def _global(self, name: str) -> None:
        name = name.replace(" ", ".")
        if name not in self._known:
            raise UnknownNameError(name)
        self._stack.append(self._known[name])

    def _stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):  # the text of nested tuples may have gigabytes
            raise TypeError
        self._global(f"{module}.{name}")

    def _reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        # One long list may be the argument of many calls.
        lists = [value for value in arguments if isinstance(value, (list, tuple))]
        self._taken += len(arguments) + sum(map(len, lists))
        if self._taken > LARGEST:
            raise ValueError("its pickle calls functions with more values than it has bytes")
        self._stack.append(function(*arguments))

    _newobj = _reduce

    def _build(self) -> None:
        self.pop()
        if not isinstance(self._stack[-1], (*self._built, dict)):
            raise TypeError

    def _binpersid(self) -> None:
        if self._find is None:
            raise ValueError("its pickle has persistent ids")
        self._stack.append(self._find(self.pop()))


def plain_key(key: Any) -> Hashable:
    """Returns a key of a dict.

    Raises:
        ValueError: If it is neither a string nor a number; hashing deeply nested tuples would take forever.
    """
    if not isinstance(key, (str, int)):
        raise ValueError(f"its pickle has a dict with a {type(key).__name__} as a key")
    return key
