"""Extracting tar archives atomically, with no file outside of their own folder."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

from keras_fcn.errors import UserError
from keras_fcn.system.files import temporary_folder
from keras_fcn.system.progress import progress_bar


def extract(tar: Path, folder: Path, inside: str) -> Path:
    """Extracts one folder of a tar atomically.

    Args:
        tar: The archive. It may hold only files and folders, with paths inside its own folder.
        folder: The folder to make; it appears under this name only when it is complete.
        inside: The folder in the tar that becomes `folder`.

    Returns:
        `folder`.

    Raises:
        UserError: If the tar is damaged, holds other members, or cannot be written to disk; no file is left then.
    """
    try:
        with temporary_folder(folder) as temporary:
            _extract_all(tar, temporary)
            if not (temporary / inside).is_dir():
                raise UserError(f"{tar}: holds no folder {inside}; download the archive again")
            (temporary / inside).rename(folder)
    except (tarfile.TarError, EOFError) as error:
        raise UserError(f"{tar}: is a damaged tar or none ({error}); download it again") from None
    except OSError as error:
        raise UserError(
            f"{tar}: cannot be extracted to {folder} ({error.strerror or error}); give a folder that you may write "
            f"to, with {gigabytes(file_size(tar))} free and without a {folder.name} in it"
        ) from None
    return folder


def _extract_all(tar: Path, folder: Path) -> None:
    with tarfile.open(tar, "r:") as archive:
        members = archive.getmembers()
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("truncated")  # tarfile takes a missing or truncated header for the end
        for member in members:
            _require_harmless(member, tar)
        if hasattr(tarfile, "data_filter"):  # a second check of the same, since Python 3.11.4
            archive.extraction_filter = tarfile.data_filter
        with progress_bar(len(members), "file", f"Extracting {tar.name}") as bar:
            for member in members:
                archive.extract(member, folder)
                bar.update()


def _require_harmless(member: tarfile.TarInfo, tar: Path) -> None:
    """Raises UserError if a member is neither file nor folder, or would be written outside of the folder."""
    path = PurePosixPath(member.name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[:1]:
        raise UserError(f"{tar}: holds {member.name!r}, which leads out of its folder; do not use this file")
    if not (member.isreg() or member.isdir()):
        kind = "a link" if member.issym() or member.islnk() else "a device or the like"
        raise UserError(f"{tar}: holds {member.name!r}, which is {kind}; do not use this file")


def file_size(path: Path) -> int:
    """Returns a file's length in bytes, 0 if it does not exist."""
    return path.stat().st_size if path.exists() else 0


def gigabytes(size: int) -> str:
    """Returns a number of bytes, human-readable: "2.0 GB"."""
    return f"{size / 1e9:.1f} GB"
