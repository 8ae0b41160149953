"""Telling what a folder holds that is in no known layout: another tool's format, or folders of other names."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from keras_fcn.images.label_files.opening import MASK_SUFFIXES
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import walk_files
from keras_fcn.system.text import by_suffix

_LOOKED_AT, _READ, _SHOWN = 100_000, 1 << 16, 6

_EXPORT = 'export masks instead, such as CVAT\'s "Segmentation mask 1.1" or Roboflow\'s "Semantic Segmentation Masks"'


@dataclasses.dataclass(frozen=True)
class _Format:
    """A format that holds no masks of class ids.

    Attributes:
        name: Its name, after "this looks like".
        path: The end of a file's path.
        words: What stands in its first or last bytes, all of these.
        fix: What to do.
    """

    name: str
    path: re.Pattern[str]
    words: tuple[str, ...] = ()
    fix: str = _EXPORT


_JSON, _XML = re.compile(r"\.json$"), re.compile(r"\.xml$")

_FOLDER = "give the folder that holds it"

_COCO = "put it into this folder, or into annotations/ there, and its images beside it"

_FORMATS = (
    _Format(
        "Label Studio's brush masks, one for each label of a task",
        re.compile(r"task-\d+-annotation-\d+[^/]*\.png$"),
        fix="paint those of a task into one PNG of class ids, named like its image",
    ),
    _Format("labelme's JSON", _JSON, ('"shapes"', '"imagePath"'), _FOLDER),
    _Format("VGG Image Annotator's JSON", _JSON, ('"shape_attributes"',), _FOLDER),
    _Format("VGG Image Annotator 3's JSON", _JSON, ('"pid"', '"vid_list"'), "annotate in version 2"),
    _Format("Label Studio's JSON", _JSON, ('"from_name"', '"to_name"'), "export all tasks as one JSON"),
    _Format("Supervisely's JSON", _JSON, ('"classTitle"',), "give the project's folder, which holds meta.json"),
    _Format("COCO JSON", _JSON, ('"images"', '"annotations"'), _COCO),
    _Format("COCO JSON", _JSON, ('"annotations"', '"categories"'), _COCO),
    _Format("COCO's list of results", _JSON, ('"image_id"', '"category_id"')),
    _Format("CVAT's XML", _XML, ("<annotations>", "<image "), _FOLDER),
    _Format("PASCAL VOC's boxes", _XML, ("<annotation", "<bndbox>")),
    _Format("YOLO's labels", re.compile(r"\.txt$"), fix="put images into images/, these into labels/ beside it"),
    _Format(
        "the full ADE20K, with parts and instances",
        re.compile(r"ADE_(train|val)_\d+_seg\.png$"),
        fix="take the one of its Scene Parsing benchmark, ADEChallengeData2016",
    ),
    _Format("NIfTI volumes", re.compile(r"\.nii(\.gz)?$"), fix="write slices as images, their labels as PNGs of ids"),
    _Format("DICOM files", re.compile(r"\.dcm$"), fix="write them as PNGs of 8 bits, and their labels as PNGs of ids"),
    _Format("TFRecords", re.compile(r"\.tfrecords?([.-].*)?$"), fix="write their images as JPEGs, their masks as PNGs"),
    _Format("Parquet files", re.compile(r"\.parquet$"), fix="write their images as JPEGs, their masks as PNGs"),
)  # fmt: skip

_YOLO_LINE = re.compile(r"\d+( +-?\d*\.?\d+(e-?\d+)?){4,}\s*")


def foreign_format(folder: Path) -> str:
    """Returns which annotation tool's format a folder holds, and how to get masks from it; nothing if it is unknown."""
    files = list(itertools.islice(walk_files(folder), _LOOKED_AT)) if folder.is_dir() else []
    for form in _FORMATS:
        named = [file for file in files if form.path.search(file.as_posix())]
        for file in named[:_SHOWN]:
            if _is(form, file):
                return f"this looks like {form.name} ({file.relative_to(folder)}), which is not read; {form.fix}"
    return ""


def _is(form: _Format, file: Path) -> bool:
    if file.suffix not in (".json", ".xml", ".txt", ".yaml", ".yml"):
        return True
    try:
        with file.open("rb") as opened:
            start = opened.read(_READ)
            opened.seek(-min(_READ, file.stat().st_size), 2)
            text = (start + opened.read(_READ)).decode(errors="replace")
    except OSError:
        return False
    if file.suffix == ".txt":
        return bool(_YOLO_LINE.fullmatch(text.split("\n", 1)[0]))
    return all(word in text for word in form.words)


def contents(root: Path, known: Iterable[str]) -> str:
    """Returns what a folder holds, human-readable, with the known name that one of its folders may be meant to have.

    Args:
        root: The folder.
        known: Names of folders in known layouts, in lower case.
    """
    entries = [path for path in sorted(root.iterdir()) if not path.name.startswith(".")]
    folders = [path for path in entries if path.is_dir()]
    parts = [f"{path.name}/ ({by_suffix(walk_files(path)) or 'empty'})" for path in folders[:_SHOWN]]
    parts += [f"{len(folders) - _SHOWN} folders more"] if len(folders) > _SHOWN else []
    files = by_suffix(path for path in entries if not path.is_dir())
    known = list(known)
    meant = [
        f"is {path.name}/ meant to be {close[0]}/?"
        for path in folders
        if path.name.lower() not in known and (close := difflib.get_close_matches(path.name.lower(), known, 1, 0.75))
    ]
    beside = [line for folder in (root, *folders) if (line := _masks_beside_images(folder))]
    return "; ".join([", ".join(filter(None, [*parts, files])) or "nothing", *(beside or meant)[:1]])


def _masks_beside_images(folder: Path) -> str:
    """Returns that half of a folder's files are named like the others with an ending, as masks are; else nothing."""
    paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
    stems = {path.stem for path in paths if path.suffix.lower() in IMAGE_SUFFIXES}
    masks = [path for path in paths if path.suffix.lower() in MASK_SUFFIXES and _begins_with(path.stem, stems)]
    if masks and 2 * len(masks) >= len(paths):
        return f"{masks[0].name} seems to be the mask of an image beside it: move masks to a folder of their own"
    return ""


def _begins_with(stem: str, stems: set[str]) -> bool:
    return any(stem[: match.start()] in stems for match in re.finditer(r"[._-]", stem))
