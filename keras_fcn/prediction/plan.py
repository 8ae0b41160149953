"""Planning a prediction: the files to read and to write."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from keras_fcn.errors import UserError, argument
from keras_fcn.prediction.sources import Source
from keras_fcn.runs.names import OUTPUTS
from keras_fcn.system.files import remove_unfinished, short_name
from keras_fcn.system.storage import files_in, is_remote

Existing = Literal["refuse", "overwrite", "skip"]
"""The treatment of existing output files."""

VIDEO_SUFFIX = ".mp4"

RASTER_SUFFIXES = {"masks": ".tif", "probabilities": ".tif", "confidence": ".tif"}
"""Suffixes of a GeoTIFF's files that lie on the same place of the map."""

_FRAME = re.compile(r"/\d{6,}$")


@dataclasses.dataclass(frozen=True)
class Task:
    """An image or video, and the files to write for it.

    Attributes:
        source: The image or video.
        targets: Locations of the files to write, by the names of `OUTPUTS`. For a video, all but overlays are folders
            with a file for each frame.
    """

    source: Source
    targets: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Plan:
    """All tasks, and the remaining ones.

    Attributes:
        tasks: All tasks, in the order of the sources, with all targets.
        left: The tasks with missing targets, with these targets only.
    """

    tasks: list[Task]
    left: list[Task]


def plan(sources: Sequence[Source], out: str, outputs: Sequence[str], existing: Existing = "refuse") -> Plan:
    """Names the files to write, `out`/OUTPUT/NAME.SUFFIX, and finds existing ones.

    Names keep their folders. Sources whose names differ only in the suffix keep it. Temporary files of a killed
    prediction are removed.

    Args:
        sources: Images and videos to predict.
        out: A folder or a location in an object store.
        outputs: Names of `OUTPUTS`.
        existing: Whether existing files are an error, replaced, or kept and skipped.

    Raises:
        UserError: If two sources would be written to one file, or a file exists and `existing` is "refuse".
    """
    tasks = _tasks(sources, out, outputs)
    targets = {target for task in tasks for target in task.targets.values()}
    remove_temporary_files(targets)
    found = _existing(out, outputs, targets) if existing != "overwrite" else set()
    if existing == "refuse":
        first = next((target for task in tasks for target in task.targets.values() if target in found), None)
        if first is None:
            first = next((file for file in files_beside(out, outputs) if files_in(file)), None)
        if first is not None:
            other, resume, replace = argument("out"), argument("skip_existing"), argument("overwrite")
            raise UserError(f"{first}: exists already; choose another {other}, or {resume} to resume, or {replace}")
    left = [
        Task(task.source, missing)
        for task in tasks
        if (missing := {name: target for name, target in task.targets.items() if target not in found})
    ]
    return Plan(tasks, left)


def files_beside(out: str, outputs: Iterable[str]) -> list[str]:
    """Returns the locations of the files that are written once for all images."""
    entries = [entry for output in outputs for entry in (OUTPUTS[output].merged, OUTPUTS[output].about) if entry]
    return [location_in(out, name) for name, _ in entries]


def location_in(out: str, name: str) -> str:
    """Returns the location of a file in a folder or a place in an object store."""
    return f"{out.removesuffix('/')}/{name}" if is_remote(out) else str(Path(out) / name)


def are_of_probabilities(outputs: Iterable[str]) -> bool:
    """Returns whether one of the outputs is made of probabilities."""
    return any(OUTPUTS[output].of_probabilities for output in outputs)


def is_frame(name: str) -> bool:
    """Returns whether an image's name is that of a video's frame, which has no suffix."""
    return _FRAME.search(name) is not None


def _tasks(sources: Sequence[Source], out: str, outputs: Sequence[str]) -> list[Task]:
    stems = collections.Counter(source.name.with_suffix("") for source in sources)
    tasks: list[Task] = []
    taken: dict[object, Source] = {}
    by_stem = [output for output in outputs if OUTPUTS[output].by_stem]
    for source in sources:
        stem = source.name.with_suffix("")
        name = stem if stems[stem] == 1 or by_stem else source.name
        other = taken.setdefault(name, source)
        if other is not source:
            output = by_stem[0] if by_stem else outputs[0]
            fix = "rename one of them" if by_stem else "predict them into two folders"
            raise UserError(
                f"{other.location} and {source.location}: both would become {_target(out, output, name, source)}; {fix}"
            )
        tasks.append(Task(source, {output: _target(out, output, name, source) for output in outputs}))
    return tasks


def _target(out: str, output: str, name: object, source: Source) -> str:
    of_video = VIDEO_SUFFIX if output == "overlays" else ""
    of_image = OUTPUTS[output].suffix
    of_raster = RASTER_SUFFIXES.get(output, of_image)
    suffix = of_video if source.is_video else of_raster if source.is_raster else of_image
    folder = f"{output}/{OUTPUTS[output].folder}".removesuffix("/")
    return location_in(out, f"{folder}/{name}{suffix}")


def _existing(out: str, outputs: Iterable[str], targets: set[str]) -> set[str]:
    if not is_remote(out):
        return {target for target in targets if Path(target).exists()}
    return targets & {file for output in outputs for file in files_in(f"{out.removesuffix('/')}/{output}")}


def remove_temporary_files(targets: set[str], of_other_machines: bool = False) -> None:
    """Removes the temporary files of these targets that a killed process left; those of one that lives are kept.

    No output's name begins with a dot and a number. Object stores write atomically.

    Args:
        targets: Locations of the files.
        of_other_machines: Whether to remove those of processes that cannot be asked, too.
    """
    names: dict[Path, set[str]] = {}
    for target in targets:
        if not is_remote(target):
            names.setdefault(Path(target).parent, set()).add(short_name(Path(target).name))
    for folder, own in names.items():
        remove_unfinished(folder, own, of_other_machines)
