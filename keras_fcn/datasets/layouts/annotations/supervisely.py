"""Supervisely's projects: meta.json with the classes, and ann/x.jpg.json beside img/x.jpg in each data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, Found, draw_pairs, no_areas
from keras_fcn.datasets.layouts.annotations.common.files import plain_name, read_json
from keras_fcn.datasets.layouts.annotations.common.splits import files_to_read
from keras_fcn.datasets.layouts.annotations.raster.supervisely import AREAS, draw_supervisely
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import walk_files
from keras_fcn.system.packages import require_packages

_META, _IMAGES, _ANNOTATIONS, _INNER = "meta.json", "img", "ann", "datasets"


def recognizes(root: Path) -> bool:
    """Returns whether there is a project's meta.json, and a data set with img/ and ann/."""
    return (root / _META).is_file() and bool(_data_sets(root))


def read_supervisely(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; classes are background and those of meta.json, in its order.

    Splits are the project's data sets. Figures are drawn in the order of the file, a later one over an earlier one.
    Images without a file have no mask.

    Args:
        root: The folder of the project.
        split: The name of a data set; where none is a split, "train", "val" or "all".

    Raises:
        UserError: If there is no such split, no data set, or meta.json is wrong.
    """
    shapes = _classes(root / _META)
    sets = _data_sets(root)
    if not sets:
        raise UserError(f"{root}: has no data set with {_IMAGES}/ and {_ANNOTATIONS}/; export the project with images")
    require_packages("the layout supervisely", "extra", "cv2", "shapely")
    classes, indices = class_table(root / _META, [_background(name) for name in shapes])
    ids = dict(zip(shapes, indices))
    names, divide = files_to_read(root, sets, split)
    found: list[Found] = []
    others: list[tuple[str, str]] = []
    for folder in (sets[name] for name in names):
        images, files = _images(folder), _files(folder)
        pairs = {image: files.pop(name) for name, image in images.items() if name in files}
        stems, shared = _by_stem([image for image in images.values() if image not in pairs])
        found += [_shared(files.pop(name), shared[name]) for name in shared if name in files]
        pairs |= {image: files.pop(name) for name, image in stems.items() if name in files}
        found += [image for image in images.values() if image not in pairs]
        found += [_annotation(image, file, shapes, ids, others) for image, file in pairs.items()]
        found += [_missing(path) for path in files.values()]
    found += no_areas(others)
    return draw_pairs("Supervisely project", split, root, found, classes, draw_supervisely, divide)


def _background(name: str) -> str:
    return "background" if name == "__bg__" else name  # as the SDK calls it


def _classes(path: Path) -> dict[str, str]:
    """Returns the shape of each class by its name."""
    content = read_json(path)
    entries = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("title"), str) for entry in entries
    ):
        raise UserError(f"{path}: has no list of classes, each with a title; export the project again")
    titles = [entry["title"] for entry in entries]
    twice = next((title for title in titles if titles.count(title) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: the class {twice!r} is there more than once; rename one")
    return {entry["title"]: str(entry.get("shape")) for entry in entries}


def _data_sets(root: Path) -> dict[str, Path]:
    """Returns the folders of a project that hold images and annotations, by their names; they may hold others."""
    found = [path.parent for path in sorted(root.glob(f"*/{_ANNOTATIONS}"))]
    for _ in range(4):
        found += [path.parent for folder in found for path in sorted(folder.glob(f"{_INNER}/*/{_ANNOTATIONS}"))]
    folders = {path for path in found if (path / _IMAGES).is_dir()}
    return {"/".join(part for part in path.relative_to(root).parts if part != _INNER): path for path in sorted(folders)}


def _images(folder: Path) -> dict[str, Path]:
    files = walk_files(folder / _IMAGES)
    return {plain_name(path.name): path for path in files if path.suffix.lower() in IMAGE_SUFFIXES}


def _by_stem(images: list[Path]) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """Returns images by their names without suffix, and those that share one."""
    groups: dict[str, list[Path]] = {}
    for path in images:
        groups.setdefault(plain_name(path.stem), []).append(path)
    alone = {name: group[0] for name, group in groups.items() if len(group) == 1}
    return alone, {name: group for name, group in groups.items() if len(group) > 1}


def _files(folder: Path) -> dict[str, Path]:
    """Returns the files of annotations by the names of their images, in older versions without suffix."""
    files = walk_files(folder / _ANNOTATIONS)
    return {plain_name(path.stem): path for path in files if path.suffix == ".json"}


def _shared(path: Path, images: list[Path]) -> DataError:
    names = " and ".join(image.name for image in images)
    fix = f"rename it to {images[0].name}.json if it is that image's"
    return DataError("several images", f"{path}: may annotate each of {names}; {fix}")


def _missing(path: Path) -> DataError:
    name = path.name.removesuffix(".json")
    where = path.parent.with_name(_IMAGES)
    return DataError("missing photo", f"{path}: the image {name!r} is missing in {where}; add it, or remove this file")


def _annotation(
    image: Path, path: Path, shapes: dict[str, str], ids: dict[str, int], others: list[tuple[str, str]]
) -> Annotation | DataError:
    """Returns what is drawn on an image, or a fault; figures that are no areas are added to `others`."""
    try:
        content = read_json(path)
    except UserError as error:
        return DataError("broken JSON", str(error))
    figures = content.get("objects") if isinstance(content, dict) else None
    if not isinstance(figures, list) or not all(isinstance(figure, dict) for figure in figures):
        return DataError("broken JSON", f"{path}: has no list of objects; export the project again")
    size = content.get("size") if isinstance(content.get("size"), dict) else {}
    height, width = size.get("height"), size.get("width")
    if type(height) is not int or type(width) is not int:
        return DataError(
            "size mismatch", f"{path}: its size must have height and width. Received: {content.get('size')!s:.60}"
        )
    others += [(str(path), _kind(figure, shapes)) for figure in figures if _kind(figure, shapes) not in AREAS]
    try:
        return Annotation(image, str(path), tuple(_drawn(str(path), figures, shapes, ids)), (height, width))
    except DataError as fault:
        return fault


def _kind(figure: dict[str, Any], shapes: dict[str, str]) -> str:
    """Returns a figure's kind, which older files leave to its class."""
    return str(figure.get("geometryType") or figure.get("shape") or shapes.get(str(figure.get("classTitle"))))


def _drawn(
    source: str, figures: list[dict], shapes: dict[str, str], ids: dict[str, int]
) -> Iterator[tuple[int, str, dict]]:
    for figure in figures:
        kind, title = _kind(figure, shapes), figure.get("classTitle")
        if not isinstance(title, str) or title not in ids:
            raise DataError("unknown class", f"{source}: {title!r} is none of the classes of {_META}; add it there")
        if kind in AREAS:
            yield ids[title], kind, {key: figure[key] for key in ("points", "parts", "bitmap") if figure.get(key)}
