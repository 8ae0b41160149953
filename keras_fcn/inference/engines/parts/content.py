"""The content of a file of several outputs, of which a part may be asked for long after the file was opened."""

from __future__ import annotations

import mmap
from pathlib import Path


def mapped(path: Path) -> memoryview:
    """Returns the content of a file, which stays as it is if another takes its place."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
