"""Digests of folders, to detect changes."""

import hashlib


def digest(root):
    """Returns a digest of the names and contents of all files in a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path.relative_to(root)).encode() + path.read_bytes() for path in files)).digest()
