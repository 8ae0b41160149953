"""Finding the images and videos of files, folders, patterns and lists."""

from __future__ import annotations

import dataclasses
import glob
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from keras_fcn.errors import UserError
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.storage import files_in, is_remote

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".gif")

STDIN = "-"
"""The input that means a list of paths on the standard input, one a line."""

_NUMBERED = re.compile(r"%0?\d*d")


@dataclasses.dataclass(frozen=True)
class Source:
    """An image or a video.

    Attributes:
        location: The path or URI; of an image sequence a path with a number such as `%04d` in it.
        name: The path below the input folder, with "/".
        is_video: Whether it is a video or an image sequence.
    """

    location: str
    name: PurePosixPath
    is_video: bool = False


def find_images(inputs: Iterable[str], stdin: Iterable[str] = (), out: str | None = None) -> list[Source]:
    """Lists images and videos to predict, each file once, in the order given and by name within a folder.

    Folders are searched for images recursively, without hidden folders and `out`. Videos are only taken if they are
    named.

    Args:
        inputs: Files, folders, patterns with `*`, `?`, `[...]` or `**`, numbered sequences such as `frame_%04d.png`,
            locations in object stores, and "-" for `stdin`.
        stdin: Lines with more inputs.
        out: The output folder, whose pictures are not inputs.

    Raises:
        UserError: If a path does not exist, or a folder or pattern has no image.
    """
    found: dict[tuple[str, PurePosixPath], Source] = {}
    for text in _with_lines(inputs, stdin):
        for source in _find(text, None if out is None else _absolute(out)):
            found.setdefault((_absolute(source.location), source.name), source)
    if not found:
        raise UserError("there is nothing to predict: the list of images is empty")
    return list(found.values())


def _with_lines(inputs: Iterable[str], stdin: Iterable[str]) -> Iterator[str]:
    for text in inputs:
        if text == STDIN:
            yield from (line for line in (line.rstrip("\r\n") for line in stdin) if line.strip())
        else:
            yield text


def _find(text: str, out: str | None) -> list[Source]:
    path = Path(text)
    if is_remote(text) or path.is_dir():
        return _in_folder(text, out)
    if path.is_file():
        return [_named(text, PurePosixPath(path.name))]
    if _NUMBERED.search(path.name) and path.parent.is_dir() and not glob.has_magic(path.name):
        return [Source(text, PurePosixPath(_NUMBERED.sub("", path.name)), is_video=True)]
    if glob.has_magic(text):
        return _matching(text, out)
    raise UserError(f"{text}: no such file or folder")


def _in_folder(folder: str, out: str | None) -> list[Source]:
    files = files_in(folder)
    if files == [folder] and PurePosixPath(folder).suffix.lower() in VIDEO_SUFFIXES:
        raise UserError(f"{folder}: videos are read from this machine only; copy it here")
    if files == [folder]:
        return [_named(folder, PurePosixPath(PurePosixPath(folder).name))]
    root = folder.removesuffix("/") if is_remote(folder) else str(Path(folder))
    named = [(file, _below(root, file)) for file in files]
    images = [Source(*pair) for pair in named if _is_image(*pair) and not _is_inside(pair[0], out)]
    if not images:
        raise UserError(f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return images


def _matching(pattern: str, out: str | None) -> list[Source]:
    """Returns the files that a pattern matches; their names begin after its fixed part, the folders that exist."""
    parts = Path(pattern).parts
    fixed = 0
    while fixed < len(parts) - 1 and (not glob.has_magic(parts[fixed]) or Path(*parts[: fixed + 1]).is_dir()):
        fixed += 1
    root = str(Path(*parts[:fixed]))
    matching = Path(root).glob("/".join(parts[fixed:]))
    files = (str(file) for file in sorted(matching) if file.is_file())
    found = [_named(file, _below(root, file)) for file in files]
    images = [source for source in found if source.is_video or _is_image(source.location, source.name)]
    images = [source for source in images if not _is_inside(source.location, out)]
    if not images:
        raise UserError(f"{pattern}: matches no image ({', '.join(IMAGE_SUFFIXES)}) and no video")
    return images


def _named(location: str, name: PurePosixPath) -> Source:
    return Source(location, name, name.suffix.lower() in VIDEO_SUFFIXES)


def _below(root: str, file: str) -> PurePosixPath:
    """Returns a file's path below a folder, with "/" on every system."""
    if is_remote(file):
        return PurePosixPath(file[len(root) + 1 :])
    return PurePosixPath(Path(file).relative_to(root).as_posix())


def _is_image(location: str, name: PurePosixPath) -> bool:
    is_hidden = any(part.startswith(".") for part in name.parts)
    return PurePosixPath(location).suffix.lower() in IMAGE_SUFFIXES and not is_hidden


def _is_inside(location: str, out: str | None) -> bool:
    return out is not None and _absolute(location).startswith(out.removesuffix("/") + "/")


def _absolute(location: str) -> str:
    return location if is_remote(location) else Path(location).absolute().as_posix()
