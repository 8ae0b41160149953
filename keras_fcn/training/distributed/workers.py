"""What the processes that train together tell each other. Each method must be called by all of them, in one order."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

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
"""What TensorFlow raises where others do not answer any more."""


class Workers:
    """The processes that train together: those of a cluster, or this one alone.

    Args:
        strategy: The devices; those of this process if not given.

    Attributes:
        count: How many there are.
        index: Which one this is; the chief, who alone writes files, is 0.
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
        """Whether this one writes the run's files, and tells how training goes."""
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
        """Returns the highest value that any worker has."""
        return max(self.gather(value))

    def wait(self) -> None:
        """Returns when all workers have come here."""
        self.gather(0)

    def require_alike(self, value: str, complaint: str) -> None:
        """Raises UserError with the complaint unless all workers have the same value."""
        if len(set(self.gather(zlib.crc32(value.encode())))) > 1:
            raise UserError(complaint)

    @contextlib.contextmanager
    def explain_loss(self, cure: str) -> Iterator[None]:
        """Turns TensorFlow's errors about workers that do not answer any more into a `LostWorkerError`.

        Args:
            cure: How to go on, for people.
        """
        try:
            yield
        except _LOSSES as error:
            if self.count == 1:
                raise
            raise LostWorkerError(
                f"another of the {self.count} workers has gone or failed ({type(error).__name__}), see its own last "
                f"line; {cure}"
            ) from None
