"""Downloads a small archive from a server of this process' own, and unpacks it: `python fetching.py FOLDER`."""

import io
import sys
import tarfile
from pathlib import Path

from download_server import Server

from keras_fcn.datasets.download import fetch
from keras_fcn.datasets.download.extraction import extract
from keras_fcn.system.command_line import run_command


def content() -> bytes:
    """Returns a tar of a folder of two files, the same at each call."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("set/one.txt", "set/two.txt"):
            member = tarfile.TarInfo(name)
            member.size = 30_000
            tar.addfile(member, io.BytesIO(name.encode() * 10_000))
    return file.getvalue()


def main() -> None:
    """Fetches and extracts."""
    folder, server = Path(sys.argv[1]), Server(content())
    try:
        extract(fetch(server.archive("good"), folder), folder / "set", "set")
    finally:
        server.close()


run_command(main)
