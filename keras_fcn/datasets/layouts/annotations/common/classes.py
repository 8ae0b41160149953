"""The classes of annotated objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keras_fcn.datasets.labels.legend import bare, is_void
from keras_fcn.errors import about
from keras_fcn.images.classes import VOID_LABEL, ClassTable


def class_table(
    source: Path, names: Sequence[str], background: str | None = "background"
) -> tuple[ClassTable, list[int]]:
    """Returns the classes of objects, and the class id of each of their names.

    Background, where no object is, has id 0. A name such as "void" or "__ignore__" is void, 255.

    Args:
        source: The file of the names, for error messages.
        names: The names, in the order of their ids.
        background: The name of background, if none of `names` is it; None if there shall be none then.

    Raises:
        UserError: If a name is there twice, or there are too many.
    """
    voids = [name for name in names if is_void(name)]
    grounds = [name for name in names if bare(name) == "background"]
    others = [name for name in names if name not in voids and name not in grounds]
    if not grounds and background is not None:
        grounds = [background]
    with about(source):
        classes = ClassTable.named([*grounds, *others])
    return classes, [VOID_LABEL if name in voids else classes.names.index(name) for name in names]
