"""The options of `python -m export.serve`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from keras_fcn.errors import UserError


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """Serves the newest version in a folder of `python -m export.saved_model`, and each newer one as it appears.

    It speaks TensorFlow Serving's REST protocol (POST /v1/models/NAME:predict), the Open Inference Protocol
    (/v2/models/NAME/infer) and has a page to look at (/), health (/v2/health/ready) and metrics (/metrics). SIGTERM or
    Ctrl-C ends it: what has been asked is answered, nothing new is taken.
    """

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder of all versions of the model."""

    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for other machines to reach it."""

    port: int = 8501
    """The port; 0 for any that is free, which is printed."""

    name: str = "keras_fcn"
    """What the model is called in addresses."""

    max_batch: int | None = None
    """Images of one size that go through the network together, at most; 8 on a GPU and 4 on a CPU if not given."""

    max_delay_ms: float = 0.0
    """How long an idle network waits for more images. With 0, those go together that came while it was busy."""

    max_body_mb: float = 32.0
    """Megabytes that a request may have; base64 makes files a third longer."""

    max_waiting: int = 64
    """Requests that may wait for an answer; more are told to come again (503)."""

    timeout: float = 60.0
    """Seconds from a request to its answer; what is not answered by then is given up (504)."""

    poll_seconds: float = 1.0
    """How often to look for a newer version."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port must be 0 to 65535. Received: {self.port}")
        if not self.name or set(self.name) & set("/:?# %"):
            raise UserError(f"--name must be usable in an address, without any of / : ? # %. Received: {self.name!r}")
        if self.max_delay_ms < 0:
            raise UserError(f"--max-delay-ms must not be negative. Received: {self.max_delay_ms}")
        for option in ("max_batch", "max_body_mb", "max_waiting", "timeout", "poll_seconds"):
            value = getattr(self, option)
            if value is not None and not value > 0:
                raise UserError(f"--{option.replace('_', '-')} must be greater than 0. Received: {value}")
