"""Evaluates trained networks on whole images; `python evaluate.py --help` explains the options."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from keras_fcn.errors import Remark, UserError, argument, first_of_each_kind
from keras_fcn.inference.options import NO_THRESHOLDS, InferenceOptions, require_each_once
from keras_fcn.runs.config_files import read_config
from keras_fcn.runs.data_options import ChannelsOption, DataOptions, SourceOptions
from keras_fcn.runs.fingerprint import Fingerprint
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.files import require_writable
from keras_fcn.system.options import NOT_NEGATIVE
from keras_fcn.system.startup import start_tensorflow

if TYPE_CHECKING:
    from keras_fcn.evaluation.comparison.compare import EvaluatedModels

_DIVISIONS = ("blocks", "group_by", "folds", "fold")
_SPLIT_HINT = "(default: that on which the first run was evaluated; on other data, val)"


@dataclasses.dataclass(frozen=True)
class EvaluateOptions(SourceOptions):
    """Evaluates trained networks on whole images, each at its own size: pixel accuracy, mean accuracy, mean IoU,
    frequency-weighted IoU; IoU, precision and recall of each class; IoU near boundaries. Several models are compared.
    With --submission, predicts for PASCAL VOC's test server instead.
    """

    models: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN_OR_MODEL...", help_behavior_hint="")] = (
        dataclasses.field(kw_only=True)
    )
    """Run folders, .keras files, SavedModels, or exported .onnx, .xml or .tflite files; of several, a table says what
    each costs beside the first: time, size, pixels with another class."""

    split: Annotated[str | None, arg(metavar="NAME", help_behavior_hint=_SPLIT_HINT)] = None
    """The split to evaluate on."""

    ensemble: Annotated[bool, FlagCreatePairsOff] = False
    """Evaluate the mean of all models' probabilities, too: what predict.py A B C predicts."""

    channels: ChannelsOption = None
    """The channels of images to read, as many as the model takes: 4,3,2,8, say."""

    inference: OmitArgPrefixes[InferenceOptions] = dataclasses.field(default_factory=InferenceOptions)

    trimap: Annotated[int, NOT_NEGATIVE, arg(metavar="D")] = 5
    """Compute the mean IoU of the pixels at most D from a boundary of the ground truth, too; 0 does not."""

    calibration: Annotated[bool, FlagCreatePairsOff] = False
    """Compute how far probabilities can be trusted, the temperature that would calibrate them, and curves of precision
    and recall (calibration.png)."""

    keep_temperature: Annotated[bool, FlagCreatePairsOff] = False
    """Keep that temperature in the run's best model or the .keras file; exports made from then on have it, too."""

    keep_thresholds: Annotated[bool, FlagCreatePairsOff] = False
    """Keep the threshold of each class at which its Dice is highest, where that helps on other images, too, likewise;
    those of --threshold if they are given, and none for --threshold none."""

    worst: Annotated[int, NOT_NEGATIVE, arg(metavar="N")] = 5
    """List so many images with the lowest mean IoU, and draw them in worst.png."""

    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """A folder to draw confusion.png and worst.png in (of several models in DIR/A, DIR/B, ..., and comparison.png)."""

    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """A JSON file to write the metrics to; an existing one is replaced."""

    submission: Annotated[Path | None, arg(metavar="FILE.tgz", help_behavior_hint="")] = None
    """Write this archive of predictions for VOC's test server; the split, `test` by default, needs no masks."""

    competition: Literal["comp5", "comp6"] = "comp6"
    """Of the archive: comp5 for models trained on VOC's own training data only, comp6 for any."""

    def __post_init__(self) -> None:
        if not self.models:
            raise UserError("evaluate.py needs a run folder or a model")
        super().__post_init__()
        require_each_once(self.models)
        if self.ensemble and len(self.models) < 2:
            raise UserError(f"{argument('ensemble')} takes several models. Received: 1")
        if self.submission is not None and len(self.models) > 1 and not self.ensemble:
            fix = f"{argument('ensemble')} takes the mean of several"
            raise UserError(f"--submission takes the predictions of one model; {fix}. Received: {len(self.models)}")
        kept = ("keep_temperature", "keep_thresholds")
        counted = ("calibration", *kept, "merge", "ignore_classes", "drop", *_DIVISIONS)
        if self.submission is not None and (given := [name for name in counted if getattr(self, name)]):
            both = f"{argument('submission')} and {argument(given[0])}"
            raise UserError(f"{both} exclude each other: the server has the masks and VOC's classes; leave one out")
        if self.keep_temperature and (len(self.models) > 1 or not self.inference.is_plain):
            raise UserError(
                f"{argument('keep_temperature')} is for one model, without flips, scales, tiles, "
                f"{argument('temperature')} and {argument('threshold')}; leave them out"
            )
        if self.keep_thresholds and (len(self.models) > 1 or not self.inference.is_direct):
            raise UserError(
                f"{argument('keep_thresholds')} is for one model, without flips, scales, tiles and "
                f"{argument('temperature')}; leave them out"
            )
        if self.keep_temperature and self.keep_thresholds:
            both = f"{argument('keep_temperature')} and {argument('keep_thresholds')}"
            raise UserError(
                f"{both} exclude each other: thresholds are chosen at the temperature kept before; call twice"
            )

    def dataset(self) -> DataOptions:
        """Returns the data to evaluate on, with `val_split`: those given or, without them, those of the first run.

        Raises:
            UserError: If no data were given, and the first model is not a run folder that names them.
        """
        config = RunFolder(self.models[0]).config
        trained = read_config(config) if config.is_file() else None
        if self.data is None and trained is None:
            raise UserError(
                f"--data is needed: {self.models[0]} is not a run folder, whose config.json would name the data"
            )
        classes = (self if trained is None or self.changes_classes else trained.dataset).wanted_classes
        if trained is None or self.data not in (None, trained.data):
            listing = self.listing | classes | {"channels": self.channels or (trained.channels if trained else "3")}
            return DataOptions(data=str(self.data), val_split=self.split or "val", **listing)
        is_given = self.layout != "auto" or self.images is not None or self.masks is not None
        listing = (self if is_given else trained.dataset).listing | classes
        listing |= self._divisions(trained.dataset)
        listing["channels"] = self.channels or trained.channels
        how = self if self.unlabelled != "leave_out" else trained.dataset
        listing["unlabelled"] = how.listing["unlabelled"]
        split = self.split or trained.val_split
        return dataclasses.replace(trained.dataset, split="train", val_split=split, **listing)  # nothing is trained on

    def _divisions(self, trained: DataOptions) -> dict[str, Any]:
        """Returns how the data are divided: as the run says, but for what is given, and what that excludes."""
        given = {name: getattr(self, name) for name in _DIVISIONS}
        excluded = {*_DIVISIONS} if self.blocks else {"blocks"} if any(given.values()) else set()
        return {name: value or (None if name in excluded else getattr(trained, name)) for name, value in given.items()}

    def known_classes(self) -> tuple[str, ...]:
        """Returns the names of the first run's classes, which other data may have already; none if not known."""
        path = RunFolder(self.models[0]).fingerprint
        is_known = not self.changes_classes and path.is_file()
        return tuple(Fingerprint.read(path)[0].classes["names"]) if is_known else ()

    def reading(self, data: DataOptions) -> str:
        """Returns how the first run reads the masks of these data; empty if its own data are others."""
        run = RunFolder(self.models[0])
        return run.reading if run.config.is_file() and read_config(run.config).dataset.is_like(data) else ""


