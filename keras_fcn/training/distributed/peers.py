"""The other workers of a cluster: meets them before TensorFlow does, and notices when one of them ends or falls silent.

TensorFlow waits without end, and without a word, for a worker that cannot come, and does not say why one has gone.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError

from keras_fcn.errors import LostWorkerError, UserError
from keras_fcn.system.command_line import end_at_once
from keras_fcn.system.text import reason_of
from keras_fcn.training.distributed.agreement import Introduction
from keras_fcn.training.distributed.cluster import Cluster
from keras_fcn.training.distributed.connections import Connections
from keras_fcn.training.distributed.messages import FAILED, LEFT, LOST, USER
from keras_fcn.training.distributed.telling import tell

PATIENCE, REPORTED_AFTER = 3600.0, 30.0
"""Seconds to wait until all workers are there, and after which a line says who is not."""

GRACE = 6.0
"""Seconds that TensorFlow has to give up on a lost worker, before this process is ended without it.

With `SILENCE`, and once more for a worker that hears of the loss from another, less than half a minute.
"""


class Peers(contextlib.AbstractContextManager):
    """Meets the other workers of a cluster, and stays connected to them while the block runs.

    What ends the block is told to them. If one of them is lost, and TensorFlow does not end the block itself, the
    process is ended in one line: nothing else gets it out of a computation that waits for others.

    Args:
        cluster: The workers.
        introduction: What this one says of itself.
        fix: What to do when another worker is lost, human-readable.
        report: Called with a line if others are waited for.

    Raises:
        UserError: If this worker cannot listen at its address, workers disagree, or one has a user's mistake.
        LostWorkerError: If others do not come, or are lost.
    """

    def __init__(
        self, cluster: Cluster, introduction: Introduction, fix: str, report: Callable[[str], None] = print
    ) -> None:
        self._name, self._address, self._report = cluster.name, cluster.address, report
        self._connections = Connections(cluster, introduction, fix)
        self._connections.loss.add_done_callback(self._take_loss)

    def __enter__(self) -> Peers:
        self._thread = threading.Thread(target=self._connections.run, name="peers", daemon=True)
        self._thread.start()
        try:
            self._wait()
        except BaseException as error:
            self._end(error)
            if isinstance(error, UserError):
                tell(self._uninformed(), f"{self._name}: {error.marked}")
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        reason = None
        if isinstance(error, LostWorkerError):  # TensorFlow noticed, and does not know why
            with contextlib.suppress(TimeoutError):
                reason = self._connections.loss.result(GRACE)
        self._end(reason or error)
        if reason:
            raise reason from None

    def _wait(self) -> None:
        """Waits until all have met."""
        met = self._connections.met
        try:
            met.result(REPORTED_AFTER)
        except TimeoutError:
            self._report(f"Worker   still waiting for {self._missing()}")
            try:
                met.result(PATIENCE - REPORTED_AFTER)
            except TimeoutError:
                raise LostWorkerError(f"{self._missing()} did not come in {PATIENCE / 60:.0f} minutes") from None

    def _missing(self) -> str:
        missing = (str(peer) for peer in self._connections.others.values() if not peer.is_here)
        return ", ".join(missing) or "the others to meet each other"

    def _uninformed(self) -> list[str]:
        """Returns the addresses of workers that may wait for this one and cannot know why it ends."""
        others = [peer.address for peer in self._connections.others.values() if peer.called is None]
        return others if self._connections.is_placed else [*others, self._address]  # another may be there instead

    def _end(self, error: BaseException | None) -> None:
        """Tells the others why this worker ends, and closes all connections."""
        with contextlib.suppress(InvalidStateError):  # it has ended before
            self._connections.end.set_result(self._last_words(error))
        self._thread.join(5)
        if isinstance(error, UserError):
            error.is_told = True

    def _last_words(self, error: BaseException | None) -> dict[str, str]:
        if isinstance(error, (UserError, LostWorkerError)):
            return {"ended": USER if isinstance(error, UserError) else LOST, "line": self._line(error)}
        if error is None or isinstance(error, KeyboardInterrupt):
            return {"ended": LEFT}
        return {"ended": FAILED, "line": f"{type(error).__name__}: {reason_of(error)}"}

    def _line(self, error: UserError | LostWorkerError) -> str:
        """Returns the line that the others show for an error."""
        return error.marked if error.is_told else f"{self._name}: {error.marked}"

    def _take_loss(self, loss: Future[UserError | LostWorkerError]) -> None:
        threading.Thread(target=self._end_without, args=(loss.result(),), daemon=True).start()

    def _end_without(self, error: UserError | LostWorkerError) -> None:
        """Ends the process unless the block ends soon."""
        try:
            self._connections.end.result(GRACE)
        except TimeoutError:
            self._end(error)
            end_at_once(error)
