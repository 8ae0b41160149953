"""The part of a LiteRT file that an output takes: the file itself, whose list of operations is shortened in memory.

A file is a FlatBuffer: a table begins with the distance back to the list of where its fields are, and what has no fixed
length lies at a distance behind its field. The numbers below are those of the fields in LiteRT's `schema.fbs`.
"""

from __future__ import annotations

import struct

import numpy as np

SUBGRAPHS = 2
"""The field of a model that is its graphs, the first of which is computed."""

OUTPUTS, OPERATORS = 2, 3
"""The fields of a graph that are the tensors it gives and its operations, in the order in which they are computed."""

READS, WRITES = 1, 2
"""The fields of an operation that are the tensors it takes and those it gives."""


def part_of(model: bytes | memoryview, output: int) -> bytes:
    """Returns a file with one output, and without the operations that it does not take.

    Args:
        model: The content of a LiteRT file.
        output: The output's tensor, by its number in the first graph.

    Raises:
        LookupError: If the content is cut off, or no such file.
    """
    content = bytearray(model)
    try:
        graph = _tables(content, _number(content, 0), SUBGRAPHS)[0]
        operations, kept, wanted = _tables(content, graph, OPERATORS), [], {output}
        for operation in reversed(operations):  # an operation after those that take what it gives
            if not wanted.isdisjoint(_numbers(content, operation, WRITES).tolist()):
                kept.append(operation)
                wanted.update(_numbers(content, operation, READS).tolist())
        start = _start(content, graph, OPERATORS)
        _shorten(content, start, [place - start - 4 * index for index, place in enumerate(reversed(kept), start=1)])
        _shorten(content, _start(content, graph, OUTPUTS), [output])
    except (struct.error, ValueError, OverflowError) as error:
        raise LookupError(str(error)) from None
    return bytes(content)


def _tables(content: bytearray, table: int, field: int) -> list[int]:
    """Returns where the tables are that a field lists, each by its distance from its place in the list."""
    start = _start(content, table, field)
    return [start + 4 * index + place for index, place in enumerate(_numbers(content, table, field).tolist(), start=1)]


def _numbers(content: bytearray, table: int, field: int) -> np.ndarray:
    """Returns the numbers that a field lists, int32."""
    start = _start(content, table, field)
    return np.frombuffer(content, "<i4", _number(content, start), start + 4)


def _shorten(content: bytearray, start: int, numbers: list[int]) -> None:
    """Writes fewer numbers into a list, after how many there are."""
    struct.pack_into(f"<{1 + len(numbers)}i", content, start, len(numbers), *numbers)


def _start(content: bytearray, table: int, field: int) -> int:
    """Returns where the list is that is a field of a table."""
    places = table - _number(content, table)
    (length,) = struct.unpack_from("<H", content, places)
    at = 4 + 2 * field
    (place,) = struct.unpack_from("<H", content, places + at) if at < length else (0,)
    if not place:
        raise LookupError(f"no field {field}")
    return table + place + _number(content, table + place)


def _number(content: bytearray, place: int) -> int:
    return struct.unpack_from("<i", content, place)[0]
