"""What the values and colours in the masks of a data set stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from keras_fcn.errors import UserError, about
from keras_fcn.images.classes import VOID_LABEL, ClassTable, voc_palette
from keras_fcn.system.text import shown

NO_CLASS = 254
"""Stands for no class among the ids of a legend's values."""

VOID_NAMES = ("void", "ignore", "ignored", "unlabeled", "unlabelled")
"""Names that mean void, with or without underscores around them."""


@dataclasses.dataclass(frozen=True)
class Legend:
    """The classes of a data set, and the values and colours that stand for them in its masks.

    Attributes:
        source: The file of classes, or the data set whose classes they are, for messages.
        classes: The classes.
        ids: The class id of each grey value or palette index 0 to 255; 255 for void, `NO_CLASS` for none.
        has_colors: Whether the colours are those of the file, not those of the VOC palette.
        has_ids: Whether the values are those of the file, not positions in it.
        is_own: Whether a file beside the masks says so, not the layout.
        hint: What to do where a mask does not fit.
        notes: What was understood of the file and is worth saying.
    """

    source: str
    classes: ClassTable
    ids: tuple[int, ...]
    has_colors: bool = False
    has_ids: bool = False
    is_own: bool = True
    hint: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of_values(cls, path: Path, names: Mapping[int, str], hint: str = "") -> Legend:
        """Returns the legend of a file that names the values in masks; void's names are void.

        Args:
            path: The file.
            names: The name of each value, 0 to 254, or also 255 if it is void's.
            hint: What to do where a mask does not fit.

        Raises:
            UserError: If no class is left, there are too many, or 255 is a class.
        """
        voids = {value: name for value, name in names.items() if is_void(name)}
        if VOID_LABEL in names and VOID_LABEL not in voids:
            raise UserError(f"{path}: values of classes are 0 to 254, 255 is void. Received: 255 {names[VOID_LABEL]}")
        values = sorted(names.keys() - voids.keys())
        if not values:
            raise UserError(f"{path}: names no class; write a line for each, that of id 0 first")
        palette = voc_palette().tolist()
        colors = tuple((red, green, blue) for red, green, blue in (palette[value] for value in values))
        with about(path):
            classes = ClassTable(tuple(names[value] for value in values), colors)
        ids = id_of_values({value: index for index, value in enumerate(values)} | dict.fromkeys(voids, VOID_LABEL))
        notes = [f"{path.name}: {name!r}, value {value}, is void: it counts nowhere" for value, name in voids.items()]
        if values[-1] >= len(names):
            notes.append(f"{path.name}: {shown([f'{value} is {names[value]!r}' for value in values])}")
        return cls(str(path), classes, ids, hint=hint, notes=tuple(notes))

    @classmethod
    def of_layout(
        cls, source: str, classes: ClassTable, root: Path, void: int = VOID_LABEL, notes: tuple[str, ...] = ()
    ) -> Legend:
        """Returns the legend of a layout that brings its classes.

        Args:
            source: Whose classes they are.
            classes: The classes, whose ids are their values.
            root: The folder where a file of other classes belongs.
            void: A value that is void, besides 255.
            notes: What is worth saying about the folder.
        """
        ids = id_of_values({index: index for index in range(classes.num_classes)} | {void: VOID_LABEL})
        hint = f"these are {source}: for classes of your own, write {root / 'classes.txt'} with a name per line"
        return cls(source, classes, ids, is_own=False, hint=hint, notes=notes)


def id_of_values(ids: Mapping[int, int]) -> tuple[int, ...]:
    """Returns the class id of each value, 0 to 255: those given, void for 255, and none for others."""
    return (*(ids.get(value, NO_CLASS) for value in range(VOID_LABEL)), VOID_LABEL)


def is_void(name: str) -> bool:
    """Returns whether a class of this name is void."""
    return bare(name) in VOID_NAMES


def bare(name: str) -> str:
    """Returns a name in lower case, without underscores around it."""
    return name.strip("_").lower()
