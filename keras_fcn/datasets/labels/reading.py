"""How the masks of a data set are read, decided once over all of them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_fcn.datasets.labels import choice
from keras_fcn.datasets.labels.legend import NO_CLASS, Legend
from keras_fcn.errors import DataError
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.images.label_files.division import DIVISORS, NOTES, class_part
from keras_fcn.images.label_files.opening import WHITE_OF_16_BITS
from keras_fcn.images.masks import read_color_label, read_grey_label, read_label, read_value_label
from keras_fcn.images.photos import displayed_size
from keras_fcn.images.windows import is_window, read_pixels
from keras_fcn.system.text import shown

LabelReader = Callable[[Path], np.ndarray]
"""Decodes a label file to class ids uint8 [H, W], 255 for void; raises DataError."""


@dataclasses.dataclass(frozen=True)
class Masks:
    """All masks of a data set and what they mean, from which follows how they are read.

    Attributes:
        legend: The classes, and what stands for them.
        files: Lists the masks of all splits.
        by_color: Whether the colours of the VOC palette, too, stand for the classes.
    """

    legend: Legend
    files: Callable[[], Sequence[Path]]
    by_color: bool = False

    def choose(self) -> str:
        """Returns one of `choice.READINGS`.

        Raises:
            UserError: If the masks contradict each other or the legend.
        """
        return choice.choose_reading(self.files(), self.legend, self.by_color)

    @property
    def usual(self) -> str:
        """The reading of masks that were not looked at."""
        return choice.usual(self.legend, self.by_color)

    def reader(self, reading: str = "") -> LabelReader:
        """Returns the reader of a mask.

        Args:
            reading: One of `choice.READINGS`; the usual one if empty.
        """
        legend, classes, reading = self.legend, self.legend.classes, reading or self.usual
        hint = legend.hint
        read: Callable[..., np.ndarray] = functools.partial(read_grey_label, ids=legend.ids)
        if reading == choice.IDS or reading in DIVISORS:
            read = functools.partial(read_value_label, ids=legend.ids, divisor=DIVISORS.get(reading, 1))
        elif reading == choice.COLORS:
            read = read_color_label if legend.has_colors else read_label
        elif reading == choice.BLACK_AND_WHITE:
            black, white = choice.black_and_white(legend)
            ids = (black, *[NO_CLASS] * (VOID_LABEL - 1), white)
            read = functools.partial(read_grey_label, ids=ids, black_and_white=True)
            hint = "when this was chosen, all masks held 0 and 255 only"
        return functools.partial(_read, read=functools.partial(read, classes=classes), hint=hint)

    def notes(self, reading: str) -> tuple[str, ...]:
        """Returns what is worth saying about the classes and a reading."""
        return (*self.legend.notes, *filter(None, [self._note(reading)]))

    def _note(self, reading: str) -> str:
        file, names = Path(self.legend.source).name, (*self.legend.classes.names, *[""] * 256)
        if reading == choice.BLACK_AND_WHITE:
            black, white = (names[index] for index in choice.black_and_white(self.legend))
            return f"masks hold only 0 and 255: 0 is {black!r}, 255 is {white!r} ({file})"
        if reading == choice.LINE_NUMBERS:
            named = [f"{value} is {names[index]!r}" for value, index in enumerate(self.legend.ids) if names[index]]
            what = "ids of" if self.legend.has_ids else "positions in"
            return f"masks are grey and hold {what} {file}: {shown(named)}"
        if reading == choice.GREYS:
            return "palettes number their greys differently: greys, not indices, are ids"
        if reading == choice.IDS and (self.by_color or self.legend.has_colors):
            whose = f"those of {file}" if self.legend.has_colors else "VOC's"
            return f"palettes are not {whose}: indices, not colours, are ids"
        return NOTES.get(reading, "")


def reader(read: Callable[..., np.ndarray], *arguments: object) -> LabelReader:
    """Returns a `LabelReader` from a function of `images.masks` and its arguments after the path."""
    return functools.partial(_with_arguments, read=read, arguments=arguments)


def _with_arguments(path: Path, read: Callable[..., np.ndarray], arguments: tuple) -> np.ndarray:
    return read(path, *arguments)


def _read(path: Path, read: LabelReader, hint: str) -> np.ndarray:
    try:
        return read(path)
    except DataError as error:
        if not hint or error.kind not in ("id out of range", "unknown colour"):
            raise
        raise DataError(error.kind, f"{error}; {hint}") from None


def read_or_background(path: Path, read_label: LabelReader, without: frozenset[Path], background: int) -> np.ndarray:
    """Reads a label file; the label of an image without mask, which stands for itself, is background."""
    return np.full(displayed_size(path), background, np.uint8) if path in without else read_label(path)


def read_of_either(path: Path, mine: LabelReader, other: LabelReader, theirs: frozenset[Path]) -> np.ndarray:
    """Reads a label file of one of two splits; `theirs` are those that `other` reads."""
    return (other if path in theirs else mine)(path)


def read_mapped(path: Path, read_label: LabelReader, ids: tuple[int, ...]) -> np.ndarray:
    """Reads a label file to the ids that its own become."""
    return np.array(ids, np.uint8)[read_label(path)]


def read_or_window(path: Path, read_label: LabelReader) -> np.ndarray:
    """Reads a label file, or the class ids of a window of one."""
    return read_pixels(path) if is_window(path) else read_label(path)


class StoredValues(NamedTuple):
    """What the values of grey masks of 8 or 16 bits mean to a reader.

    Attributes:
        ids: The class id of each value, uint8 [65536]; `NO_CLASS` for what is an error.
        of_palettes: Whether the indices of a palette are such values, too.
    """

    ids: np.ndarray
    of_palettes: bool


def stored_values(read: LabelReader) -> StoredValues | None:
    """Returns what values mean to a reader; None if it may read some grey mask in another way."""
    function, given = _unwrapped(read)
    if function is _read:
        return stored_values(given["read"])
    if function in (read_mapped, read_or_background, read_or_window):
        found = stored_values(given["read_label"])
        if found is None or function is not read_mapped:
            return found
        ids = np.where(found.ids == NO_CLASS, NO_CLASS, np.array(given["ids"], np.uint8)[found.ids])
        return found._replace(ids=ids.astype(np.uint8))
    if function not in (read_label, read_value_label, read_grey_label):
        return None
    divisor, values = given.get("divisor", 1), np.arange(WHITE_OF_16_BITS + 1)
    values[WHITE_OF_16_BITS] = VOID_LABEL
    parts = class_part(values, divisor)
    is_value = (parts <= VOID_LABEL) & ((divisor != 256) | (values == 0) | (values >= VOID_LABEL))
    ids = np.where(is_value, np.array(given.get("ids", range(256)), np.uint8)[parts % 256], NO_CLASS)
    return StoredValues(ids.astype(np.uint8), function is read_value_label)


def _unwrapped(read: LabelReader) -> tuple[Callable[..., np.ndarray], dict[str, Any]]:
    """Returns the function of a reader, and its arguments by their names."""
    if not isinstance(read, functools.partial):
        return read, {}
    function, values, named = read.func, read.args, read.keywords
    if function is _with_arguments:
        function, values, named = named["read"], named["arguments"], {}
    return function, inspect.signature(function).bind(None, *values, **named).arguments


def described(value: object) -> str:
    """Returns a function with its arguments in words that are the same in every process.

    Those of an object that has no words of its own hold its address, " at 0x...", which is another in each.
    """
    if isinstance(value, functools.partial):
        given = [
            *map(described, value.args),
            *(f"{name}={described(of)}" for name, of in sorted(value.keywords.items())),
        ]
        return f"{described(value.func)}({', '.join(given)})"
    if isinstance(value, (tuple, frozenset)):
        texts = [*map(described, value)]
        return f"({', '.join(texts if isinstance(value, tuple) else sorted(texts))})"
    if isinstance(value, types.FunctionType) and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)
