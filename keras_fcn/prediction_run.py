"""What `predict.py` does: finds photographs and videos, predicts what is left to do, and says how it went."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable

from tqdm import tqdm

from keras_fcn.environment import start_tensorflow
from keras_fcn.errors import UserError
from keras_fcn.photographs import find_photographs
from keras_fcn.polygons import merged_coco, require_polygons
from keras_fcn.predict_options import PredictOptions
from keras_fcn.prediction_plan import Plan, Task, coco_file, plan
from keras_fcn.storage import read_bytes, write_bytes
from keras_fcn.video import require_video


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a prediction went.

    Attributes:
        total: Photographs and videos that were named.
        skipped: Those of them whose files were all there.
        failures: What is wrong with those that failed.
    """

    total: int
    skipped: int
    failures: list[UserError]

    @property
    def done(self) -> int:
        """Photographs and videos that were predicted."""
        return self.total - self.skipped - len(self.failures)


def run_prediction(options: PredictOptions, stdin: Iterable[str] = ()) -> Outcome:
    """Predicts what the options name and writes what they ask for.

    Nothing that takes long is begun before all names are known to be free, and TensorFlow is only started if something
    is left to do.

    Args:
        options: The options of `predict.py`.
        stdin: Lines that stand for "-" among the inputs.

    Raises:
        UserError: If there is no model or nothing to predict, a file is in the way, or a package is missing.
        KeyboardInterrupt: After Ctrl-C; its text says how to go on.
    """
    if {"geojson", "coco"} & set(options.write):
        require_polygons()
    sources = find_photographs(options.inputs, stdin, options.out)
    if any(source.is_video for source in sources):
        require_video()
    planned = plan(sources, options.out, options.write, options.existing)
    try:
        failures = _predict(options, planned.left) if planned.left else []
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)("the same command with --skip-existing goes on") from None
    if "coco" in options.write:
        _merge_coco(options.out, planned)
    return Outcome(len(planned.tasks), len(planned.tasks) - len(planned.left), failures)


def _predict(options: PredictOptions, left: list[Task]) -> list[UserError]:
    start_tensorflow()
    import tensorflow as tf

    from keras_fcn.inference import Predictor
    from keras_fcn.prediction import PictureStyle, predict_all
    from keras_fcn.video_prediction import predict_video

    predictor = Predictor.open(options.model, options.inference)
    is_batched = tf.config.list_physical_devices("GPU") and options.inference.tile is None
    batch_size = options.batch_size or (8 if is_batched else 1)
    style = PictureStyle(options.palette, options.alpha)
    photos = [task for task in left if not task.source.is_video]
    with _bar("photo", len(photos)) as bar:
        failures = predict_all(predictor, photos, style, batch_size, bar.update)
    for task in left:
        if task.source.is_video:
            with _bar("frame") as bar:
                try:
                    predict_video(predictor, task, style, options.fps, bar.update)
                except UserError as error:
                    failures.append(error)
    return failures


def _bar(unit: str, total: int | None = None) -> tqdm:
    return tqdm(total=total, unit=unit, file=sys.stdout, disable=not sys.stdout.isatty())


def _merge_coco(out: str, planned: Plan) -> None:
    """Writes the annotations of all photographs, those of earlier runs included, as one file."""

    def files() -> Iterable[bytes]:
        for task in planned.tasks:
            if not task.source.is_video:
                try:
                    yield read_bytes(task.targets["coco"])
                except UserError:
                    continue  # it failed, and is named elsewhere

    write_bytes(coco_file(out), b"".join(merged_coco(files())))
