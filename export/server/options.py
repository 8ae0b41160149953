"""The options of `python -m export.serve`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from keras_fcn.system.options import NOT_NEGATIVE, POSITIVE, Options, Range, within

_NAME = Range(
    lambda name: bool(name) and not set(name) & set("/:?# %"),
    "must be usable in an address, without any of / : ? # %",
)


@dataclasses.dataclass(frozen=True)
class ServeOptions(Options):
    """Serves the newest version in a folder of `python -m export.saved_model`, and each newer one as it appears.

    It speaks TensorFlow Serving's REST protocol (POST /v1/models/NAME:predict), the Open Inference Protocol
    (/v2/models/NAME/infer) and has a page to look at (/), health (/v2/health/ready) and metrics (/metrics). SIGTERM or
    Ctrl-C ends it: what has been asked is answered, nothing new is taken.
    """

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder of all versions of the model."""

    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for other machines to reach it."""

    port: Annotated[int, within(0, 65535)] = 8501
    """The port; 0 for any that is free, which is printed."""

    name: Annotated[str, _NAME] = "keras_fcn"
    """What the model is called in addresses."""

    max_batch: Annotated[int | None, POSITIVE] = None
    """Images of one size that go through the network together, at most; 8 on a GPU and 4 on a CPU if not given."""

    max_delay_ms: Annotated[float, NOT_NEGATIVE] = 0.0
    """How long an idle network waits for more images. With 0, those go together that came while it was busy."""

    max_body_mb: Annotated[float, POSITIVE] = 32.0
    """Megabytes that a request may have; base64 makes files a third longer."""

    max_waiting: Annotated[int, POSITIVE] = 64
    """Requests that may wait for an answer; more are told to come again (503)."""

    timeout: Annotated[float, POSITIVE] = 60.0
    """Seconds from a request to its answer; what is not answered by then is given up (504)."""

    poll_seconds: Annotated[float, POSITIVE] = 1.0
    """How often to look for a newer version."""

    @property
    def max_body_bytes(self) -> int:
        """Bytes that a request may have."""
        return int(self.max_body_mb * 1e6)
