"""The files of onnxruntime-web, the program that computes networks in browsers, from an installed npm package."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from keras_fcn.errors import UserError, argument

PACKAGE, TRIED = "onnxruntime-web", "1.30.0"
"""The npm package, and its version that was tried."""

SCRIPTS = {"wasm": "ort.wasm.bundle.min.mjs", "webgpu": "ort.webgpu.bundle.min.mjs"}
"""The package's scripts by what they compute on; each names one binary file beside it."""

INSTALL = f"npm install {PACKAGE}@{TRIED}"


@dataclasses.dataclass(frozen=True)
class EngineFiles:
    """The files of the engine.

    Attributes:
        version: The package's version.
        contents: For each way to compute, a script and its binary.
    """

    version: str
    contents: dict[str, tuple[bytes, bytes]]


def read_engine(folder: Path) -> EngineFiles:
    """Reads the engine's files from the package's folder, such as node_modules/onnxruntime-web.

    Raises:
        UserError: If it is another folder, or a version of other files.
    """
    fix = (
        f"give the folder of an installed {PACKAGE}: {INSTALL}, then {argument('engine_files')} node_modules/{PACKAGE}"
    )
    try:
        package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        name, version = str(package["name"]), str(package["version"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder}: is no folder of an npm package; {fix}") from None
    if name != PACKAGE:
        raise UserError(f"{folder}: is the npm package {name}; {fix}")
    contents = {kind: _read_pair(folder / "dist", script, version) for kind, script in SCRIPTS.items()}
    return EngineFiles(version, contents)


def _read_pair(folder: Path, script: str, version: str) -> tuple[bytes, bytes]:
    """Returns the contents of a script and of the binary file that it names."""
    missing = f"as {PACKAGE} {version} has it; {TRIED} was tried: {INSTALL}"
    try:
        code = (folder / script).read_bytes()
        names = sorted({name.decode() for name in re.findall(rb"ort-wasm[\w.-]*\.wasm", code)})
        if len(names) != 1:
            raise UserError(f"{folder / script}: names {len(names)} files of the engine, not one, {missing}")
        return code, (folder / names[0]).read_bytes()
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}), {missing}") from None
