"""Choosing how masks are read from what all of them hold; what stays unclear is an error, never a guess."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_fcn.datasets.labels.labelmap import EXAMPLE_LINE, LABELMAP
from keras_fcn.datasets.labels.legend import NO_CLASS, Legend
from keras_fcn.datasets.labels.survey import BLACK, WHITE, Colors, remembered, sound_contents, stored_palettes
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL, Color
from keras_fcn.images.label_files.content import LabelContent
from keras_fcn.images.label_files.division import BY_256, BY_1000, choose_division
from keras_fcn.system.text import shown

IDS, COLORS, GREYS, BLACK_AND_WHITE, LINE_NUMBERS = "ids", "colors", "greys", "black_and_white", "line_numbers"

READINGS = (IDS, COLORS, GREYS, BLACK_AND_WHITE, LINE_NUMBERS, BY_256, BY_1000)
"""Ways to read masks: by grey values or palette indices; by colours; by greys, whatever their palette index; white as
the second of two classes; by the positions of labels in labelmap.txt; by values that number objects, too, divided."""


def usual(legend: Legend, by_color: bool) -> str:
    """Returns the reading that masks mostly need."""
    in_order = all(index in (value, NO_CLASS) for value, index in enumerate(legend.ids))
    return COLORS if legend.has_colors or (by_color and in_order) else IDS


def black_and_white(legend: Legend) -> tuple[int, int]:
    """Returns the class ids of black and of white in masks of two classes: black by its colour, else the first."""
    colors = legend.classes.colors
    if not legend.has_colors:
        return 0, 1
    black = colors.index(BLACK) if BLACK in colors else legend.ids[0]
    return black, 1 - black


@remembered
def choose_reading(masks: Sequence[Path], legend: Legend, by_color: bool) -> str:
    """Returns one of `READINGS` for all masks of a data set.

    Mostly the headers of all masks and the content of the first one tell; of masks that differ in their palettes, or
    that hold nothing but black and white, all are decoded.

    Args:
        masks: The masks of all splits.
        legend: The classes, and what stands for them.
        by_color: Whether the colours of the VOC palette, too, stand for the classes.

    Raises:
        UserError: If masks contradict each other or the legend.
    """
    palettes, is_wide = stored_palettes(masks)
    if is_wide:
        holders = {value: content.path for content in sound_contents(masks) for value in content.values}
        if division := choose_division(holders, holders[max(holders)] if holders else masks[0].parent):
            return division
    if legend.has_colors:
        return _by_labelmap(masks, legend)
    settled = _number_alike(palettes) if not by_color else all(_is_palette_of(palette, legend) for palette in palettes)
    found = []
    for content in sound_contents(masks):
        if settled and not _is_black_and_white(content):
            return usual(legend, by_color)
        found.append(content)
    return _by_contents(found, legend, by_color)


def _is_palette_of(palette: np.ndarray, legend: Legend) -> bool:
    """Returns whether each value that stands for something has the colour of the legend, or its own grey."""
    ids = np.array(legend.ids)[: len(palette)]
    used = ids != NO_CLASS
    greys = np.arange(len(palette))[:, None].repeat(3, axis=1)
    return any(bool((palette[used] == each[used]).all()) for each in (legend.classes.palette()[ids], greys))


def _number_alike(palettes: list[np.ndarray]) -> bool:
    """Returns whether no index has two colours, and greys have their own index."""
    longest = max(palettes, key=len, default=np.zeros((0, 3), np.uint8))
    is_grey = bool((longest == longest[:, :1]).all()) and bool((longest[:, 0] != np.arange(len(longest))).any())
    return not is_grey and all((palette == longest[: len(palette)]).all() for palette in palettes)


def _is_black_and_white(content: LabelContent) -> bool:
    return not content.colors and {color for color, _ in content.values.values()} <= {BLACK, WHITE}


def _by_contents(found: Sequence[LabelContent], legend: Legend, by_color: bool) -> str:
    colors = Colors(found)
    if all(map(_is_black_and_white, found)) and WHITE in colors.colors:
        if colors.values <= {0, 1} and not colors.clash():
            return IDS if legend.is_own else usual(legend, by_color)
        if BLACK in colors.colors:
            return _require_two_classes(found, legend)
    if by_color:
        return _by_voc_colors(colors, legend)
    greys = colors.greys
    in_place = all(set(of_value) == {(value,) * 3} for value, of_value in colors.of_value.items())
    if greys is not None and not in_place and all(legend.ids[grey] != NO_CLASS for grey in greys):
        return GREYS
    require_one_palette(colors, f"replace {legend.source} by {Path(legend.source).with_name(LABELMAP)}")
    return IDS


def _by_voc_colors(colors: Colors, legend: Legend) -> str:
    """Returns whether palettes have VOC's colours or indices that are ids; `inspect_pairs` reports anything else."""
    known = {*legend.classes.colors, legend.classes.void_color}
    if all(color in known or color == (value,) * 3 for value, of in colors.of_value.items() for color in of):
        return usual(legend, by_color=True)
    is_known = all(legend.ids[value] != NO_CLASS for value in colors.values)
    return IDS if legend.is_own and is_known and not colors.clash() else COLORS


