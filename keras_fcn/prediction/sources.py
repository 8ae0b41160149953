"""Finding the images, rasters and videos of files, folders, patterns and lists."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import glob
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from keras_fcn.errors import UserError, argument
from keras_fcn.images.bands.files import is_array
from keras_fcn.images.photos import IMAGE_SUFFIXES, OTHER_PICTURES
from keras_fcn.images.rasters import is_raster
from keras_fcn.runs.names import OUTPUTS
from keras_fcn.system.files import entries_of, walk_files
from keras_fcn.system.storage import files_in, is_remote
from keras_fcn.system.text import by_suffix

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
        is_raster: Whether it is a GeoTIFF on this machine.
    """

    location: str
    name: PurePosixPath
    is_video: bool = False
    is_raster: bool = False


class Sources(list[Source]):
    """Images and videos.

    Attributes:
        left_out: Lines about the files in the folders and of the patterns that are left out, human-readable.
        unread: Number of pictures among these.
    """

    def __init__(self, sources: Iterable[Source], others: dict[str, list[str]]) -> None:
        super().__init__(sources)
        self.left_out = [f"{text}: {line}" for text, files in others.items() for line in _lines(files)]
        self.unread = sum(_is_unread(file) for files in others.values() for file in files)


def find_images(inputs: Iterable[str], stdin: Iterable[str] = (), out: str | None = None) -> Sources:
    """Lists images and videos to predict, each file once, in the order given and by name within a folder.

    Folders are searched for images recursively, linked ones included, without hidden folders and the outputs in `out`.
    Videos are only taken if they are named.

    A file is named by itself, one in a folder below that folder. The files of a list are named below the folder that
    holds all of them, and so is everything if two files would have one name.

    Args:
        inputs: Files, folders, patterns with `*`, `?`, `[...]` or `**`, numbered sequences such as `frame_%04d.png`,
            locations in object stores, and "-" for `stdin`.
        stdin: Lines with more inputs.
        out: The folder to write to; earlier outputs in it are not inputs.

    Raises:
        UserError: If a path does not exist, or a folder or pattern has no image.
    """
    found: list[Source] = []
    others: dict[str, list[str]] = {}
    for text in inputs:
        if text == STDIN:
            lines = [line for line in (line.rstrip("\r\n") for line in stdin) if line.strip()]
            listed = [source for line in lines for source in _find(line, out, others)]
            named = set(lines)
            files = iter(_below_common([source for source in listed if source.location in named]))
            found += [next(files) if source.location in named else source for source in listed]
        else:
            found += _find(text, out, others)
    if not found:
        raise UserError("there is nothing to predict: the list of images is empty")
    found = _once(found)
    if len({source.name for source in found}) < len(found):
        found = _once(_below_common(found))
    return Sources(found, others)


def _find(text: str, out: str | None, others: dict[str, list[str]]) -> list[Source]:
    """Returns the sources of one input; adds the files that it leaves out to `others`."""
    path = Path(text)
    if is_remote(text) or path.is_dir():
        return _in_folder(text, out, others)
    if path.is_file():
        return [_named(text, PurePosixPath(path.name))]
    if _NUMBERED.search(path.name) and path.parent.is_dir() and not glob.has_magic(path.name):
        return [Source(text, PurePosixPath(_NUMBERED.sub("", path.name)), is_video=True)]
    if glob.has_magic(text):
        return _matching(text, out, others)
    raise UserError(f"{text}: no such file or folder; give images, folders, quoted patterns or videos")


def _in_folder(folder: str, out: str | None, others: dict[str, list[str]]) -> list[Source]:
    files = files_in(folder)
    if files == [folder] and _suffix(folder) in VIDEO_SUFFIXES:
        raise UserError(f"{folder}: videos are read from this machine only; copy it here")
    if files == [folder]:
        return [_named(folder, PurePosixPath(PurePosixPath(folder).name))]
    root = folder.removesuffix("/") if is_remote(folder) else str(Path(folder))
    named = [_image(file, _below(root, file)) for file in files if not _is_output(file, out)]
    images = [source for source in named if _is_image(source)]
    images = images or [source for source in named if is_array(source.location) and not _is_hidden(source)]
    others[folder] = [source.location for source in named if source not in images and not _is_hidden(source)]
    if not images and len(named) < len(files):
        raise UserError(f"{folder}: holds only outputs in {out}, no image; choose another {argument('out')}")
    if not images:
        left_out = _lines(others[folder]) or ["give another"]
        raise UserError("; ".join((f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)})", *left_out)))
    return images