def _keep(options: EvaluateOptions, evaluated: EvaluatedModels) -> None:
    """Keeps in the model what is wanted to be kept, and says so."""
    if not (options.keep_temperature or options.keep_thresholds):
        return
    from keras_fcn.inference.engines.opening import find_model
    from keras_fcn.inference.models import keep_temperature, keep_thresholds

    evaluation, predictor = evaluated.evaluations[0], evaluated.predictors[0]
    if options.keep_temperature and evaluation.calibration is not None:
        kept, factor = find_model(options.models[0]), evaluation.calibration.temperature
        keep_temperature(kept, factor)
        removed = ", and its thresholds, of the old one, were removed" * bool(predictor.decide.thresholds)
        print(f"{kept}: its temperature was multiplied by {factor:.3f}{removed}; export it again to have it there")
    if options.keep_thresholds:
        kept, thresholds = find_model(options.models[0]), predictor.decide.by_name(predictor.classes)
        if not options.inference.threshold:
            thresholds = _chosen_thresholds(evaluated)
        keep_thresholds(kept, thresholds)
        listed = ", ".join(f"{name}={value:g}" for name, value in thresholds.items())
        print(f"{kept}: keeps the thresholds {listed}; export it again" if thresholds else f"{kept}: has no thresholds")


def _chosen_thresholds(evaluated: EvaluatedModels) -> dict[str, float]:
    """Chooses thresholds, says why, and returns those that raise the mean IoU together; none if they do not."""
    from keras_fcn.evaluation.evaluate import evaluate
    from keras_fcn.evaluation.thresholds import choose_thresholds

    (evaluation,), (predictor,) = evaluated.evaluations, evaluated.predictors
    chosen = choose_thresholds(evaluation, predictor.classes)
    print("\n".join(("", "Thresholds, with their range without a tenth of the images each:", *chosen.lines)))
    if not chosen.thresholds:
        return {}
    texts = tuple(f"{name}={value}" for name, value in chosen.thresholds.items())
    decided = evaluate(predictor.using(InferenceOptions(threshold=texts)).segment_any_size, evaluated.pairs)
    before, after = evaluation.metrics.mean_iou, decided.metrics.mean_iou
    worse = "" if after > before else ", so none is kept"
    print(f"Mean IoU on these images {100 * before:.1f} without, {100 * after:.1f} with them{worse}")
    return {} if worse else chosen.thresholds


