"""The static folder: the page, the network and its engine, and the service worker that knows them by their digests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np

from export.web.engine import EngineFiles
from export.web.network import WebNetwork
from keras_fcn.errors import UserError
from keras_fcn.runs.lock import locked
from keras_fcn.system.files import new_folder, replaced_file, written

PAGE, SERVERS_PAGE = Path(__file__).parent / "page", Path(__file__).parents[1] / "server" / "page"
"""What the page has of its own, and what it has of the server's page."""

INDEX, WORKER = "index.html", "service-worker.js"

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; "
    "style-src 'self'; img-src blob: data:; base-uri 'none'; form-action 'none'"
)
"""The page's Content-Security-Policy. Once the network is loaded, the page forbids itself to ask for anything."""

_FILES = re.compile(r"^const FILES = (\{.*\});$", re.MULTILINE)
_DIGITS = 16


def site_files(network: WebNetwork, engine: EngineFiles) -> dict[str, bytes]:
    """Returns the contents of the folder's files by path; what a page loads first comes last.

    All but the last two are in names that hold a digest, so that those of two exports are never mixed.
    """
    files: dict[str, bytes] = {}

    def add(stem: str, suffix: str, content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        path = f"{stem}.{digest[:_DIGITS]}.{suffix}"
        files[path] = content
        return {"path": path, "bytes": len(content), "sha256": digest}

    # Many servers do not know .mjs as JavaScript.
    engines = {
        kind: {"script": add(f"engine/{kind}", "js", script), "binary": add(f"engine/{kind}", "wasm", binary)}
        for kind, (script, binary) in engine.contents.items()
    }
    contents = {
        "name": network.name,
        "names": network.classes.names,
        "colors": network.classes.colors,
        "model": add("model", "onnx", network.content),
        "engines": engines,
        "check": _encoded(*network.check),
        "engine": engine.version,
    }
    page = {path.name: path.read_bytes() for folder in (SERVERS_PAGE, PAGE) for path in sorted(folder.iterdir())}
    page["contents.json"] = json.dumps(contents, ensure_ascii=False).encode()
    index, worker = page.pop(INDEX).decode(), page.pop(WORKER).decode()
    whole = hashlib.sha256("\0".join((POLICY, index, worker)).encode())
    for name, content in page.items():
        whole.update(b"\0".join((name.encode(), content)))
    version = whole.hexdigest()[:_DIGITS]
    files |= {f"{version}/{name}": content for name, content in page.items()}
    files[INDEX] = _index(index, version).encode()
    digests = json.dumps({path: hashlib.sha256(content).hexdigest() for path, content in files.items()})
    head = f"const VERSION = {json.dumps(version)};\nconst POLICY = {json.dumps(POLICY)};\nconst FILES = {digests};\n\n"
    files[WORKER] = (head + worker).encode()
    return files


def _encoded(image: np.ndarray, ids: np.ndarray) -> dict[str, object]:
    """Returns an image and its ids as the page takes them."""
    height, width = ids.shape
    texts = {name: base64.b64encode(array.tobytes()).decode() for name, array in (("rgb", image), ("ids", ids))}
    return {"width": width, "height": height, **texts}


def _index(text: str, version: str) -> str:
    """Returns the server's page with the version's folder and the policy."""
    policy = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return text.replace('<meta charset="utf-8">', policy).replace('="page/', f'="{version}/')


def write_site(directory: Path, files: dict[str, bytes]) -> None:
    """Writes the folder; one that an earlier export wrote becomes this one, and other files in it stay.

    At every moment, a page that starts from the folder finds all files of its own export or, if it began before, of the
    earlier one.

    Raises:
        UserError: If it cannot be written, or files in it would be replaced that no export wrote.
    """
    directory = Path(directory)
    lock = directory.absolute().parent / f".{directory.absolute().name}.lock"
    with locked(lock, f"is exporting to {directory}; start this again when it has ended"):
        if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
            with written(directory), new_folder(directory) as folder:
                _write(folder, files)
            return
        earlier = written_before(directory)
        _write(directory, files)
        for path in earlier - files.keys():
            _remove(directory, path)


def written_before(directory: Path) -> set[str]:
    """Returns the paths that an earlier export wrote into a folder; none if it is not there.

    Raises:
        UserError: If it is a file, or holds a page that no export wrote.
    """
    if not directory.exists():
        return set()
    if not directory.is_dir():
        raise UserError(f"{directory}: is a file; give a folder to export to")
    worker = directory / WORKER
    with written(worker):
        text = worker.read_text(encoding="utf-8", errors="replace") if worker.is_file() else ""
    found = _FILES.search(text)
    earlier = set(json.loads(found[1])) | {WORKER} if found else set()
    for name in (INDEX, WORKER):
        if (directory / name).exists() and name not in earlier:
            raise UserError(
                f"{directory / name}: exists, and python -m export.web did not write it; give a new or empty folder"
            )
    return earlier


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        with replaced_file(folder / path) as temporary:
            temporary.write_bytes(content)


def _remove(directory: Path, path: str) -> None:
    """Removes a file of an earlier export, and its folder once that is empty."""
    with written(directory / path):
        (directory / path).unlink(missing_ok=True)
        folder = (directory / path).parent
        if folder != directory and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
