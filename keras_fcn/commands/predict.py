"""Segments images and videos with a trained network; `python predict.py --help` explains the options."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from keras_fcn.errors import NoSpaceError, Remark, UserError, argument, first_of_each_kind
from keras_fcn.inference.engines.opening import find_model, is_model, uses_tensorflow
from keras_fcn.inference.options import InferenceOptions, require_each_once
from keras_fcn.prediction.annotations.beside import write_about, write_merged
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.prediction.plan import Existing, Plan, Task, are_of_probabilities, plan
from keras_fcn.prediction.sources import Sources, find_images
from keras_fcn.runs.data_options import ChannelsOption
from keras_fcn.runs.names import OUTPUTS, OutputName, PaletteName
from keras_fcn.system.command_line import USER_ERROR, as_options, parse_options
from keras_fcn.system.files import require_writable
from keras_fcn.system.options import AT_LEAST_1, POSITIVE, Options, Range, hint, within
from keras_fcn.system.packages import require_packages
from keras_fcn.system.progress import progress_bar
from keras_fcn.system.startup import start_tensorflow
from keras_fcn.system.storage import is_remote

SOME_FAILED = 1

_WRITE_HINT = hint(OUTPUTS, "masks overlays")
_OUTPUTS = Range(lambda outputs: len(set(outputs)) == len(outputs) > 0, "takes one or more outputs, each once")


@dataclasses.dataclass(frozen=True)
class PredictOptions(Options):
    """Segments images and videos, and writes masks, overlays, tables and polygons: DIR/OUTPUT/NAME.

    Raises:
        UserError: If options are missing, exclude each other or are out of their range.
    """

    model: Annotated[Positional[Path], arg(metavar="RUN_OR_MODEL...")]
    """A run folder, a .keras file, a SavedModel, an exported .onnx, .xml or .tflite file, for which TensorFlow is not
    loaded, or a .pth file of one of torchvision's networks. Of several, probabilities are averaged."""

    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT...")]
    """Images, folders of them, quoted patterns such as "day*/**/*.jpg", videos, image sequences such as
    frame_%04d.png, and - for a list on the standard input."""

    out: Annotated[str, arg(metavar="DIR")]
    """The folder to write to."""

    write: Annotated[tuple[OutputName, ...], _OUTPUTS, arg(metavar="OUTPUT ...", help_behavior_hint=_WRITE_HINT)] = (
        "masks",
        "overlays",
    )
    """The outputs to write for each image."""

    overwrite: Annotated[bool, FlagCreatePairsOff] = False
    """Replace existing files."""

    skip_existing: Annotated[bool, FlagCreatePairsOff] = False
    """Keep existing files and write those that are missing: resumes a prediction that was stopped."""

    inference: OmitArgPrefixes[InferenceOptions] = dataclasses.field(default_factory=InferenceOptions)

    channels: ChannelsOption = None
    """The channels of images to read, as many as the model takes: 4,3,2,8, say."""

    palette: PaletteName = "classes"
    """Colours of overlays and panels: the classes' own, or colour-blind friendly ones. Masks keep their own."""

    alpha: Annotated[float, within(0, 1), arg(metavar="0-1")] = 0.55
    """Opacity of the classes' colours in overlays."""

    unsure: Annotated[float, within(0, 1), arg(metavar="0-1")] = 0.0
    """Make pixels void (255) whose most probable class is less probable than this."""

    annotations: OmitArgPrefixes[AnnotationStyle] = dataclasses.field(default_factory=AnnotationStyle)

    batch_size: Annotated[
        int | None, AT_LEAST_1, arg(metavar="N", help_behavior_hint="(default: 8 on a GPU, 4 on a CPU)")
    ] = None
    """Images of one size per batch."""

    ray: Annotated[bool, FlagCreatePairsOff] = False
    """Predict on a Ray cluster: the one at RAY_ADDRESS or, if that is not set, one on this machine until it ends."""

    fps: Annotated[float, POSITIVE, arg(metavar="N")] = 25.0
    """Frames per second of image sequences; videos have their own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ray and len(self.models) > 1:
            raise UserError(f"{argument('ray')} predicts with one model. Received: {', '.join(map(str, self.models))}")
        require_each_once(self.models)
        if late := next(filter(is_model, self.images), None):
            raise UserError(f"{late}: is a model; models stand before the images")
        if not self.images:
            raise UserError("predict.py needs images, folders or videos after the model, or - for a list on stdin")
        if self.overwrite and self.skip_existing:
            both = f"{argument('overwrite')} and {argument('skip_existing')}"
            raise UserError(f"{both} exclude each other; leave one of them out")

    @functools.cached_property
    def models(self) -> tuple[Path, ...]:
        """The model, and those that follow it: an ensemble."""
        return (self.model, *map(Path, itertools.takewhile(is_model, self.inputs)))

    @property
    def images(self) -> tuple[str, ...]:
        """The inputs after the models."""
        return self.inputs[len(self.models) - 1 :]

    @property
    def existing(self) -> Existing:
        """The treatment of existing files."""
        return "overwrite" if self.overwrite else "skip" if self.skip_existing else "refuse"


def main() -> int:
    """Predicts all inputs that can be decoded, reports the others, and returns the exit status."""
    options = parse_options(PredictOptions, sys.argv[1:])
    outcome = run_prediction(options, sys.stdin)
    for line in outcome.left_out:
        print(line, file=sys.stderr)
    for failure in outcome.failures:
        print(f"error: {as_options(failure)}", file=sys.stderr)
    for remark in first_of_each_kind(outcome.remarks):
        print(f"note: {as_options(remark)}", file=sys.stderr)
    if outcome.failures and len(outcome.failures) == outcome.total:
        return USER_ERROR
    skipped = f", {outcome.skipped} already existed" if outcome.skipped else ""
    folders = ", ".join(f"{name}/" for name in options.write)
    print(f"{outcome.done} of {outcome.total} segmented{skipped}: {folders} in {options.out}")
    return SOME_FAILED if outcome.failures or outcome.unread else 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a prediction.

    Attributes:
        total: Number of images and videos.
        skipped: Number of those whose files already existed.
        failures: The errors of those that failed.
        remarks: Remarks about those that were predicted but should be looked at.
        left_out: Lines about the files in folders that are neither.
        unread: Number of pictures among these.
    """

    total: int
    skipped: int
    failures: list[UserError]
    remarks: list[Remark]
    left_out: list[str]
    unread: int

    @property
    def done(self) -> int:
        """Number of images and videos that were predicted."""
        return self.total - self.skipped - len(self.failures)


