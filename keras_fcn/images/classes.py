"""Class names, colours and ids: the two-way table between a mask's RGB and class ids."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_fcn.errors import DataError, UserError

VOID_LABEL = 255
"""The id of pixels that count in neither loss nor metrics."""

VOC_CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

_UNKNOWN = 254  # the colour table's value for a colour without a class; neither a class id nor void

Color = tuple[int, int, int]


def voc_palette() -> np.ndarray:
    """Returns the 256 colours of the PASCAL VOC palette, all distinct; row 255 is void's (224, 224, 192).

    Bit j of a class id, counted from the lowest, goes to channel j % 3, from that channel's highest bit down
    (`VOClabelcolormap` in the VOC devkit).

    Returns:
        uint8 [256, 3], RGB.
    """
    ids = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colors[:, bit % 3] |= ((ids >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return colors


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """The classes of a data set, in the order of their ids, with their colours.

    Attributes:
        names: One name per class id, background included; at most 254, since 255 is void.
        colors: One RGB colour per class id.
        void_color: The colour of void pixels (id 255).

    Raises:
        UserError: If names and colours differ in number, or a name or a colour occurs twice.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    void_color: Color = (224, 224, 192)

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= _UNKNOWN:
            raise UserError(f"a class table holds 1 to {_UNKNOWN} classes. Received: {len(self.names)}")
        if len(self.names) != len(self.colors):
            raise UserError(f"{len(self.names)} class names, but {len(self.colors)} colours: give each class one")
        for name in self.names:
            if not name.isascii() and (name.encode(errors="replace").decode() != name):
                raise UserError(f"the class name {name!r} has letters that are none of Unicode; rename it")
        for what, values in (("class name", self.names), ("colour", (*self.colors, self.void_color))):
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise UserError(f"{what} {twice} occurs twice: each must belong to one class id")

    @classmethod
    def voc(cls) -> ClassTable:
        """Returns the 21 classes of PASCAL VOC."""
        return cls.named(VOC_CLASS_NAMES)

    @classmethod
    def numbered(cls, num_classes: int) -> ClassTable:
        """Returns VOC's classes if there are 21, else `background`, `class1`, ... in the colours of the VOC palette."""
        if num_classes == len(VOC_CLASS_NAMES):
            return cls.voc()
        return cls.named(["background", *(f"class{index}" for index in range(1, num_classes))])

    @classmethod
    def named(cls, names: Sequence[str]) -> ClassTable:
        """Returns a table of these names in the colours of the VOC palette."""
        colors = voc_palette()[: len(names)].tolist()
        return cls(tuple(names), tuple((r, g, b) for r, g, b in colors))

    @classmethod
    def from_dict(cls, table: dict) -> ClassTable:
        """Returns the table that `to_dict` described.

        Raises:
            UserError: If a name is no text, or a colour is not of three numbers from 0 to 255.
        """
        colors = [tuple(color) for color in (*table["colors"], table["void_color"])]
        for color in colors:
            if len(color) != 3 or not all(type(value) is int and 0 <= value <= 255 for value in color):
                raise UserError(f"a colour is three numbers from 0 to 255. Received: {color!s:.60}")
        if other := [name for name in table["names"] if not isinstance(name, str)]:
            raise UserError(f"the name of a class is a text. Received: {other[0]!s:.60}")
        return cls(tuple(table["names"]), tuple(colors[:-1]), colors[-1])

    def to_dict(self) -> dict:
        """Returns the table as lists, for JSON and for a layer's config."""
        return {
            "names": list(self.names),
            "colors": [list(color) for color in self.colors],
            "void_color": list(self.void_color),
        }

    @property
    def num_classes(self) -> int:
        """The number of classes, background included and void left out."""
        return len(self.names)

    @property
    def background(self) -> int | None:
        """The id of the class named background, or None if there is none."""
        return next((index for index, name in enumerate(self.names) if name.strip("_").lower() == "background"), None)

    def palette(self) -> np.ndarray:
        """Returns the RGB colour of each of the 256 ids, uint8 [256, 3].

        Ids that are no class keep the colours of the VOC palette, since a palette file has 256 entries.
        """
        palette = voc_palette()
        palette[: self.num_classes] = self.colors
        palette[VOID_LABEL] = self.void_color
        return palette

    def to_ids(self, rgb: np.ndarray) -> np.ndarray:
        """Returns the id of each RGB pixel.

        Args:
            rgb: uint8 [..., 3].

        Returns:
            uint8 [...], class ids and 255 where the colour is void's.

        Raises:
            UserError: If a colour belongs to no class; the message names the most frequent one and its pixel count.
        """
        packed = _pack(rgb)
        ids = _id_of_packed_color(self)[packed]
        unknown = packed[ids == _UNKNOWN]
        if unknown.size:
            raise unknown_colors(unknown, self)
        return ids

    def to_rgb(self, ids: np.ndarray) -> np.ndarray:
        """Returns the colour of each id, uint8 [..., 3]: the inverse of `to_ids`.

        Args:
            ids: Integers [...], class ids or 255.

        Raises:
            UserError: If an id is neither a class nor void.
        """
        self.require_known(ids)
        return self.palette()[ids]

    def known(self, rgb: np.ndarray) -> np.ndarray:
        """Returns whether each colour belongs to a class or to void: boolean [...] for uint8 [..., 3]."""
        return _id_of_packed_color(self)[_pack(rgb)] != _UNKNOWN

    def require_known(self, ids: np.ndarray) -> None:
        """Raises DataError if an id is neither a class nor void, with the most frequent one and its pixel count."""
        wrong = ids[(ids >= self.num_classes) & (ids != VOID_LABEL)]
        if wrong.size:
            raise DataError("id out of range", self.describe_wrong_id(*most_frequent(wrong)))

    def describe_wrong_id(self, value: int, pixels: int, kinds: int) -> str:
        """Returns the error message about the most frequent of `kinds` values that are no class ids."""
        others = f" and {kinds - 1} other id{'s' * (kinds > 2)}" if kinds > 1 else ""
        known = f"ids here are 0 to {self.num_classes - 1}, and {VOID_LABEL} for void"
        return f"class id {value} ({pixels} pixels){others} is out of range: {known}; fix the mask or the class list"


