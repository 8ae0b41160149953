"""Writes a data set of any layout as VOC's folders or COCO's JSON: `python -m keras_fcn.convert --help` explains it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from keras_fcn.commands.to_coco import changed_ids, write_coco
from keras_fcn.datasets import Pairs, open_splits
from keras_fcn.datasets.inspection import left_out, require_sound
from keras_fcn.datasets.labels.labelmap import LABELMAP
from keras_fcn.datasets.layouts.listed import IMAGES, MASKS
from keras_fcn.datasets.layouts.voc import LISTS
from keras_fcn.datasets.layouts.writing import write_classes
from keras_fcn.errors import Remark, UserError
from keras_fcn.images.masks import write_label
from keras_fcn.images.windows import copy_image
from keras_fcn.runs.data_options import SourceOptions, SplitsOption
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.files import new_folder, written
from keras_fcn.system.machine import granted_cores
from keras_fcn.system.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class ConvertOptions(SourceOptions):
    """Writes a data set of any layout, annotations included, as VOC's folders or COCO's JSON, with the same pixels.

    Images are copied as they are, masks are upright as the images are displayed. In VOC's folders masks are palette
    PNGs, and labelmap.txt has the classes and their colours, as CVAT's "Segmentation mask 1.1" has them. In COCO's JSON
    they are run lengths of objects, without colours; void is a category of that name.
    """

    data: Annotated[Positional[str], arg(metavar="DIR")] = dataclasses.field()
    """A folder of images and masks or annotations, or `toy` for the embedded data set."""

    out: Annotated[Positional[Path], arg(metavar="OUT")] = dataclasses.field(kw_only=True)
    """The folder to write; it must not exist yet, or be empty."""

    to: Literal["voc", "coco"] = "voc"
    """What to write: VOC's folders, or COCO's JSON of objects beside images/."""

    splits: SplitsOption = ("train", "val")
    """The splits to write."""


def main() -> int:
    """Converts, prints what was written, and returns the exit status."""
    options = parse_options(ConvertOptions, sys.argv[1:])
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise UserError(f"{options.out}: already exists; choose another folder, or remove it")
    splits = open_splits(options.data, options.splits, **options.listing)
    findings = [finding for pairs in splits for finding in pairs.findings]
    require_sound(findings)
    images = tuple(image for pairs in splits for image in pairs.images)
    with (
        written(options.out),
        progress_bar(len(images), "pair", options.out.name) as bar,
        new_folder(options.out) as folder,
    ):
        write = write_coco if options.to == "coco" else _write_voc
        write(folder, splits, dict(zip(images, dataclasses.replace(splits[0], images=images).names)), bar.update)
    counts = ", ".join(f"{len(pairs)} of {pairs.split}" for pairs in splits)
    print(f"{options.out}: {splits[0].layout}, {splits[0].classes.num_classes} classes, {counts}")
    notes = [*splits[0].mask_notes, changed_ids(splits[0].classes) if options.to == "coco" else ""]
    print("".join(f"{note}\n" for note in notes if note), end="")
    for finding in dict.fromkeys(str(finding) for finding in findings if isinstance(finding, Remark)):
        print(f"note: {finding}")
    if lines := left_out(findings, options.arguments):
        print(lines)
    return 0


def _write_voc(root: Path, splits: list[Pairs], names: dict[Path, str], advance: Callable[[], object]) -> None:
    """Writes lists, classes, images and masks.

    Args:
        root: The folder to write to.
        splits: The splits of a data set.
        names: The name of each image, without suffix; it may have folders.
        advance: Called after every pair.
    """
    write_classes(root / LABELMAP, splits[0].classes)
    (root / LISTS).mkdir(parents=True)

    def write_pair(pairs: Pairs, image: Path, label: Path) -> None:
        copy_image(image, root / IMAGES, names[image])
        write_label(root / MASKS / f"{names[image]}.png", pairs.read_label(label), pairs.classes)
        advance()

    with ThreadPoolExecutor(granted_cores()) as threads:
        for pairs in splits:
            lines = "".join(f"{names[image]}\n" for image in pairs.images)
            (root / LISTS / f"{pairs.split}.txt").write_text(lines, encoding="utf-8")
            for _ in threads.map(write_pair, [pairs] * len(pairs), pairs.images, pairs.labels):
                pass