def _matching(pattern: str, out: str | None, others: dict[str, list[str]]) -> list[Source]:
    """Returns the files that a pattern matches; their names begin after its fixed part, the folders that exist."""
    parts = Path(pattern).parts
    fixed = 0
    while fixed < len(parts) - 1 and (not glob.has_magic(parts[fixed]) or Path(*parts[: fixed + 1]).is_dir()):
        fixed += 1
    root = str(Path(*parts[:fixed]))
    files = (str(file) for file in _matches(Path(root), parts[fixed:]))
    found = [_named(file, _below(root, file)) for file in files if not _is_output(file, out)]
    images = [source for source in found if source.is_video or _is_image(source)]
    images = images or [source for source in found if is_array(source.location) and not _is_hidden(source)]
    others[pattern] = [source.location for source in found if source not in images and not _is_hidden(source)]
    if not images:
        raise UserError(f"{pattern}: matches no image ({', '.join(IMAGE_SUFFIXES)}) and no video; give another")
    return images


def _matches(root: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yields the files below a folder that a pattern matches; `**` follows linked folders, too.

    Unlike those of `Path.glob`, folders that cannot be listed are errors.
    """
    if not parts:
        yield from [root] if root.is_file() else []
    elif not root.is_dir():
        return
    elif parts[0] == "**":
        yield from (file for file in walk_files(root) if _fits(file.relative_to(root).parts, parts))
    elif not glob.has_magic(parts[0]):
        yield from _matches(root / parts[0], parts[1:])
    else:
        for entry in entries_of(root):
            if fnmatch.fnmatchcase(entry.name, parts[0]):
                yield from _matches(root / entry.name, parts[1:])


def _fits(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_fits(path[start:], pattern[1:]) for start in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _fits(path[1:], pattern[1:])


def _below_common(sources: list[Source]) -> list[Source]:
    """Returns the sources, each named by its path below the folder that holds all of them."""
    paths = [_absolute(source.location).split("/") for source in sources]
    depth = sum(1 for _ in itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*(path[:-1] for path in paths))))
    names = [PurePosixPath(*path[depth:-1], source.name.name) for path, source in zip(paths, sources)]
    return [dataclasses.replace(source, name=name) for source, name in zip(sources, names)]


def _once(sources: Iterable[Source]) -> list[Source]:
    found: dict[tuple[str, PurePosixPath], Source] = {}
    for source in sources:
        found.setdefault((_absolute(source.location), source.name), source)
    return list(found.values())


def _lines(files: list[str]) -> list[str]:
    """Returns what is left out, and what to do about it, as one line; none if nothing is."""
    pictures = [file for file in files if _is_unread(file)]
    videos = [file for file in files if _suffix(file) in VIDEO_SUFFIXES]
    others = [file for file in files if not _is_unread(file) and _suffix(file) not in VIDEO_SUFFIXES]
    fixes = (pictures, " (convert them to JPEGs or PNGs)"), (videos, " (videos have to be named)"), (others, "")
    parts = [f"{by_suffix(kind)}{fix}" for kind, fix in fixes if kind]
    return [f"left out {', '.join(parts)}"] if parts else []


def _named(location: str, name: PurePosixPath) -> Source:
    is_video = name.suffix.lower() in VIDEO_SUFFIXES
    return Source(location, name, is_video=True) if is_video else _image(location, name)


def _image(location: str, name: PurePosixPath) -> Source:
    return Source(location, name, is_raster=not is_remote(location) and is_raster(location))


def _below(root: str, file: str) -> PurePosixPath:
    """Returns a file's path below a folder, with "/" on every system."""
    if is_remote(file):
        return PurePosixPath(file[len(root) + 1 :])
    return PurePosixPath(Path(file).relative_to(root).as_posix())


def _is_image(source: Source) -> bool:
    return _suffix(source.location) in IMAGE_SUFFIXES and not _is_hidden(source)


def _is_unread(location: str) -> bool:
    return _suffix(location) in OTHER_PICTURES and _suffix(location) not in VIDEO_SUFFIXES


def _is_hidden(source: Source) -> bool:
    return any(part.startswith(".") for part in source.name.parts)


def _suffix(location: str) -> str:
    return PurePosixPath(location).suffix.lower()


def _is_output(location: str, out: str | None) -> bool:
    """Returns whether a file is in one of the folders of outputs in `out`, which may be an input folder, too."""
    if out is None or not _real_folder(location).startswith(start := f"{_real(_absolute(out)).removesuffix('/')}/"):
        return False
    return _real_folder(location)[len(start) :].split("/")[0] in OUTPUTS


def _real_folder(location: str) -> str:
    return _real(location.rpartition("/")[0] if is_remote(location) else str(Path(location).absolute().parent))


@functools.lru_cache(maxsize=1024)
def _real(folder: str) -> str:
    return folder if is_remote(folder) else Path(os.path.realpath(folder)).as_posix()


def _absolute(location: str) -> str:
    return location if is_remote(location) else os.path.normpath(Path(location).absolute())