def run_prediction(options: PredictOptions, stdin: Iterable[str] = ()) -> Outcome:
    """Predicts the inputs and writes the outputs.

    The names of all outputs are checked before anything slow begins, and TensorFlow is started only if something is
    left to do.

    Args:
        options: The options of `predict.py`.
        stdin: Lines that stand for "-" among the inputs.

    Raises:
        UserError: If there is no model or nothing to predict, a file already exists, or a package is missing.
        KeyboardInterrupt: After Ctrl-C; its text says how to resume.
    """
    for output in options.write:
        require_packages(argument("write", output), "extra", *OUTPUTS[output].packages)
    if "coco" in options.write and options.annotations.tolerance:
        require_packages(argument("tolerance"), "extra", "rasterio")
    if "to_label" in options.write and not options.inference.is_averaged:
        options = dataclasses.replace(options, inference=options.inference.averaged())
        scales = " ".join(f"{scale:g}" for scale in options.inference.scales)
        text = "note: to_label ranks by the mean of flips and scales: all is predicted with --flip --scales"
        print(f"{text} {scales}", file=sys.stderr)
    sources = find_images(options.images, stdin, options.out)
    _require_readable(options, sources)
    planned = plan(sources, options.out, options.write, options.existing)
    resume = "resume with the same command and --skip-existing"
    try:
        if planned.left:
            _require_writable(options)
        found = _predict(options, planned) if planned.left else []
        for line in write_merged(options.out, options.write, planned):
            print(f"note: {line}", file=sys.stderr)
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)(resume) from None
    except NoSpaceError as error:
        raise NoSpaceError(f"{error.marked}, then {resume}") from None
    remarks = [error for error in found if isinstance(error, Remark)]
    failures = [error for error in found if not isinstance(error, Remark)]
    skipped = len(planned.tasks) - len(planned.left)
    return Outcome(len(planned.tasks), skipped, failures, remarks, sources.left_out, sources.unread)


