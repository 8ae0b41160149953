"""Reads and writes files on this machine or, for locations such as s3://bucket/key, in an object store."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from keras_fcn.errors import DataError, UserError
from keras_fcn.system.files import replaced_file, walk_files
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of


def is_remote(location: str) -> bool:
    """Returns whether a location is one of an object store or another machine: s3://, gs://, hdfs:// ..."""
    return "://" in location


def read_bytes(location: str) -> bytes:
    """Reads a file.

    Raises:
        DataError: If the file does not exist or cannot be read.
    """
    try:
        if not is_remote(location):
            return Path(location).read_bytes()
        system, path = _filesystem(location)
        with system.open_input_stream(path) as stream:
            return stream.read()
    except OSError as error:
        raise DataError("missing file", f"{location}: cannot be read ({reason_of(error)})") from None


def write_bytes(location: str, content: bytes) -> None:
    """Writes a file atomically; folders are created, an existing file is replaced.

    Raises:
        UserError: If it cannot be written.
    """
    if not is_remote(location):
        with replaced_file(Path(location)) as temporary:
            temporary.write_bytes(content)
        return
    system, path = _filesystem(location)
    if system.type_name == "local":  # file://
        write_bytes(path, content)
        return
    try:
        with system.open_output_stream(path) as stream:  # an object exists once it is closed, not before
            stream.write(content)
    except OSError as error:
        raise UserError(f"{location}: cannot be written ({reason_of(error)})") from None


def files_in(folder: str) -> list[str]:
    """Returns the locations of all files in a folder, recursively; of a file, its own; none if neither exists.

    On this machine, linked folders are followed and hidden files left out, as `walk_files` does.

    Raises:
        UserError: If the store cannot be reached, or a folder cannot be listed.
    """
    if not is_remote(folder):
        if Path(folder).is_file():
            return [folder]
        return [str(file) for file in walk_files(Path(folder))] if Path(folder).is_dir() else []
    try:
        system, path = _filesystem(folder)
        from pyarrow.fs import FileSelector, FileType

        if system.get_file_info(path).type == FileType.File:
            return [folder]
        found = system.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({reason_of(error)})") from None
    prefix = folder.removesuffix("/") + "/"
    return sorted(prefix + info.path[len(path.rstrip("/")) + 1 :] for info in found if info.type == FileType.File)


def _filesystem(location: str) -> tuple[Any, str]:
    """Returns PyArrow's filesystem for a location, and the path in it, with any characters."""
    scheme, _, rest = location.partition("://")
    authority, _, key = rest.partition("/")
    system, root = _opened(scheme, authority)
    return system, f"{root.rstrip('/')}/{key}".rstrip("/")


@functools.lru_cache(maxsize=16)
def _opened(scheme: str, authority: str) -> tuple[Any, str]:
    """Connects to a store; for S3 alone that takes several requests.

    Raises:
        UserError: If PyArrow is not installed or does not support such locations.
    """
    uri = f"{scheme}://{authority}" + "/" * (not authority)
    if scheme in ("http", "https", "ftp"):
        raise UserError(f"{uri}: pages of the web are not read; download the files, and give their folder")
    require_packages(uri, "ray", "pyarrow")
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    try:
        return FileSystem.from_uri(uri)
    except (ArrowException, ValueError, OSError) as error:
        raise UserError(f"{uri}: cannot be opened ({reason_of(error)})") from None
