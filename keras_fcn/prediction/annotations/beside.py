"""Files written once for all images: of their classes before the first, of all their annotations after the last."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pkgutil import resolve_name

from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import ClassTable
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.prediction.plan import Existing, Plan, location_in
from keras_fcn.runs.names import OUTPUTS
from keras_fcn.system.storage import files_in, read_bytes, write_bytes


def write_about(
    out: str, outputs: Sequence[str], classes: ClassTable, style: AnnotationStyle, existing: Existing, planned: Plan
) -> None:
    """Writes what annotation tools must know of the classes.

    Args:
        out: A folder or a location in an object store.
        outputs: Names of `OUTPUTS`.
        classes: The model's classes.
        style: The style of annotations.
        existing: The treatment of existing files.
        planned: All tasks.

    Raises:
        UserError: If a tool cannot hold a class's name, or files of an earlier call are of other classes.
    """
    entries = [(output, about) for output in outputs if (about := OUTPUTS[output].about) is not None]
    contents = {output: resolve_name(function)(classes, style) for output, (_, function) in entries}
    for output, (name, _) in entries:
        file = location_in(out, name)
        is_there = bool(files_in(file))
        if is_there and read_bytes(file) != contents[output] and (existing == "skip" or _others(out, output, planned)):
            raise UserError(
                f"{file}: what was written there before has other classes or another kind of shapes; "
                f"choose another {argument('out')}"
            )
    for output, (name, _) in entries:
        write_bytes(location_in(out, name), contents[output])


def _others(out: str, output: str, planned: Plan) -> list[str]:
    """Returns the files in an output's folder that this call does not write anew."""
    own = {os.path.normpath(task.targets[output]) for task in planned.tasks}
    entry = OUTPUTS[output]
    found = files_in(location_in(out, f"{output}/{entry.folder}".removesuffix("/")))
    return [file for file in found if file.endswith(entry.suffix) and os.path.normpath(file) not in own]


def write_merged(out: str, outputs: Sequence[str], planned: Plan) -> list[str]:
    """Writes one file of the annotations of all images: those of this call, then those of earlier calls.

    Args:
        out: A folder or a location in an object store.
        outputs: Names of `OUTPUTS`.
        planned: All tasks.

    Returns:
        Lines about files that are left out, human-readable.
    """
    lines = []
    for output in outputs:
        if (merged := OUTPUTS[output].merged) is None:
            continue
        own = [task.targets[output] for task in planned.tasks if not task.source.is_video]
        file, left_out = location_in(out, merged[0]), list[bytes]()
        pieces = resolve_name(merged[1])(_contents([*own, *_others(out, output, planned)]), left_out)
        write_bytes(file, b"".join(pieces))
        if left_out:
            folder = location_in(out, output)
            lines.append(f"{file}: leaves out {len(left_out)} files of other classes in {folder}")
    return lines


def _contents(files: Iterable[str]) -> Iterator[bytes]:
    for file in files:
        try:
            yield read_bytes(file)
        except UserError:
            continue  # it failed, and has been reported
