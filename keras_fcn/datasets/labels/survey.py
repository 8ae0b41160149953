"""What all masks of a data set hold, looked at no longer than a question needs."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import Color
from keras_fcn.images.label_files.content import LabelContent, label_content
from keras_fcn.images.label_files.opening import label_bytes, label_header
from keras_fcn.images.pillow import palette_of
from keras_fcn.runs.known_files import KnownFiles, known_files
from keras_fcn.system.machine import DECODING, decoding_threads

BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_FIRST, _CHUNK = 2, 64  # so many masks are decoded at first, since they mostly answer; then so many at a time

_REMEMBERED = 1000
"""Values of a mask that are remembered: more are no ids."""

Answer = TypeVar("Answer")


def all_masks(
    listed: Mapping[str, Path], list_masks: Callable[[Path], Mapping[str, Path]], others: Iterable[Path]
) -> list[Path]:
    """Returns the masks of one split and of the folders of all others; a split with a fault tells it when it is opened.

    Args:
        listed: The masks of the split, by name.
        list_masks: Lists the masks of a folder by name.
        others: The folders of the other splits' masks.
    """
    found = list(listed.values())
    for folder in others:
        with contextlib.suppress(UserError):
            found += list_masks(folder).values()
    return sorted(found, key=lambda path: path.parts)  # compared as paths, in a tenth of the time


def remembered(survey: Callable[..., Answer]) -> Callable[..., Answer]:
    """Lets a function of masks and other arguments answer from memory while the masks' files stay as they are."""

    @functools.lru_cache(maxsize=4)
    def cached(masks: tuple[Path, ...], _: tuple, *arguments: object) -> Answer:
        return survey(masks, *arguments)

    @functools.wraps(survey)
    def answer(masks: Sequence[Path], *arguments: object) -> Answer:
        return cached(tuple(masks), tuple(map(_identity, masks)), *arguments)

    return answer


def _identity(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ino


def contents(masks: Iterable[Path]) -> Iterator[LabelContent | DataError]:
    """Decodes masks on all cores, some at a time; a mask that cannot be decoded gives its error.

    Those in `known_files` are not decoded again, unless they are in colour.
    """
    paths, size, content = iter(masks), _FIRST, functools.partial(_content, known=known_files())
    with decoding_threads() as threads:
        while chunk := list(itertools.islice(paths, size)):
            yield from threads.map(content, chunk)
            size = _CHUNK


def _content(path: Path, known: KnownFiles) -> LabelContent | DataError:
    values = known.get(path, "values")
    if values is not None:
        return LabelContent(path, {value: ((red, green, blue), count) for value, (red, green, blue), count in values})
    try:
        with DECODING.taking(label_bytes(path)):
            content = label_content(path)
    except DataError as error:
        return error
    if not content.colors and len(content.values) <= _REMEMBERED:  # of others there may be many
        known.put(path, "values", [[value, color, count] for value, (color, count) in content.values.items()])
    return content


def sound_contents(masks: Iterable[Path]) -> Iterator[LabelContent]:
    """Decodes masks as `contents` does, and leaves out those that cannot be decoded: `inspect_pairs` reports them."""
    return (content for content in contents(masks) if isinstance(content, LabelContent))


def stored_palettes(masks: Iterable[Path]) -> tuple[list[np.ndarray], bool]:
    """Returns the different palettes that masks store, each uint8 [N, 3], and whether masks have more than 8 bits.

    Only headers are read.
    """
    found: dict[bytes, None] = {}
    is_wide = False
    for path in masks:
        with contextlib.suppress(DataError):
            header = label_header(path)
            is_wide = is_wide or header.is_wide
            if header.palette is not None:
                found.setdefault(header.palette)
    return [palette_of(palette)[: len(palette) // 3] for palette in found], is_wide


class Colors:
    """The colours that values have in masks.

    Args:
        found: What masks hold.
    """

    def __init__(self, found: Iterable[LabelContent]) -> None:
        self.of_value: dict[int, dict[Color, Path]] = {}
        for content in found:
            for value, (color, _) in content.values.items():
                self.of_value.setdefault(value, {}).setdefault(color, content.path)

    @property
    def values(self) -> set[int]:
        """The values in use."""
        return set(self.of_value)

    @property
    def colors(self) -> set[Color]:
        """The colours in use."""
        return {color for colors in self.of_value.values() for color in colors}

    @property
    def greys(self) -> set[int] | None:
        """The greys in use; None if a colour is no grey."""
        colors = self.colors
        return {red for red, _, _ in colors} if all(len(set(color)) == 1 for color in colors) else None

    def clash(self) -> tuple[int, list[tuple[Color, Path]]] | None:
        """Returns a value that has two colours, with these and a mask of each; None if there is none."""
        return next(
            ((value, list(colors.items())[:2]) for value, colors in self.of_value.items() if len(colors) > 1), None
        )
