"""Files, written atomically."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from keras_fcn.errors import NoSpaceError, UserError
from keras_fcn.system.text import printable, reason_of

_WILDCARDS = frozenset("*?[\\")

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk."""

_MOST_BYTES = 120
"""Longest temporary name: file systems take 255 bytes, encrypted ones 143."""

_TEMPORARY = re.compile(r"\.(\d+)(?:-([0-9a-f]{6}))?\.(.+)")


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Turns an OSError in the block, which writes to `path`, into a UserError that names it."""
    try:
        yield
    except OSError as error:
        full, other = (NoSpaceError, "free disk space"), (UserError, "choose a path that you may write to")
        kind, fix = full if error.errno in NO_SPACE else other
        raise kind(f"{path}: cannot be written ({reason_of(error)}); {fix}") from None


def require_writable(path: Path, is_folder: bool = False) -> None:
    """Raises UserError if a file, or files in a folder, cannot be written: no permission, no space, a file in its way.

    Nothing is created: a file without a name is written into the nearest folder that exists.
    """
    folder = path if is_folder else path.parent
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    with written(path):
        if path.is_dir() and not is_folder:
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(bytes(4096))


@contextlib.contextmanager
def replaced_file(path: Path, lasting: bool = False) -> Iterator[Path]:
    """Yields the path of a temporary file, which replaces `path` when the block ends without an error.

    If the block raises, an existing file is untouched.

    Args:
        path: The file.
        lasting: Whether the disk must have it, before it takes the place and afterwards: no power failure costs both.

    Raises:
        UserError: If the file cannot be written: no permission, no space, or `path` is a folder.
    """
    temporary = temporary_path(path)
    try:
        with written(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if lasting:
                flush(temporary)
            temporary.replace(path)
            if lasting:
                flush(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def flush(*files: Path) -> None:
    """Waits until the disk has files and their entries in folders, where the system can tell (not on Windows).

    Raises:
        OSError: If the disk fails.
    """
    for path in (*files, *{file.parent for file in files}) if os.name == "posix" else ():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without it
                raise
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside a path, and removes those that killed processes left there for the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path.parent, {short_name(path.name)})
    temporary = temporary_path(path)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, which is renamed to `path` when the block ends without an error.

    Raises:
        OSError: If `path` exists and is not an empty folder; it is untouched then.
    """
    with temporary_folder(path) as temporary:
        yield temporary
        temporary.replace(path)


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, which replaces an existing `path` when the block ends without an error.

    Raises:
        UserError: If it cannot be written; an existing one is untouched.
    """
    with written(path), temporary_folder(path) as temporary:
        new, old = temporary / "new", temporary / "old"
        new.mkdir()
        yield new
        if path.exists():
            path.replace(old)
        try:
            new.replace(path)
        except OSError:
            with contextlib.suppress(OSError):  # there may be none
                old.replace(path)
            raise


def temporary_path(path: Path) -> Path:
    """Returns the path of this process' temporary file for a target.

    The name ends as the target's does, because libraries choose a format by the suffix.
    """
    return path.with_name(f".{os.getpid()}-{_host()}.{short_name(path.name)}")


def short_name(name: str) -> str:
    """Returns a name, or a hash of it with its suffix if it is long."""
    if len(os.fsencode(name)) <= _MOST_BYTES - 20:
        return name
    suffix = Path(name).suffix
    suffix = suffix if len(os.fsencode(suffix)) <= 16 else ""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32] + suffix


def remove_unfinished(folder: Path, targets: Collection[str] = (), elsewhere: bool = False) -> None:
    """Removes temporary files and folders that killed processes left; those of processes that live are kept.

    Args:
        folder: Where they lie.
        targets: The `short_name` of each target; all if there are none.
        elsewhere: Whether to remove those of processes of other machines, which cannot be asked, too.
    """
    with contextlib.suppress(OSError):  # the next process removes them
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found and (not targets or found[3] in targets) and not _is_in_use(found, not elsewhere):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_in_use(temporary: re.Match[str], elsewhere: bool) -> bool:
    """Returns whether the process that wrote a temporary file lives; `elsewhere` for those of other machines."""
    if temporary[2] not in (None, _host()) or os.name == "nt":  # where the signal 0 is Ctrl-C
        return elsewhere
    try:
        os.kill(int(temporary[1]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        pass
    return True


@functools.lru_cache(maxsize=1)
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


@contextlib.contextmanager
def lent_suffix(path: Path, suffix: str) -> Iterator[Path]:
    """Yields a path to the same file that ends in `suffix`, by which Keras recognizes formats."""
    if path.name.endswith(suffix):
        yield path
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        named = Path(folder) / f"link{suffix}"
        named.symlink_to(path.absolute())
        yield named


@contextlib.contextmanager
def without_wildcards(path: Path) -> Iterator[Path]:
    """Yields a path to the same folder that TensorFlow takes: without wildcards, and in UTF-8."""
    if not _WILDCARDS.intersection(str(path)) and printable(str(path)) == str(path):
        yield path
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        link = Path(folder) / "link"
        link.symlink_to(path.absolute())
        yield link


def walk_files(folder: Path) -> Iterator[Path]:
    """Yields the files in a folder and in all folders in it, in the order of their paths.

    Folders that are symbolic links are followed, unless they lead to a folder that holds them. Links to missing files
    are files; hidden files and folders (`.DS_Store`, `__MACOSX`) are left out.

    Raises:
        UserError: If a folder cannot be listed.
    """
    return _walk(folder, (os.path.realpath(folder),))


def entries_of(folder: Path) -> list[os.DirEntry]:
    """Returns the entries of a folder by name; raises UserError if it cannot be listed."""
    try:
        with os.scandir(folder) as listed:
            return sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({reason_of(error)})") from None


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    """Yields the files below a folder, whose real path is the last of `above`."""
    for entry in entries_of(folder):
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        path, is_link = folder / entry.name, entry.is_symlink()
        if not (path.is_dir() if is_link else entry.is_dir()):
            # Neither sockets nor pipes, from which reading would never end.
            if path.is_file() or not path.exists() if is_link else entry.is_file():
                yield path
        elif not is_link:
            yield from _walk(path, (*above, f"{above[-1]}/{entry.name}"))
        elif not _leads_up(real := os.path.realpath(path), above):
            yield from _walk(path, (*above, real))


def _leads_up(real: str, above: tuple[str, ...]) -> bool:
    """Returns whether a folder is one of those above, or holds one of them."""
    return any(os.path.commonpath((real, folder)) == real for folder in above)


def content_digest(path: Path) -> str:
    """Returns 32 hexadecimal digits that tell a file's content from others; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""


def read_lines(path: Path, errors: str = "strict") -> list[str]:
    """Reads the lines of a text file of any operating system, stripped.

    Args:
        path: The file.
        errors: "surrogateescape" for names of files in any encoding.

    Raises:
        UserError: If the file cannot be read or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors=errors)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return [line.strip() for line in text.split("\n")]


def write_json(path: Path, value: object) -> None:
    """Writes `value` atomically as indented JSON with every list of numbers on one line."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # JSON strings hold no line breaks, so that a bracket before one is never part of a string.
    text = re.sub(r'\[\n[^\[\]{}"]*\n *\]', lambda found: "[" + " ".join(found[0][1:-1].split()) + "]", text)
    with replaced_file(path) as temporary:
        # Names of files that are not UTF-8 become JSON's escapes, which are read back to the same names.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
