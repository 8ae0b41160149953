"""Files, written atomically."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_fcn.errors import UserError
from keras_fcn.system.text import reason_of

_WILDCARDS = frozenset("*?[\\")


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Turns an OSError in the block, which writes to `path`, into a UserError that names it."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({reason_of(error)}); choose a path that you may write to"
        ) from None


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yields the path of a temporary file, which replaces `path` when the block ends without an error.

    The temporary name ends as `path` does, because libraries choose a format by the suffix. If the block raises, an
    existing file is untouched.

    Raises:
        UserError: If the file cannot be written: no permission, no space, or `path` is a folder.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with written(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, which is renamed to `path` when the block ends without an error.

    Raises:
        OSError: If `path` exists and is not an empty folder; it is untouched then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, which replaces an existing `path` when the block ends without an error.

    Raises:
        UserError: If it cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with written(path):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def lent_suffix(path: Path, suffix: str) -> Iterator[Path]:
    """Yields a path to the same file that ends in `suffix`, by which Keras recognizes formats."""
    if path.name.endswith(suffix):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / f"link{suffix}"
        named.symlink_to(path.absolute())
        yield named


@contextlib.contextmanager
def without_wildcards(path: Path) -> Iterator[Path]:
    """Yields a path to the same folder without wildcards, by which TensorFlow would search for others."""
    if not _WILDCARDS.intersection(str(path)):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "link"
        link.symlink_to(path.absolute())
        yield link


def read_lines(path: Path) -> list[str]:
    """Reads the lines of a text file of any operating system, stripped.

    Raises:
        UserError: If the file cannot be read or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
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
        temporary.write_text(text + "\n", encoding="utf-8")
