"""Finding a trained model, and opening it by the program that computes it."""

from __future__ import annotations

import importlib.util
import pkgutil
from pathlib import Path

from keras_fcn.errors import UserError, argument
from keras_fcn.inference.engines.engine import Engine
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.names import ENGINES, EngineEntry, PrecisionName
from keras_fcn.system.command_line import command_line
from keras_fcn.system.machine import granted_cores


def find_model(path: Path) -> Path:
    """Returns the file or SavedModel at a path, or the best model of a run folder.

    Raises:
        UserError: If the path does not exist, or a folder is neither a run nor a SavedModel.
    """
    if not path.exists():
        raise UserError(
            f"{path}: no such file or folder; give a run folder, a .keras or .pth file, a SavedModel, or an .onnx, "
            ".xml or .tflite file"
        )
    if path.is_file():
        if path.suffix.lower() == ".bin" and path.with_suffix(".xml").is_file():
            raise UserError(f"{path}: holds the weights of {path.stem}.xml; give that file")
        return path
    return _best_model(RunFolder(path)) if RunFolder(path).config.is_file() else _newest_version(path)


def is_model(path: str | Path) -> bool:
    """Returns whether a model is at a path: a run, even an unfinished one, a SavedModel, or a file of such a suffix."""
    found = Path(path)
    if not found.is_dir():
        return any(found.suffix.lower() in entry.suffixes for entry in ENGINES.values()) and found.is_file()
    run = RunFolder(found)
    if run.config.is_file() and any(part.exists() for part in (run.best_model, run.checkpoints, run.fingerprint)):
        return True
    try:
        return find_model(found).exists()
    except UserError:
        return False


def engine_entry(path: Path) -> EngineEntry:
    """Returns the program for what `find_model` found, by the name's suffix; Keras for files of any other name."""
    if path.is_dir():
        return ENGINES["saved_model"]
    return next((entry for entry in ENGINES.values() if path.suffix.lower() in entry.suffixes), ENGINES["keras"])


def uses_tensorflow(path: Path) -> bool:
    """Returns whether TensorFlow computes what `find_model` found."""
    return "tensorflow" in engine_entry(path).modules


def files_of(path: Path) -> list[Path]:
    """Returns the files that what `find_model` found consists of, itself first or, of a folder, all in it."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    beside = path.with_suffix(".bin")
    return [path, beside] if path.suffix.lower() == ".xml" and beside.is_file() else [path]


def open_engine(path: Path, threads: int = 0, precision: PrecisionName = "auto") -> Engine:
    """Opens what `find_model` found.

    Args:
        path: The file, or the folder of a SavedModel.
        threads: Number of threads, one for each core that this process may use if 0; TensorFlow chooses itself.
        precision: What layers compute in; "auto" is bfloat16 where the program is faster in it, else float32.

    Raises:
        UserError: If its program is not installed or does not compute in this precision, it is damaged, or it was not
            written by this program.
    """
    entry = required_program(path)
    if precision == "bfloat16" and not entry.bfloat16:
        raise UserError(f"{path}: {entry.title} computes in float32 alone; leave {argument('precision')} out")
    return pkgutil.resolve_name(entry.function)(path, threads or granted_cores(), precision)


def required_program(path: Path) -> EngineEntry:
    """Returns the program for what `find_model` found, without loading it.

    Raises:
        UserError: If it is not installed.
    """
    entry = engine_entry(path)
    if any(importlib.util.find_spec(module) is None for module in entry.modules):
        raise UserError(f"{path}: needs {entry.title}, which is not installed: {entry.install}")
    return entry


def _best_model(run: RunFolder) -> Path:
    if not run.best_model.is_file():
        raise UserError(
            f"{run.best_model}: no such file: the run has not finished an epoch; "
            f"resume with {command_line('train')} --resume {run.root}"
        )
    return run.best_model


def _newest_version(path: Path) -> Path:
    """Returns the SavedModel folder itself, or the version folder with the highest number in it."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [folder for folder in path.iterdir() if folder.name.isdigit() and (folder / "saved_model.pb").is_file()]
    if not versions:
        raise UserError(
            f"{path}: is neither a run folder (config.json) nor a SavedModel (saved_model.pb, or 1/, 2/, ...); give "
            "one of these, or a file"
        )
    return max(versions, key=lambda folder: int(folder.name))
