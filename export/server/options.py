"""The options of `python -m export.serve`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from keras_fcn.inference.options import InferenceOptions
from keras_fcn.system.options import HEIGHT_WIDTH, NOT_NEGATIVE, POSITIVE, Options, Range, within

_NAME = Range(
    lambda name: bool(name) and not set(name) & set("/:?# %"),
    "must be valid in a URL, without any of / : ? # %",
)

GRACE_SECONDS = 4
"""Seconds after `--timeout` when an ending process ends, whatever its threads do."""


@dataclasses.dataclass(frozen=True)
class ServeOptions(Options):
    """Serves the newest version in a folder of `python -m export.saved_model`, and each newer one as it appears.

    It has TensorFlow Serving's REST protocol (POST /v1/models/NAME:predict), the Open Inference Protocol
    (/v2/models/NAME/infer), a web page (/), health (/v2/health/ready) and metrics (/metrics). On SIGTERM or Ctrl-C it
    answers all accepted requests, accepts no more, and ends.
    """

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder of all versions of the model."""

    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for requests from other machines."""

    port: Annotated[int, within(0, 65535)] = 8501
    """The port; 0 for any that is free, which is printed."""

    name: Annotated[str, _NAME] = "keras_fcn"
    """The name of the model in URLs."""

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
    """The most megapixels of an image for networks that see all of it (--context mean); it has no tiles (400)."""

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

    @property
    def tiles(self) -> InferenceOptions:
        """How large images are segmented."""
        return InferenceOptions(tile=self.tile, overlap=self.overlap)