def main() -> None:
    """Evaluates and compares models, or writes an archive of predictions."""
    options = parse_options(EvaluateOptions, sys.argv[1:])
    if options.out is not None and importlib.util.find_spec("matplotlib") is None:
        raise UserError(f"{argument('out')} draws by Matplotlib, which is not installed: pip install matplotlib")
    for path in filter(None, (options.out, options.json, options.submission)):
        require_writable(path, is_folder=path is options.out)
    from keras_fcn.inference.engines.opening import uses_tensorflow

    if any(map(uses_tensorflow, options.models)):
        start_tensorflow(whole=False)
    data = options.dataset()
    if options.submission is not None:
        _submit(options, options.submission, data.data)
    else:
        _evaluate(options, data)


def _submit(options: EvaluateOptions, archive: Path, data: str) -> None:
    from keras_fcn.datasets import open_voc_images
    from keras_fcn.evaluation.submission import write_submission
    from keras_fcn.inference.predictor import Predictor

    split = options.split or "test"
    images = open_voc_images(data, split)
    predictor = Predictor.open(options.models, options.inference)
    for remark in first_of_each_kind(write_submission(archive, predictor, images, options.competition, split)):
        print(remark, file=sys.stderr)
    print(f"{archive}: {len(images)} masks for {options.competition}, read back and complete")


def _evaluate(options: EvaluateOptions, data: DataOptions) -> None:
    from keras_fcn.datasets import open_pairs
    from keras_fcn.datasets.inspection import left_out, require_sound
    from keras_fcn.evaluation.comparison.compare import evaluate_models
    from keras_fcn.inference.engines.opening import find_model
    from keras_fcn.system.files import write_json

    reading, known = options.reading(data), options.known_classes()
    pairs = open_pairs(data.data, data.val_split, reading=reading, already=known, **data.listing)
    require_sound(pairs.findings)
    for listed in (finding for finding in pairs.findings if isinstance(finding, Remark)):
        print(f"note: {listed}", file=sys.stderr)
    if omitted := left_out(pairs.findings, data.arguments):
        print(omitted, file=sys.stderr)
    if options.data is not None:
        print("".join(f"{note}\n" for note in (pairs.note, *pairs.mask_notes) if note), end="", file=sys.stderr)
    inference, chooses = options.inference, options.keep_thresholds and not options.inference.threshold
    if chooses:
        inference = dataclasses.replace(inference, threshold=(NO_THRESHOLDS,))
    if options.keep_temperature or options.keep_thresholds:
        from keras_fcn.inference.models import require_changeable

        require_changeable(find_model(options.models[0]))
    is_calibrated = options.calibration or options.keep_temperature or chooses
    channels = options.channels or (data.channels if data.blocks else None)
    evaluated = evaluate_models(
        options.models, inference, pairs, options.trimap, is_calibrated, options.ensemble, channels
    )
    for remark in evaluated.remarks:
        print(remark, file=sys.stderr)
    for model in options.models:
        if trained := RunFolder(model).trained_on(pairs.images):
            whose = "" if len(options.models) == 1 else f"{model}: "
            print(
                f"{whose}{trained} of the {len(pairs)} images were trained on, so the metrics are too good",
                file=sys.stderr,
            )
    print(evaluated.tables(options.worst))
    _keep(options, evaluated)
    if options.json is not None:
        write_json(options.json, evaluated.to_json())
    if options.out is not None:
        evaluated.draw(options.out, options.worst)
