"""The part of an ONNX file that an output takes, cut without the package `onnx`, which computing a file does not need.

A file is a message of protobuf: fields of a number, a kind and a value, whose bytes are copied as they are. The numbers
below are those of `onnx.proto`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

GRAPH, FUNCTIONS, OF_FUNCTION = 7, 25, 7
"""The fields of a model that are its graph and its functions, and that of a function which is its operations."""

NODE, WEIGHTS, OUTPUT = 1, 5, 12
"""The fields of a graph that are its operations, in an order in which they can be computed, its weights and outputs."""

READS, WRITES, ATTRIBUTE = 1, 2, 5
"""The fields of an operation that name the tensors it takes and those it gives, and that are its attributes."""

TENSORS, SUBGRAPHS = (5, 10), (6, 11)
"""The fields of an attribute that are tensors, and graphs, whose operations take tensors around them, too."""

ELSEWHERE, NAME = 13, 1
"""The field of a tensor whose values lie in another file, and that of an output which is its name."""

_NUMBER, _BYTES, _FIXED = 0, 2, {1: 8, 5: 4}
"""The kinds of values: 7 bits a byte; bytes, after their count; so many bytes."""


def part_of(model: memoryview, output: str) -> bytes:
    """Returns a model with one output, and without the operations that it does not take.

    Args:
        model: The content of an ONNX file, read-only.
        output: The output's name.

    Raises:
        LookupError: If the content is cut off, no such file, or has weights in another file, which it is not beside.
    """
    if has_weights_elsewhere(model):
        raise LookupError("weights in another file")
    pieces: list[bytes | memoryview] = []
    for number, whole, value in _fields(model):
        if number == GRAPH:
            kept = _needed(value, output.encode())
            pieces += [_written(GRAPH << 3 | _BYTES), _written(sum(map(len, kept))), *kept]
        else:
            pieces.append(whole)
    return b"".join(pieces)


def has_weights_elsewhere(model: memoryview) -> bool:
    """Returns whether weights of a model lie in other files: its content alone would take those of the working folder.

    Args:
        model: The content of an ONNX file, read-only.

    Raises:
        LookupError: If the content is cut off, or no such file.
    """
    for number, _, value in _fields(model):
        if number in (GRAPH, FUNCTIONS):
            tensors = _held_in(value) if number == GRAPH else _held_by(_values(value, OF_FUNCTION))
            if any(any(_values(tensor, ELSEWHERE)) for tensor in tensors):
                return True
    return False


def _needed(graph: memoryview, output: bytes) -> list[memoryview]:
    """Returns the fields of a graph that an output takes."""
    kept, wanted = [], {output}
    for number, whole, value in reversed(list(_fields(graph))):  # an operation after those that take what it gives
        if number == OUTPUT and output not in map(bytes, _values(value, NAME)):
            continue
        if number == NODE:
            if wanted.isdisjoint(_values(value, WRITES)):
                continue
            wanted.update(_read_by(value))
        kept.append(whole)
    return kept[::-1]


def _held_in(graph: memoryview) -> Iterator[memoryview]:
    """Yields the tensors that a graph holds as weights, and those of its operations."""
    yield from _values(graph, WEIGHTS)
    yield from _held_by(_values(graph, NODE))


def _held_by(nodes: Iterable[memoryview]) -> Iterator[memoryview]:
    """Yields the tensors that operations hold, and those of graphs within them."""
    for node in nodes:
        for attribute in _values(node, ATTRIBUTE):
            yield from _values(attribute, *TENSORS)
            for graph in _values(attribute, *SUBGRAPHS):
                yield from _held_in(graph)


def _read_by(node: memoryview) -> Iterator[bytes]:
    """Yields the names of the tensors that an operation takes, by operations of its own graphs, too."""
    yield from map(bytes, _values(node, READS))
    for attribute in _values(node, ATTRIBUTE):
        for graph in _values(attribute, *SUBGRAPHS):
            for inner in _values(graph, NODE):
                yield from _read_by(inner)


def _values(message: memoryview, *numbers: int) -> Iterator[memoryview]:
    """Yields the values of the fields of certain numbers."""
    return (value for number, _, value in _fields(message) if number in numbers)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Yields the number, all bytes, and the bytes of the value of each field of a message."""
    end = 0
    while end < len(message):
        start = end
        key, end = _read(message, start)
        at, kind = end, key & 7
        if kind == _BYTES:
            length, at = _read(message, at)
            end = at + length
        else:
            end = _read(message, at)[1] if kind == _NUMBER else at + _FIXED[kind]
        if end > len(message):
            raise IndexError(end)
        yield key >> 3, message[start:end], message[at:end]


def _read(message: memoryview, at: int) -> tuple[int, int]:
    """Returns the number at a place, and the place after it."""
    value = shift = 0
    while (byte := message[at]) & 0x80:
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
    return value | byte << shift, at + 1


def _written(number: int) -> bytes:
    """Returns a number as `_read` reads it."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + _written(number >> 7)
