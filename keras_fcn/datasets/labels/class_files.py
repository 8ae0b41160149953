"""The file beside images and masks that says what the masks mean, whatever the layout."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.datasets.labels.class_names import read_class_names
from keras_fcn.datasets.labels.labelmap import LABELMAP, read_labelmap
from keras_fcn.datasets.labels.legend import Legend
from keras_fcn.errors import UserError

CLASS_FILES = (LABELMAP, "classes.txt", "class_names.txt")

_LIKE_CLASS_FILES = {
    "labels.txt", "label.txt", "names.txt", "class.txt", "classnames.txt", "label_names.txt", "label_colors.txt",
    "categories.txt", "classes.csv", "class_dict.csv", "labels.csv", "classes.json", "labels.json", "label_map.json",
    "obj.names", "classes.names", "dataset_meta.json", "data.yaml", "classes.yaml",
}  # fmt: skip
"""Names that other programs give to files of classes."""


def find_legend(root: Path) -> Legend | None:
    """Returns what the file of classes in a folder says, None if there is none.

    Raises:
        UserError: If there are two, a fault in it, or one in a folder inside, where it is not read.
    """
    files = _class_files(root)
    if len(files) > 1:
        raise UserError(f"{files[0]} and {files[1].name} both define the classes; remove one")
    if files:
        return read_labelmap(files[0]) if files[0].name.lower() == LABELMAP else read_class_names(files[0])
    inner = [path for name in CLASS_FILES for path in sorted(root.glob(f"*/{name}"))]
    if inner:
        raise UserError(f"{inner[0]}: is not read there; put it into {root}, beside the folders of images and masks")
    return None


def like_class_files(root: Path) -> tuple[str, ...]:
    """Returns a line about each file that looks like one of classes, but is none of `CLASS_FILES`."""
    found = sorted(path.name for path in root.iterdir() if path.name.lower() in _LIKE_CLASS_FILES and path.is_file())
    names = f"{', '.join(CLASS_FILES[:-1])} or {CLASS_FILES[-1]}"
    return tuple(f"{name} is not read; a file of classes is called {names}" for name in found)


def _class_files(folder: Path) -> list[Path]:
    found = {name.lower(): folder / name for name in (path.name for path in folder.iterdir()) if "." in name}
    return [found[name] for name in CLASS_FILES if name in found and found[name].is_file()]