def _require_readable(options: PredictOptions, sources: Sources) -> None:
    """Raises UserError if a package is missing that reads some of the sources, or Ray cannot predict them."""
    if any(source.is_video for source in sources):
        if options.ray:
            raise UserError(f"{argument('ray')} is for images; predict videos without it")
        require_packages("videos", "extra", "av")
    raster = next((source.location for source in sources if source.is_raster), None)
    if raster is not None:
        require_packages(f"{raster} (a GeoTIFF)", "extra", "rasterio")
        if options.ray or is_remote(options.out):
            there = argument("ray") if options.ray else f"{argument('out')} {options.out}"
            raise UserError(f"{raster}: is a GeoTIFF, which is predicted on this machine, without {there}")
    if options.ray:
        require_packages(argument("ray"), "ray", "ray")


def _require_writable(options: PredictOptions) -> None:
    """Raises UserError if the files cannot be written, which would else be noticed after predicting the images."""
    if not is_remote(options.out):
        for folder in (options.out, *(f"{options.out}/{output}" for output in options.write)):
            require_writable(Path(folder), is_folder=True)


def _start_tensorflow(options: PredictOptions) -> None:
    start_tensorflow(list_devices=not options.ray, whole=False)
    if options.ray:
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")  # they are the workers'


def _predict(options: PredictOptions, planned: Plan) -> list[UserError]:
    """Predicts images, then rasters and videos; returns the errors of those that failed, and remarks about others."""
    left = planned.left
    models = [find_model(path) for path in options.models]
    if any(map(uses_tensorflow, models)):
        _start_tensorflow(options)
    from keras_fcn.drawing.overlays import require_background
    from keras_fcn.inference.decision import Decision
    from keras_fcn.inference.predictor import Predictor
    from keras_fcn.prediction.outputs import OutputStyle
    from keras_fcn.prediction.photos import predict_all

    decision = Decision(options.unsure)
    predictor = Predictor.open(options.models, options.inference, decision).reading(options.channels)
    if note := predictor.tile_note(options.inference):
        print(f"note: {note}", file=sys.stderr)
    if predictor.threshold_note:
        print(f"note: {predictor.threshold_note}", file=sys.stderr)
    if any(are_of_probabilities(task.targets) for task in left):
        _ = predictor.score  # raises if the model gives none
    if any("cutouts" in task.targets for task in left):
        require_background(predictor.classes)
    write_about(options.out, options.write, predictor.classes, options.annotations, options.existing, planned)
    style = OutputStyle(options.palette, options.alpha, options.annotations)
    images: list[Task] = []
    others: list[Task] = []
    for task in left:
        (others if task.source.is_video or task.source.is_raster else images).append(task)
    with progress_bar(len(images), "image") as bar:
        if options.ray:
            from keras_fcn.prediction.ray import predict_on_ray

            arguments = (models[0], images, options.inference, style, options.batch_size, bar.update, decision)
            failures = predict_on_ray(*arguments, options.channels)
        else:
            failures = predict_all(predictor, images, style, options.batch_size, bar.update)
    failed = [*failures.values()]
    for task in others:
        try:
            if task.source.is_video:
                from keras_fcn.prediction.videos.predict import predict_video

                with progress_bar(None, "frame") as bar:
                    predict_video(predictor, task, style, options.fps, bar.update)
            else:
                from keras_fcn.prediction.rasters.predict import predict_raster

                with progress_bar(None, "tile", task.source.location) as bar:
                    failed += predict_raster(predictor, task, style, bar.reset, bar.update)
        except NoSpaceError:
            raise
        except UserError as error:
            failed.append(error)
    return failed