def _require_two_classes(found: Sequence[LabelContent], legend: Legend) -> str:
    """Returns that black and white are the two classes, or raises UserError with what masks hold."""
    classes = legend.classes
    if classes.num_classes == 2 and VOID_LABEL not in legend.ids[:VOID_LABEL]:
        return BLACK_AND_WHITE
    pixels = {color: sum(n for c in found for of, n in c.values.values() if of == color) for color in (BLACK, WHITE)}
    share = pixels[WHITE] / sum(pixels.values())
    raise UserError(
        f"{found[0].path.parent}: the masks ({len(found)} in all) hold only 0 and 255 ({share:.1%}), but "
        f"{legend.source} {_names(legend)}: 255 is void, so nothing but {classes.names[0]!r} is left; export masks of "
        f"ids, or {'write' if legend.is_own else 'put classes.txt beside them with'} two names, that of 0 first"
    )


def _names(legend: Legend) -> str:
    if not legend.is_own:
        return "are expected"
    return f"names {legend.classes.num_classes} classes{' and void' * (VOID_LABEL in legend.ids[:VOID_LABEL])}"


def require_one_palette(colors: Colors, fix: str) -> None:
    """Raises UserError if an index has different colours in two masks, as drawing programs renumber colours.

    Args:
        colors: The colours of values in all masks.
        fix: What to do with labelmap.txt.
    """
    if clash := colors.clash():
        index, ((before, earlier), (color, path)) = clash
        raise UserError(
            f"{earlier} and {path.name}: palette index {index} is {_text(before)} in one and {_text(color)} in "
            f"the other, so indices are no ids; {fix} with a line such as {EXAMPLE_LINE} for each colour"
        )


def _by_labelmap(masks: Sequence[Path], legend: Legend) -> str:
    """Returns whether masks are in colour or hold positions of labels; the first that is clear decides."""
    classes = legend.classes
    of_color = {red: i for i, (red, green, blue) in enumerate(classes.colors) if red == green == blue}
    if len(set(classes.void_color)) == 1:
        of_color[classes.void_color[0]] = VOID_LABEL
    greys, found, is_numbered = set[int](), list[LabelContent](), False
    for content in sound_contents(masks):
        new = Colors([content]).greys
        if content.colors or new is None:
            by_index = legend.has_ids and _is_numbered(content, legend) and _number_alike(stored_palettes(masks)[0])
            return IDS if by_index else COLORS
        for grey in new - greys:
            if grey in of_color and (legend.ids[grey] == NO_CLASS or grey == VOID_LABEL):
                return COLORS
            if grey not in of_color and legend.ids[grey] != NO_CLASS and grey != VOID_LABEL:
                is_numbered = True
        if is_numbered and new - {0, VOID_LABEL}:
            return LINE_NUMBERS
        greys |= new
        found.append(content)
    if greys == {0, VOID_LABEL}:
        return _require_two_classes(found, legend)
    if is_numbered:
        return LINE_NUMBERS
    unclear = [grey for grey in sorted(greys) if grey in of_color and legend.ids[grey] != of_color[grey]]
    if unclear:
        by_number, by_color = (_name(legend, of[unclear[0]]) for of in (legend.ids, of_color))
        values = shown(list(map(str, sorted(greys))))
        raise UserError(
            f"{found[0].path.parent}: the masks hold only {values}, and by {legend.source} {unclear[0]} is {by_number} "
            f"as the position of a line and {by_color} as a colour; order the lines by their greys"
        )
    return COLORS


def _is_numbered(content: LabelContent, legend: Legend) -> bool:
    """Returns whether the indices of a palette, not its colours, stand for classes."""
    known = {*legend.classes.colors, legend.classes.void_color}
    is_colored = bool(content.colors) or {color for color, _ in content.values.values()} <= known
    return not is_colored and all(legend.ids[value] != NO_CLASS for value in content.values)


def _name(legend: Legend, index: int) -> str:
    return "void" if index == VOID_LABEL else repr(legend.classes.names[index])


def _text(color: Color) -> str:
    return ",".join(map(str, color))
