"""Which of the files in a version folder is served: the fastest that was compared with its network."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from export.server.model.engine.process import EngineDiedError, EngineFailedError, NetworkProcess
from keras_fcn.errors import UserError, argument
from keras_fcn.inference.engines.opening import engine_entry, uses_tensorflow
from keras_fcn.runs.names import ENGINES
from keras_fcn.system.command_line import as_options
from keras_fcn.system.startup import has_gpu
from keras_fcn.system.text import load_json

LOG = logging.getLogger("keras_fcn.server")

AUTO = "auto"
SAVED_MODEL_FILE, LABELS_FILE = "saved_model.pb", "assets.extra/labels.json"

_SUFFIXES = {suffix for entry in ENGINES.values() if "keras" not in entry.modules for suffix in entry.suffixes}
_NO_MODELS = {"variables", "assets", "assets.extra"}
"""The folders of a SavedModel."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model in a version folder.

    Attributes:
        path: The file, or the version folder of a SavedModel.
        engine: Its engine, a key of `ENGINES`.
    """

    path: Path
    engine: str

    @classmethod
    def of(cls, path: Path) -> Candidate:
        """Returns the candidate at a path."""
        entry = engine_entry(path)
        return cls(path, next(name for name, other in ENGINES.items() if other is entry))


def models_in(path: Path) -> list[Candidate]:
    """Returns the models of a version: a file, or those in a folder and its subfolders, a SavedModel last."""
    if path.is_file():
        return [Candidate.of(path)] if path.suffix.lower() in _SUFFIXES else []
    folders = [path, *sorted(part for part in path.iterdir() if part.is_dir() and not _is_hidden(part))]
    files = [file for folder in folders for file in sorted(folder.iterdir()) if file.suffix.lower() in _SUFFIXES]
    found = [Candidate.of(file) for file in files if file.is_file() and not file.name.startswith(".")]
    return [*found, *([Candidate.of(path)] if (path / SAVED_MODEL_FILE).is_file() else [])]


def _is_hidden(folder: Path) -> bool:
    return folder.name in _NO_MODELS or folder.name.startswith(".")


def open_fastest(path: Path, engine: str, start: Callable[[Path], NetworkProcess], batch: int) -> NetworkProcess:
    """Opens the model of a version that an engine's name says, or the fastest.

    Of several, each is opened in turn and timed on this machine; one that cannot be opened is told and left out. A
    SavedModel, which takes TensorFlow, is opened where nothing else can be, or a GPU computes it.

    Args:
        path: The version's folder or file.
        engine: A key of `ENGINES`, or "auto".
        start: Opens a model in a process.
        batch: The most images in a batch.

    Raises:
        UserError: If there is none, none can be opened, or they are of different networks.
    """
    found = models_in(path)
    wanted = [one for one in found if engine in (AUTO, one.engine)]
    if not wanted and path.is_file():
        raise UserError(f"{path}: is a file of {found[0].engine}; leave out {argument('engine', engine)}")
    if not wanted:
        there = ", ".join(one.path.name for one in found) or "nothing"
        export = "saved_model" if engine == AUTO else engine
        raise UserError(
            f"{path}: holds no model for {argument('engine', engine)}, but {there}; export one: "
            f"python -m export.{export} RUN {path}"
        )
    if len(wanted) == 1:
        return start(wanted[0].path)
    others = [one for one in wanted if not uses_tensorflow(one.path)]
    last = [one for one in wanted if uses_tensorflow(one.path)]
    networks = {one.path: _network_of(one.path) for one in last}
    fastest = _fastest(path, [*others, *(last if has_gpu() else [])], networks, start, batch)
    fastest = fastest or _fastest(path, [] if has_gpu() else last, networks, start, batch)
    if fastest is None:
        raise UserError(f"{path}: holds no model that can be served; the lines above say why")
    return fastest


def _network_of(saved_model: Path) -> str:
    """Returns the fingerprint of the network that a SavedModel was compared with; "" if it says none."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return load_json((saved_model / LABELS_FILE).read_text(encoding="utf-8")).get("network", "")
    return ""


def _fastest(
    path: Path,
    candidates: Sequence[Candidate],
    networks: dict[Path, str],
    start: Callable[[Path], NetworkProcess],
    batch: int,
) -> NetworkProcess | None:
    """Returns the fastest of several models, the others being closed; None if none can be opened.

    Args:
        path: The version's folder, for messages.
        candidates: The models.
        networks: Fingerprints of the networks that models were compared with; those of the opened are added.
        start: Opens a model in a process.
        batch: The most images in a batch.
    """
    fastest, least, times = None, float("inf"), []
    for one in candidates:
        try:
            process = start(one.path)
            networks[one.path] = process.facts.network
            _require_one_network(path, networks)
            seconds = process.warm_up(batch, False)
        except (UserError, EngineDiedError, EngineFailedError) as error:
            if isinstance(error, DifferentNetworksError):
                raise
            LOG.warning("%s; it is left out", as_options(error) if isinstance(error, UserError) else error)
            continue
        times.append(f"{process.facts.program} {1000 * seconds:.0f} ms ({one.path.name})")
        slower = process
        if seconds < least:
            fastest, least, slower = process, seconds, fastest
        if slower is not None:
            slower.stop()
    if len(times) > 1:
        LOG.info("%s: an image takes %s", path, ", ".join(times))
    return fastest


class DifferentNetworksError(UserError):
    """A version folder with models of different networks."""


def _require_one_network(path: Path, networks: dict[Path, str]) -> None:
    """Raises DifferentNetworksError if models of a version were compared with different networks."""
    known: dict[str, Path] = {}
    for model, network in networks.items():
        known.setdefault(network, model)
    known.pop("", None)
    if len(known) > 1:
        names = " and ".join("the SavedModel" if model == path else model.name for model in known.values())
        raise DifferentNetworksError(
            f"{path}: {names} are exports of different networks; export one of them again, or choose "
            f"{argument('engine')}"
        )
