"""Predicting files: which photographs are meant, and where their masks and overlays go."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_fcn.errors import UserError
from keras_fcn.files import replaced_file
from keras_fcn.image_files import IMAGE_SUFFIXES, read_image, write_label
from keras_fcn.inference import Predictor
from keras_fcn.overlays import overlay_with_legend


@dataclasses.dataclass(frozen=True)
class Task:
    """One photograph to segment.

    Attributes:
        photo: The file to read.
        mask: The palette PNG to write.
        overlay: The picture to write.
    """

    photo: Path
    mask: Path
    overlay: Path

    def run(self, predictor: Predictor) -> None:
        """Segments the photograph and writes both files.

        Raises:
            UserError: If the photograph cannot be decoded or a file cannot be written.
        """
        image = read_image(self.photo)
        ids = predictor(image)
        write_label(self.mask, ids, predictor.classes)
        with replaced_file(self.overlay) as temporary:
            overlay_with_legend(image, ids, predictor.classes).save(temporary, format="PNG")


def plan(paths: Sequence[Path], out: Path) -> list[Task]:
    """Lists the photographs in files and folders, with the files to write for each.

    Masks go to `out`/masks, overlays to `out`/overlays. Folders are searched with all folders in them, whose structure
    is kept. Photographs whose names differ in the suffix alone keep it in the names of their masks.

    Args:
        paths: Files and folders.
        out: The folder to write to.

    Raises:
        UserError: If a path does not exist, a folder holds no photograph, two photographs would be written to one
            file, or a file to write exists already.
    """
    photos = [found for path in paths for found in _find_photos(path)]
    stems = collections.Counter(relative.with_suffix("") for _, relative in photos)
    tasks: list[Task] = []
    taken: dict[Path, Path] = {}
    for photo, relative in photos:
        stem = relative.with_suffix("")
        name = stem if stems[stem] == 1 else relative
        task = Task(photo, out / "masks" / f"{name}.png", out / "overlays" / f"{name}.png")
        if task.mask in taken:
            raise UserError(
                f"{taken[task.mask]} and {photo}: both would become {task.mask}; predict them into two folders"
            )
        for path in (task.mask, task.overlay):
            if path.exists():
                raise UserError(f"{path}: exists already; choose another --out or remove it")
        taken[task.mask] = photo
        tasks.append(task)
    return tasks


def _find_photos(path: Path) -> list[tuple[Path, Path]]:
    """Returns photographs with their paths relative to the folder that was named."""
    if path.is_file():
        return [(path, Path(path.name))]
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder")
    found = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
    if not found:
        raise UserError(f"{path}: holds no photograph ({', '.join(IMAGE_SUFFIXES)})")
    return [(file, file.relative_to(path)) for file in found]
