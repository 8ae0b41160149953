"""Command-line options as fields of dataclasses: their ranges, and types with a parser of their own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from tyro.constructors import PrimitiveConstructorSpec

from keras_fcn.errors import UserError, argument


@dataclasses.dataclass(frozen=True)
class Range:
    """The range of a field, beside its type: `epochs: Annotated[int, POSITIVE] = 8`; None is in every range.

    Attributes:
        holds: Whether a value is in the range.
        wanted: The text after the field's name in an error message.
    """

    holds: Callable[[Any], bool]
    wanted: str


POSITIVE = Range(lambda value: 0 < value < math.inf, "must be greater than 0")
NOT_NEGATIVE = Range(lambda value: 0 <= value < math.inf, "must not be negative")
AT_LEAST_1 = Range(lambda value: value >= 1, "must be at least 1")
BELOW_1 = Range(lambda value: 0 <= value < 1, "must be at least 0 and less than 1")

SCALES = Range(lambda scale: 0 < scale[0] <= scale[1] < math.inf, "takes two factors greater than 0, the smaller first")
SIZE = Range(lambda size: min(size) >= 1, "takes a height and a width of at least 1")


def within(least: float, most: float, unit: str = "") -> Range:
    """Returns the range from `least` to `most`, both included."""
    return Range(lambda value: least <= value <= most, f"must be in {least} to {most}{unit}")


class Options:
    """Base class of dataclasses whose fields are options.

    Raises:
        UserError: If a value is out of the range beside its field.
    """

    def __post_init__(self) -> None:
        for name, allowed in _ranges(type(self)):
            value = getattr(self, name)
            if value is not None and not allowed.holds(value):
                raise UserError(f"{argument(name)} {allowed.wanted}. Received: {' '.join(as_words(value)) or 'none'}")


def _ranges(options: type) -> Iterator[tuple[str, Range]]:
    """Yields the fields that have a range, or whose type is a Literal or a tuple of one."""
    for name, hint in get_type_hints(options, include_extras=True).items():
        yield from ((name, entry) for entry in getattr(hint, "__metadata__", ()) if isinstance(entry, Range))
        kind = hint.__origin__ if get_origin(hint) is Annotated else hint
        is_several = get_origin(kind) is tuple
        choices = get_args(kind)[0] if is_several else kind
        if get_origin(choices) is Literal:
            yield name, _one_of(get_args(choices), is_several)


def _one_of(names: tuple[str, ...], is_several: bool) -> Range:
    wanted = f"must be {'some' if is_several else 'one'} of {', '.join(names)}"
    return Range(lambda value: set(value if is_several else [value]) <= set(names), wanted)


def hint(names: Iterable[str], default: str) -> str:
    """Returns the note of `--help` on an option's values: "(auto, voc, folders; default: auto)"."""
    return f"({', '.join(names)}; default: {default})"


def option(field: str) -> str:
    """Returns the command-line option of a field: "--crop-size" for "crop_size"."""
    return f"--{field.replace('_', '-')}"


def as_words(value: object) -> list[str]:
    """Returns a value as the arguments of its option."""
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


# Spelled out, because the error message about a wrong number of values for `tuple[int, int] | None` is hard to read.
HEIGHT_WIDTH = PrimitiveConstructorSpec(
    nargs=2,
    metavar="H W",
    instance_from_str=lambda words: (int(words[0]), int(words[1])),
    is_instance=lambda value: value is None or isinstance(value, tuple),
    str_from_instance=lambda value: [] if value is None else [str(size) for size in value],
)
"""Reads `tuple[int, int] | None`, a height and a width."""


def number(metavar: str) -> PrimitiveConstructorSpec:
    """Returns the parser of `float | None`."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: float(words[0]),
        is_instance=lambda value: value is None or isinstance(value, float),
        str_from_instance=lambda value: [] if value is None else [str(value)],
    )
