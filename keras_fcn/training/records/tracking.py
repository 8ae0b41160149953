"""Sends the values of a run in training to an experiment tracker."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pkgutil import resolve_name
from typing import Any

import keras

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.names import TRACKERS, TrackerName
from keras_fcn.system.files import write_json
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import load_json, reason_of
from keras_fcn.training.records.trackers import TrackedRun


def tracker_of(run: RunFolder | None, tracker: TrackerName | None) -> TrackerName | None:
    """Returns the tracker of a run: that which is asked for, or in which it began.

    Raises:
        UserError: If it began in another one, or the tracker's package is not installed.
    """
    began = _kept(run)[0] if run is not None else None
    if tracker is not None and began is not None and began != tracker:
        assert run is not None
        raise UserError(
            f"{run.tracking}: the run began in {began}; leave {argument('tracker')} out, or remove this file to begin "
            f"anew. Received: {argument('tracker', tracker)}"
        )
    found = tracker or began
    if found is not None:
        require_packages(argument("tracker", found), "trackers", TRACKERS[found].module)
    return found


@contextlib.contextmanager
def tracked(
    run: RunFolder, tracker: TrackerName | None, settings: dict[str, Any], report: Callable[[str], None]
) -> Iterator[list[keras.callbacks.Callback]]:
    """Yields the callbacks that send a run's values to its tracker while the block runs; none without a tracker.

    What goes wrong there is reported in a line and ends the tracking, never the training.

    Args:
        run: The run's folder, which keeps the key under which the tracker has the run.
        tracker: The tracker's name.
        settings: The run's settings.
        report: Called with each line of the log.
    """
    if tracker is None:
        yield []
        return
    tracking = _Tracking(run, tracker, settings, report)
    try:
        yield [tracking]
    finally:
        tracking.finish()


class _Tracking(keras.callbacks.Callback):
    def __init__(
        self, run: RunFolder, tracker: TrackerName, settings: dict[str, Any], report: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._run, self._tracker, self._report, self._is_finished = run, tracker, report, False
        self._tracked: TrackedRun | None = None
        with self._watched():
            _, key = _kept(run)
            self._tracked = resolve_name(TRACKERS[tracker].function)(run.root.name, settings, key)
            write_json(run.tracking, {"tracker": tracker, "key": self._tracked.key})
            report(f"Tracker  {tracker}, as {run.root.name}{' (continued)' if key else ''}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        row = {name: float(value) for name, value in (logs or {}).items() if value is not None}
        step = int(row.pop("step", epoch + 1))
        values = {name: value for name, value in row.items() if name != "epoch" and not math.isnan(value)}
        if self._tracked is not None:
            with self._watched():
                self._tracked.log(step, values)

    def on_train_end(self, logs: dict | None = None) -> None:
        self._is_finished = True

    def finish(self) -> None:
        """Ends the run in the tracker, with its curves and metrics."""
        if self._tracked is not None:
            files = [file for file in (self._run.metrics, self._run.curves, self._run.config) if file.is_file()]
            with self._watched():
                self._tracked.finish(files, self._is_finished)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._tracked = None
            self._report(
                f"Warning  {self._tracker}: {reason_of(error)}; training goes on, and nothing more is sent there"
            )


def _kept(run: RunFolder) -> tuple[TrackerName | None, str | None]:
    """Returns the tracker in which a run began, and its key there.

    Raises:
        UserError: If the file is damaged.
    """
    if not run.tracking.is_file():
        return None, None
    try:
        kept = load_json(run.tracking.read_text(encoding="utf-8"))
        if kept["tracker"] in TRACKERS:
            return kept["tracker"], str(kept["key"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{run.tracking}: is damaged; remove it to begin anew in a tracker")
