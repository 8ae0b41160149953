"""Predicting on a Ray cluster: Ray Data distributes batches of tasks to workers."""

from __future__ import annotations

import functools
import io
import logging
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.errors import LostWorkerError, NoSpaceError, Remark, UserError, argument
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.prediction.outputs import OutputStyle
from keras_fcn.prediction.plan import Task, remove_temporary_files
from keras_fcn.system.files import written
from keras_fcn.system.ray import connect, last_line
from keras_fcn.system.startup import start_tensorflow, stderr_unless_it_fails
from keras_fcn.system.storage import is_remote

TASKS_PER_BATCH = 16
"""Images that a worker gets at a time; another worker repeats them if it is lost."""

_FAILURE, _NO_SPACE = "failure", "no space"
"""Kinds of what workers report, beside those of remarks."""


def predict_on_ray(
    model: Path,
    tasks: Sequence[Task],
    inference: InferenceOptions,
    style: OutputStyle | None = None,
    batch_size: int | None = None,
    advance: Callable[[int], object] = lambda count: None,
    decision: Decision | None = None,
    channels: str | None = None,
) -> dict[int, UserError]:
    """Predicts images as `predict_all` does, in workers of a Ray cluster, to the same files.

    There is a worker for each GPU or, if there are none, for each CPU. The batch of a lost worker is repeated by
    another. The model is sent along; all nodes must see the images and the output folder.

    Args:
        model: A file, or the folder of a SavedModel.
        tasks: Images to read and files to write.
        inference: Flipping, scales and tiles.
        style: The style of pictures and annotations.
        batch_size: As for `predict_all`.
        advance: Called with the number of finished tasks.
        decision: How probabilities become classes.
        channels: The channels to read of images; the model's if None.

    Returns:
        The errors, as `predict_all` does.

    Raises:
        UserError: If no cluster answers.
        NoSpaceError: If a worker's disk is full; images that are left are not predicted.
        LostWorkerError: If Ray fails.
    """
    ray = connect()
    rows = [{"number": number, "task": pickle.dumps(_absolute(task))} for number, task in enumerate(tasks)]
    failures: dict[int, UserError] = {}
    full: list[NoSpaceError] = []
    try:
        with stderr_unless_it_fails():  # Ray's core writes there, past its own log level
            arguments = (ray.put(packed(model)), inference, style, batch_size, decision, channels)
            for batch in _finished_batches(ray, rows, arguments).iter_batches(batch_size=None):
                reported = zip(batch["number"], batch["kind"], batch["text"])
                failures |= {int(number): _error(str(kind), str(text)) for number, kind, text in reported if kind}
                if full := [failure for failure in failures.values() if isinstance(failure, NoSpaceError)]:
                    break
                advance(len(batch["number"]))
    except ray.exceptions.RayError as error:
        raise LostWorkerError(
            f"Ray failed; resume with {argument('skip_existing')}. Ray reported: {last_line(error)}"
        ) from None
    finally:
        ray.shutdown()
        remove_temporary_files({target for task in tasks for target in task.targets.values()}, of_other_machines=True)
    if full:
        raise full[0]
    return dict(sorted(failures.items()))


def _finished_batches(ray: Any, rows: list[dict], arguments: tuple) -> Any:
    """Returns the data set of finished tasks: their numbers, and kinds and texts of what is said about them."""
    from ray.data import ActorPoolStrategy, DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    DataContext.get_current().enable_progress_bars = False
    resources = ray.cluster_resources()
    on_gpu = resources.get("GPU", 0) >= 1
    count = -(-len(rows) // TASKS_PER_BATCH)
    workers = min(count, max(1, int(resources["GPU" if on_gpu else "CPU"])))
    batches = ray.data.from_items(rows, override_num_blocks=count)
    needs = {"num_gpus": 1} if on_gpu else {"num_cpus": 1}
    return batches.map_batches(
        Worker, batch_size=None, fn_constructor_args=arguments, compute=ActorPoolStrategy(size=workers), **needs
    )


class Worker:
    """Predicts batches of tasks in a process of the cluster.

    Args:
        model: The archive of `packed`.
        inference: Flipping, scales and tiles.
        style: The style of pictures and annotations.
        batch_size: As for `predict_all`.
        decision: How probabilities become classes.
        channels: The channels to read of images; the model's if None.
    """

    def __init__(
        self,
        model: Any,
        inference: InferenceOptions,
        style: OutputStyle | None,
        batch_size: int | None,
        decision: Decision | None = None,
        channels: str | None = None,
    ) -> None:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)  # Ray sets it, for Keras 2
        self._model, self._inference, self._style, self._batch_size = model, inference, style, batch_size
        self._decision, self._channels = decision, channels

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Predicts a batch of tasks; returns their numbers, and kind and text of each error and remark, or nothing."""
        from keras_fcn.prediction.photos import predict_all

        tasks = [pickle.loads(task) for task in batch["task"]]
        try:
            failures = predict_all(self._predictor, tasks, self._style, self._batch_size)
        except UserError as error:  # of all of them
            failures = dict.fromkeys(range(len(tasks)), error)
        found = [_described(failures.get(index)) for index in range(len(tasks))]
        kinds, texts = (np.array(column, object) for column in zip(*found))
        return {"number": batch["number"], "kind": kinds, "text": texts}

    @functools.cached_property
    def _predictor(self) -> Any:
        """The model, which is opened here, not in `__init__`: Ray takes an error there for a lost worker."""
        import ray

        from keras_fcn.inference.engines.opening import uses_tensorflow
        from keras_fcn.inference.predictor import Predictor

        with (
            written(Path("the folder for temporary files")),
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ):
            model = unpacked(ray.get(self._model), Path(folder))
            if uses_tensorflow(model):
                start_tensorflow()
            return Predictor.open(model, self._inference, self._decision).reading(self._channels)


def _described(error: UserError | None) -> tuple[str, str]:
    """Returns kind and text of what is said about an image; nothing without an error or a remark."""
    if error is None:
        return "", ""
    kind = _NO_SPACE if isinstance(error, NoSpaceError) else _FAILURE
    return error.kind if isinstance(error, Remark) else kind, error.marked


def _error(kind: str, text: str) -> UserError:
    """Returns what `_described` describes."""
    if kind in (_NO_SPACE, _FAILURE):
        return NoSpaceError(text) if kind == _NO_SPACE else UserError(text)
    return Remark(kind, text)


def packed(model: Path) -> bytes:
    """Returns a model's files, or the folder of a SavedModel, as the bytes of an archive."""
    from keras_fcn.inference.engines.opening import files_of

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for path in files_of(model):
            files.write(path, path.relative_to(model.parent))
    return archive.getvalue()


def unpacked(archive: bytes, folder: Path) -> Path:
    """Extracts an archive of `packed` into a folder, and returns the path of the model."""
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        files.extractall(folder)
        first = files.namelist()[0]  # the file to open, or one of a folder
    return folder / Path(first).parts[0]


def _absolute(task: Task) -> Task:
    """Returns the task with absolute paths: workers start in other folders."""

    def absolute(location: str) -> str:
        return location if is_remote(location) else str(Path(location).absolute())

    source = type(task.source)(absolute(task.source.location), task.source.name)
    return Task(source, {output: absolute(target) for output, target in task.targets.items()})
