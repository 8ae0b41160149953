"""The progress of an epoch: a bar on a terminal, and the time spent waiting for data."""

from __future__ import annotations

import time

from keras_fcn.system.progress import progress_bar


class Progress:
    """Follows the steps of an epoch; a context manager.

    Args:
        epoch: Its number, from 1.
        steps: Number of its steps.
        done: Number of those already made.
        batch_size: Images per step.

    Attributes:
        images: Number of images in the steps since the start.
        seconds: From the start to the end.
    """

    def __init__(self, epoch: int, steps: int, done: int, batch_size: int) -> None:
        self._batch_size, self.images, self.seconds = batch_size, 0, 0.0
        self._started, self._waited, self._computed = time.perf_counter(), 0.0, 0.0
        self._bar = progress_bar(steps * batch_size, "pair", f"epoch {epoch}", initial=done * batch_size, smoothing=0.1)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.seconds = time.perf_counter() - self._started
        self._bar.close()

    def made_step(self, loss: float, rate: float, waited: float, computed: float) -> None:
        """Records a step.

        Args:
            loss: The mean loss of the epoch so far.
            rate: The learning rate.
            waited: Seconds spent waiting for its batch.
            computed: Seconds spent on the step itself.
        """
        self.images += self._batch_size
        self._waited += waited
        self._computed += computed
        self._bar.set_postfix_str(
            f"loss {loss:.4f}, rate {rate:.2g}, {self.waiting_share:.0%} waiting for data", refresh=False
        )
        self._bar.update(self._batch_size)

    @property
    def waiting_share(self) -> float:
        """Fraction of the time of the steps, 0-1, that was spent waiting for data."""
        total = self._waited + self._computed
        return self._waited / total if total else 0.0