def split_names(text: str, separator: str, names: Sequence[str]) -> list[str]:
    """Returns the names in a text, between which a separator stands; a class of that name may hold it itself.

    Args:
        text: The text.
        separator: The separator, a single letter.
        names: The names of the classes.
    """
    parts, found = text.split(separator), []
    while parts:
        joined = [separator.join(parts[:count]).strip() for count in range(1, len(parts) + 1)]
        count = next((count for count in range(len(parts), 0, -1) if joined[count - 1] in names), 1)
        found.append(joined[count - 1])
        parts = parts[count:]
    return found


def _pack(rgb: np.ndarray) -> np.ndarray:
    """Returns each uint8 [..., 3] colour as one integer 0xRRGGBB."""
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


@functools.lru_cache(maxsize=8)
def _id_of_packed_color(classes: ClassTable) -> np.ndarray:
    """Returns the lookup table uint8 [2 ** 24]: packed colour -> id, 254 where the colour is unknown."""
    table = np.full(1 << 24, _UNKNOWN, np.uint8)
    table[_pack(np.array(classes.colors, np.uint8))] = np.arange(classes.num_classes)
    table[_pack(np.array(classes.void_color, np.uint8))] = VOID_LABEL
    return table


def most_frequent(values: np.ndarray) -> tuple[int, int, int]:
    """Returns the most frequent integer, its count, and the number of distinct integers."""
    different, counts = np.unique(values, return_counts=True)
    most = np.argmax(counts)
    return int(different[most]), int(counts[most]), len(different)


def unknown_colors(packed: np.ndarray, classes: ClassTable) -> DataError:
    """Returns the error about colours that belong to no class, with the likely cause and its fix.

    Args:
        packed: Unknown colours, one 0xRRGGBB per pixel, not empty.
        classes: The table that lacks them.
    """
    most, count, kinds = most_frequent(packed)
    color = (most >> 16, most >> 8 & 255, most & 255)
    others = f" and {kinds - 1} other unknown colours ({packed.size} pixels in all)" if kinds > 1 else ""
    if classes.known(np.array(color[::-1], np.uint8)):
        kind, fix = "swapped channels", "with red and blue swapped it does, as after OpenCV's imwrite: swap them back"
    else:
        kind, fix = _likely_cause(np.unique(packed), color, classes)
    return DataError(kind, f"colour {color} ({count} pixels){others} belongs to no class; {fix}")


_FEW_COLORS = 8  # up to this many unknown colours are deliberate; compression and smoothing make more


def _likely_cause(packed: np.ndarray, most: Color, classes: ClassTable) -> tuple[str, str]:
    """Returns the kind of fault that explains the unknown colours, and its fix."""
    known = np.array([*classes.colors, classes.void_color], float)
    names = (*classes.names, "void")
    sample = packed[:: max(1, packed.size // 500)]
    colors = np.stack([sample >> 16, sample >> 8 & 255, sample & 255], axis=-1).astype(float)
    if packed.size > _FEW_COLORS and (_distance_to_mixtures(colors, known) <= 3).mean() > 0.95:
        return "anti-aliased mask", "they mix two classes' colours: export the mask without anti-aliasing"
    distance = np.abs(colors[:, None] - known).max(axis=-1).min(axis=1)
    if packed.size > _FEW_COLORS and (distance <= 64).mean() > 0.8:
        return "compressed mask", "they lie around the classes' colours, as after JPEG compression: export it as a PNG"
    if len(set(most)) == 1 and most[0] <= classes.num_classes:
        fix = "export all masks in the classes' colours, or all as grey ids"
        return "unknown colour", f"the grey {most[0]} may be an id: {fix}"
    nearest = int(np.argmin(np.abs(known - most).max(axis=1)))
    if np.abs(known[nearest] - most).max() <= 16:
        right = tuple(int(value) for value in known[nearest])
        return "unknown colour", f"{names[nearest]} is {right}: paint it in that colour"
    return "unknown colour", "give it a class, or fix the mask"


def _distance_to_mixtures(colors: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns the distance of each colour [N, 3] to the nearest line segment between two known ones [K, 3]."""
    first, second = np.triu_indices(len(known), 1)
    start, direction = known[first], known[second] - known[first]
    best = np.full(len(colors), np.inf)
    for index, color in enumerate(colors):
        along = np.clip(((color - start) * direction).sum(axis=1) / (direction**2).sum(axis=1), 0, 1)
        best[index] = np.abs(start + along[:, None] * direction - color).max(axis=1).min()
    return best


def class_fractions(ids: np.ndarray, classes: ClassTable) -> list[tuple[int, float]]:
    """Returns the class ids that occur in `ids` with their fractions of all pixels, the largest first.

    Args:
        ids: uint8 [H, W], class ids or 255.
        classes: The table that the ids belong to.
    """
    counts = Image.fromarray(ids).histogram()  # ten times as fast as NumPy's bincount
    present = [(index, count / ids.size) for index, count in enumerate(counts) if count]
    return sorted((item for item in present if item[0] < classes.num_classes), key=lambda item: -item[1])
