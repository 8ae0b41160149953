"""Command-line options as fields of dataclasses: their ranges, and types with a parser of their own."""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

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


MOST_PIXELS = 1 << 30
"""Pixels of an image at most, which is the limit of their decoding, too."""

_SHOWN = 100
"""Characters of a value that an error message shows."""

POSITIVE = Range(lambda value: 0 < value < math.inf, "must be greater than 0")
NOT_NEGATIVE = Range(lambda value: 0 <= value < math.inf, "must not be negative")
AT_LEAST_1 = Range(lambda value: value >= 1, "must be at least 1")
BELOW_1 = Range(lambda value: 0 <= value < 1, "must be at least 0 and less than 1")

SCALES = Range(lambda scale: 0 < scale[0] <= scale[1] < math.inf, "takes two factors greater than 0, the smaller first")
SIZE = Range(
    lambda size: min(size) >= 1 and math.prod(size) <= MOST_PIXELS,
    f"takes a height and a width of at least 1, and {MOST_PIXELS} pixels at most",
)


def within(least: float, most: float, unit: str = "") -> Range:
    """Returns the range from `least` to `most`, both included."""
    return Range(lambda value: least <= value <= most, f"must be in {least} to {most}{unit}")


class Options:
    """Base class of dataclasses whose fields are options.

    Values are normalized to the types of their fields, as the command line does: a list becomes a tuple, a whole number
    a float.

    Raises:
        UserError: If a value has another type than its field, or is out of the range beside it.
    """

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, _as_kind(kind, value))
            except TypeError as wanted:
                raise UserError(f"{argument(name)} must be {wanted}. Received: {value!r:.{_SHOWN}}") from None
        for name, allowed in _ranges(type(self)):
            value = getattr(self, name)
            if value is not None and not allowed.holds(value):
                raise UserError(f"{argument(name)} {allowed.wanted}. Received: {as_text(value)}")


def _ranges(options: type) -> list[tuple[str, Range]]:
    """Returns the fields that have a range, or whose type is a Literal or a tuple of one."""
    found = []
    for name, hint in get_type_hints(options, include_extras=True).items():
        found += [(name, entry) for entry in getattr(hint, "__metadata__", ()) if isinstance(entry, Range)]
        kind = hint.__origin__ if get_origin(hint) is Annotated else hint
        is_several = get_origin(kind) is tuple
        choices = get_args(kind)[0] if is_several else kind
        if get_origin(choices) is Literal:
            found.append((name, _one_of(get_args(choices), is_several)))
    return found


def _one_of(names: tuple[Any, ...], is_several: bool) -> Range:
    wanted = f"must be {'some' if is_several else 'one'} of {', '.join(map(str, names))}"
    return Range(lambda value: set(value if is_several else [value]) <= set(names), wanted)


def hint(names: Iterable[str], default: str) -> str:
    """Returns the note of `--help` on an option's values: "(auto, voc, folders; default: auto)"."""
    return f"({', '.join(names)}; default: {default})"


_WANTED = {bool: "True or False", int: "a whole number", float: "a number", str: "text", Path: "a path"}
_ITEMS = {int: "whole numbers", float: "numbers", str: "texts", Path: "paths"}


def _as_kind(kind: Any, value: Any) -> Any:
    """Returns a value from Python in the type of its field; types with no entry in `_WANTED` are not checked.

    Raises:
        TypeError: If it is of another type; the text says which is wanted: "two whole numbers, or None".
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _as_one_of(arguments, value)
    if origin is tuple:
        return _as_tuple(arguments, value)
    is_bool = type(value).__name__ == "bool"  # NumPy's has the same name
    accepted = {
        bool: is_bool,
        int: isinstance(value, numbers.Integral) and not is_bool,
        float: isinstance(value, numbers.Real) and not is_bool,
        str: isinstance(value, (str, PurePath)),
        Path: isinstance(value, (str, PurePath)),
    }  # fmt: skip
    if accepted.get(kind):
        return kind(value)
    if kind in accepted or (origin is Literal and type(value) not in map(type, arguments)):
        raise TypeError(_WANTED.get(kind, f"one of {', '.join(map(str, arguments))}"))
    return value


def _as_one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    if value is None and type(None) in kinds:
        return None
    wanted = []
    for kind in kinds:
        try:
            if kind is not type(None):
                return _as_kind(kind, value)
        except TypeError as error:
            wanted.append(str(error))
    raise TypeError(" or ".join(wanted) + (", or None" if type(None) in kinds else ""))


def _as_tuple(kinds: tuple[Any, ...], value: Any) -> tuple:
    """Returns a list as a tuple, and a single value as a tuple of one where any number of them may be given."""
    items = value if isinstance(value, (list, tuple)) else [value]
    expected = [kinds[0]] * len(items) if kinds[-1] is ... else kinds
    try:
        return tuple(_as_kind(kind, item) for kind, item in zip(expected, items, strict=True))
    except (TypeError, ValueError):
        count = "" if kinds[-1] is ... else {2: "two "}.get(len(kinds), f"{len(kinds)} ")
        some_of = f"some of {', '.join(map(str, get_args(kinds[0])))}"
        raise TypeError(f"{count}{_ITEMS[kinds[0]]}" if kinds[0] in _ITEMS else some_of) from None


def kinds_of(options: Any) -> dict[str, Any]:
    """Returns the types of all options of a dataclass by name, those of its groups included."""
    hints = get_type_hints(options)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        kind = hints[field.name]
        found |= kinds_of(kind) if dataclasses.is_dataclass(kind) else {field.name: kind}
    return found


def wanted_of(kind: Any) -> str:
    """Returns what values of a type are, for people: "two whole numbers" for `tuple[int, int] | None`."""
    try:
        _as_kind(kind, object())
    except TypeError as error:
        wanted = str(error).removesuffix(", or None")
        return wanted if "number" in wanted else "a value"
    return "a value"


def named_unknown(names: Iterable[str], known: Iterable[str], likeness: float = 0.6) -> str:
    """Returns unknown names, each with the known one that it may stand for: "epoch (did you mean epochs?), size".

    Args:
        names: The unknown names.
        known: The known ones.
        likeness: The least likeness of the two, from 0 to 1.
    """
    closest = {name: difflib.get_close_matches(name, known, 1, likeness) for name in names}
    return ", ".join(name + "".join(f" (did you mean {other}?)" for other in near) for name, near in closest.items())


def option(field: str) -> str:
    """Returns the command-line option of a field: "--crop-size" for "crop_size"."""
    return f"--{field.replace('_', '-')}"


def as_text(value: object) -> str:
    """Returns a value for an error message, "none" for an empty one, and no more of a long one than one reads."""
    text = " ".join(as_words(value)) or "none"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


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


def one_of(names: tuple[str, ...], aliases: Mapping[str, str]) -> PrimitiveConstructorSpec:
    """Returns the parser of one of several names, or of an alias in any case."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(names)}}}",
        instance_from_str=lambda words: aliases.get(words[0].lower(), words[0]),
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value],
    )


def number(metavar: str) -> PrimitiveConstructorSpec:
    """Returns the parser of `float | None`."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: float(words[0]),
        is_instance=lambda value: value is None or isinstance(value, float),
        str_from_instance=lambda value: [] if value is None else [str(value)],
    )
