"""The options of `python -m export.serve`."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import tyro

from export.formats.file_limits import MAX_PIXELS
from keras_fcn.errors import UserError, argument
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.options import HEIGHT_WIDTH, NOT_NEGATIVE, POSITIVE, Options, Range, within

ServedEngine = Literal["auto", "saved_model", "onnx", "openvino", "litert"]
"""The engines that are served, keys of `ENGINES`, and the fastest of them."""

_NAME = Range(
    lambda name: bool(name) and not set(name) & set("/:?# %"),
    "must be valid in a URL, without any of / : ? # %",
)

_LABEL = re.compile(r"(?:[^/:?#% ]+/)?[^/:?#% =]+=[0-9]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]+")

_MODELS = Range(
    lambda models: all(_is_named(text) for text in models), "takes NAME=DIR, names without any of / : ? # %"
)
_LABELS = Range(
    lambda labels: all(_LABEL.fullmatch(text) for text in labels),
    "takes LABEL=N or NAME/LABEL=N, N being a version's number",
)
_ORIGINS = Range(
    lambda origins: all(text == "*" or _ORIGIN.fullmatch(text) for text in origins),
    "takes origins, such as https://example.org or http://localhost:3000, without a path, or *",
)


def _is_named(text: str) -> bool:
    name, is_there, folder = text.partition("=")
    return bool(is_there and folder) and _NAME.holds(name)


GRACE_SECONDS = 4
"""Seconds after `--timeout` when an ending process ends, whatever its threads do."""


@dataclasses.dataclass(frozen=True)
class ServeOptions(Options):
    """Serves an exported model: the newest version in a folder, and each newer one as it appears.

    It has TensorFlow Serving's REST protocol (POST /v1/models/NAME:predict), the Open Inference Protocol
    (/v2/models/NAME/infer), a web page (/), health (/v2/health/ready) and metrics (/metrics). On SIGTERM or Ctrl-C it
    answers all accepted requests, accepts no more, and ends.
    """

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder of all versions of the model, 1/, 2/, ..., each a SavedModel, or with .onnx, .xml or .tflite files in
    it; or such a file."""

    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for requests from other machines."""

    port: Annotated[int, within(0, 65535)] = 8501
    """The port; 0 for any that is free, which is printed."""

    name: Annotated[str, _NAME] = "keras_fcn"
    """The name of the model in URLs."""

    models: Annotated[tuple[str, ...], _MODELS, tyro.conf.arg(metavar="NAME=DIR ...", help_behavior_hint="")] = ()
    """Further models to serve, each under its own name."""

    label: Annotated[tuple[str, ...], _LABELS, tyro.conf.arg(metavar="[NAME/]LABEL=N ...", help_behavior_hint="")] = ()
    """Labels of versions, which are served beside the newest, at /v1/models/NAME/labels/LABEL: stable=3; of a further
    model, cats/stable=3."""

    cors: Annotated[tuple[str, ...], _ORIGINS, tyro.conf.arg(metavar="ORIGIN ...", help_behavior_hint="")] = ()
    """Origins of web pages elsewhere whose scripts may ask this server, such as https://example.org; * for all."""

    engine: ServedEngine = "auto"
    """The engine; auto takes the fastest of the models in a version's folder, each of which is timed first."""

    precision: PrecisionName = "auto"
    """What layers compute in; auto: bfloat16 on processors with AVX512_BF16 or AMX where the program is faster in it,
    float32 elsewhere."""

    max_batch: Annotated[int | None, POSITIVE] = None
    """The most images of one size in a batch; 8 on a GPU and 4 on a CPU if not given."""

    max_delay_ms: Annotated[float, NOT_NEGATIVE] = 0.0
    """Milliseconds that an idle network waits for more images; 0 batches those that came while it was busy."""

    tile: Annotated[tuple[int, int], HEIGHT_WIDTH] = (768, 768)
    """Images of more pixels than two tiles of this size go tile by tile, as by predict.py --tile; others go between."""

    overlap: Annotated[
        int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: 320, at most half a tile)")
    ] = None
    """Pixels by which neighbouring tiles overlap, a multiple of 32."""

    max_whole_mp: Annotated[float, POSITIVE] = 4.2
    """The most megapixels of an image without tiles (400): of networks that see all of it (--context mean), and of
    files of class ids alone."""

    max_pixels: Annotated[int, POSITIVE] = MAX_PIXELS
    """The limit of height times width of an image (400); a SavedModel has its own, of its export."""

    max_files: Annotated[int, POSITIVE] = 128
    """The most image files of a request (413)."""

    max_body_mb: Annotated[float, POSITIVE] = 32.0
    """The most megabytes of a request; base64 makes files a third longer."""

    max_waiting: Annotated[int, POSITIVE] = 64
    """The most requests that wait for an answer; more are rejected (503)."""

    max_waiting_mb: Annotated[float, POSITIVE] = 256.0
    """The most megabytes of all requests; the one that has been arriving the longest gives way (503)."""

    timeout: Annotated[float, POSITIVE] = 60.0
    """The most seconds from a request to its answer; later requests are cancelled (504)."""

    max_connections: Annotated[int, POSITIVE] = 512
    """The most connections; the one that has been idle the longest gives way, if all are busy a new one does (503)."""

    max_header_kb: Annotated[float, POSITIVE] = 16.0
    """The most kilobytes of a request's header (431)."""

    read_timeout: Annotated[float, POSITIVE] = 10.0
    """The most seconds for a header, and for a pause in a body (408)."""

    min_rate: Annotated[float, POSITIVE] = 1000.0
    """The least bytes per second of a body (408), and at which an answer is read."""

    poll_seconds: Annotated[float, POSITIVE] = 1.0
    """Seconds between checks for a newer version."""

    def __post_init__(self) -> None:
        super().__post_init__()
        InferenceOptions(tile=self.tile, overlap=self.overlap)  # raises UserError if they do not fit
        if twice := [name for name, count in Counter(name for name, _ in self._named()).items() if count > 1]:
            raise UserError(f"{argument('models')} and {argument('name')}: {twice[0]} is there twice; name each once")
        for name in self.labels:
            if name not in self.folders:
                raise UserError(f"{argument('label')} names the model {name}, but {', '.join(self.folders)} are served")

    def _named(self) -> list[tuple[str, Path]]:
        further = [text.partition("=") for text in self.models]
        return [(self.name, self.directory), *((name, Path(folder)) for name, _, folder in further)]

    @property
    def folders(self) -> dict[str, Path]:
        """The folder of each model, by its name; the first is `name`."""
        return dict(self._named())

    @property
    def labels(self) -> dict[str, dict[str, str]]:
        """The labels of each model that has any: numbers of versions."""
        found: dict[str, dict[str, str]] = {}
        for text in self.label:
            label, _, version = text.rpartition("=")
            name, _, label = label.rpartition("/")
            found.setdefault(name or self.name, {})[label] = str(int(version))
        return found

    @property
    def tiles(self) -> InferenceOptions:
        """How large images are segmented."""
        return InferenceOptions(tile=self.tile, overlap=self.overlap)
