"""Communication of the processes that train together. All of them must call each method, in the same order."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from keras_fcn.errors import LostWorkerError, UserError

_LOSSES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
"""The errors of TensorFlow when another worker no longer answers."""


class Workers:
    """The processes that train together: those of a cluster, or this one alone.

    Args:
        strategy: The devices; those of this process if not given.

    Attributes:
        count: Number of processes.
        index: Index of this one; the chief, which alone writes files, is 0.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self._strategy, self.count, self.index = strategy, 1, 0
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            tasks = resolver.cluster_spec().as_dict()
            everyone = [(task, number) for task in ("chief", "worker") for number in range(len(tasks.get(task, [])))]
            self.count, self.index = len(everyone), everyone.index((resolver.task_type, resolver.task_id))

    @property
    def is_chief(self) -> bool:
        """Returns whether this process writes the run's files and the log."""
        return self.index == 0

    def total(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum over all workers of arrays of one shape and dtype."""
        if self._strategy is None or self.count == 1:
            return values
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(values), axis=None).numpy()

    def gather(self, value: int) -> list[int]:
        """Returns the values of all workers, by their index."""
        own = np.zeros(self.count, np.int64)
        own[self.index] = value
        return self.total(own).tolist()

    def highest(self, value: int) -> int:
        """Returns the highest value of all workers."""
        return max(self.gather(value))

    def wait(self) -> None:
        """Waits until all workers have called this."""
        self.gather(0)

    def require_alike(self, value: str, message: str) -> None:
        """Raises UserError with the message unless all workers have the same value."""
        if len(set(self.gather(zlib.crc32(value.encode(errors="surrogateescape"))))) > 1:
            raise UserError(message)

    def require_same_weights(self, weights: Iterable[Any], source: str) -> None:
        """Raises UserError unless all workers have read the same weights from a source."""
        if self.count > 1:
            digests = (zlib.crc32(np.asarray(weight).tobytes()) for weight in weights)
            self.require_alike(
                " ".join(map(str, digests)), f"{source}: the workers have different weights there; give all the same"
            )

    @contextlib.contextmanager
    def explain_loss(self, fix: str) -> Iterator[None]:
        """Turns TensorFlow's errors about workers that no longer answer into a `LostWorkerError`.

        Args:
            fix: How to resume, human-readable.
        """
        try:
            yield
        except _LOSSES as error:
            if self.count == 1:
                raise
            raise LostWorkerError(
                f"another of the {self.count} workers has ended or failed ({type(error).__name__}), see its own last "
                f"line; {fix}"
            ) from None
