"""What `predict.py` does: finds photographs and videos, predicts what is left to do, and says how it went."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from keras_fcn.errors import UserError, argument
from keras_fcn.prediction.annotations import merged_coco
from keras_fcn.prediction.options import PredictOptions
from keras_fcn.prediction.plan import Plan, Task, coco_file, plan
from keras_fcn.prediction.sources import find_photographs
from keras_fcn.runs.names import OUTPUTS
from keras_fcn.system.packages import require_packages
from keras_fcn.system.progress import progress_bar
from keras_fcn.system.startup import start_tensorflow
from keras_fcn.system.storage import read_bytes, write_bytes


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
    for output in options.write:
        require_packages(argument("write", output), "extra", *OUTPUTS[output].packages)
    sources = find_photographs(options.inputs, stdin, options.out)
    if options.ray:
        require_packages(argument("ray"), "ray", "ray")
    if any(source.is_video for source in sources):
        if options.ray:
            raise UserError(f"{argument('ray')} is for photographs; predict videos without it")
        require_packages("videos", "extra", "av")
    planned = plan(sources, options.out, options.write, options.existing)
    try:
        failures = _predict(options, planned.left) if planned.left else []
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)("the same command with --skip-existing goes on") from None
    if "coco" in options.write:
        merge_coco(options.out, planned)
    return Outcome(len(planned.tasks), len(planned.tasks) - len(planned.left), failures)


def _predict(options: PredictOptions, left: list[Task]) -> list[UserError]:
    """Predicts photographs, then videos; returns what is wrong with those that failed."""
    start_tensorflow(look_at_devices=not options.ray)
    import tensorflow as tf

    from keras_fcn.inference.models import find_model
    from keras_fcn.inference.predictor import Predictor
    from keras_fcn.prediction.outputs import PictureStyle
    from keras_fcn.prediction.photos import predict_all
    from keras_fcn.prediction.ray import predict_on_ray
    from keras_fcn.prediction.videos import predict_video

    if options.ray:
        tf.config.set_visible_devices([], "GPU")  # they are the workers'
    predictor = Predictor.open(options.model, options.inference)
    if any("probabilities" in task.targets for task in left):
        _ = predictor.score  # complains if the model gives none
    style = PictureStyle(options.palette, options.alpha)
    photos = [task for task in left if not task.source.is_video]
    with progress_bar(len(photos), "photo") as bar:
        if options.ray:
            model = find_model(options.model)
            failures = predict_on_ray(model, photos, options.inference, style, options.batch_size, bar.update)
        else:
            failures = predict_all(predictor, photos, style, options.batch_size, bar.update)
    failed = [*failures.values()]
    for task in left:
        if task.source.is_video:
            try:
                with progress_bar(None, "frame") as bar:
                    predict_video(predictor, task, style, options.fps, bar.update)
            except UserError as error:
                failed.append(error)
    return failed


def merge_coco(out: str, planned: Plan) -> None:
    """Writes the annotations of all photographs, those of earlier runs included, as one file."""

    def files() -> Iterable[bytes]:
        for task in planned.tasks:
            if not task.source.is_video:
                try:
                    yield read_bytes(task.targets["coco"])
                except UserError:
                    continue  # it failed, and is named elsewhere

    write_bytes(coco_file(out), b"".join(merged_coco(files())))
