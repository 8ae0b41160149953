"""Evaluations of several models on the same images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_fcn.datasets import Pairs, inspect_pairs
from keras_fcn.datasets.inspection.labels import label_remarks
from keras_fcn.drawing.comparison import draw_comparison
from keras_fcn.errors import Remark
from keras_fcn.evaluation.comparison.costs import Cost, Watched, format_costs
from keras_fcn.evaluation.evaluate import evaluate, require_same_classes
from keras_fcn.evaluation.pictures import draw_evaluation
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.tables import (
    comparison_rows,
    format_calibration,
    format_comparison,
    format_metrics,
    format_worst,
    model_letters,
)
from keras_fcn.images.values.channels import Channels
from keras_fcn.inference.arrays import Segment
from keras_fcn.inference.engines.opening import find_model
from keras_fcn.inference.options import InferenceOptions, require_each_once
from keras_fcn.inference.predictor import Predictor
from keras_fcn.system.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class EvaluatedModels:
    """Models and their evaluations on the same images.

    Attributes:
        names: The models' names.
        predictors: The models.
        pairs: The evaluated pairs.
        evaluations: The models' evaluations.
        costs: What each of several models costs; none of one, or where probabilities are counted.
        remarks: Lines about the pairs that somebody should look at, and images that were too large to be predicted as
            a whole.
    """

    names: list[str]
    predictors: list[Predictor]
    pairs: Pairs
    evaluations: list[Evaluation]
    costs: list[Cost]
    remarks: list[str]

    def tables(self, worst: int) -> str:
        """Returns the metrics of one model, or a comparison of several, as plain text.

        Args:
            worst: Number of images with the lowest mean IoU to list, for a single model.
        """
        if len(self.names) > 1:
            costs = [format_costs(list(model_letters(self.names)), self.costs)] if self.costs else []
            return "\n\n".join([format_comparison(self.names, self.evaluations), *costs])
        (evaluation,) = self.evaluations
        shown = evaluation.worst_images(worst)
        parts = [format_metrics(evaluation)]
        parts += [format_calibration(evaluation)] if evaluation.calibration else []
        parts += [format_worst(shown)] if shown else []
        return "\n\n".join(parts)

    def to_json(self) -> dict:
        """Returns the evaluation of one model; of several, "models", a list of them with the "model" of each."""
        if len(self.names) == 1:
            return self.evaluations[0].to_json()
        costs = [{"cost": cost.to_json()} for cost in self.costs] or [{}] * len(self.names)
        named = zip(self.names, self.evaluations, costs)
        return {"models": [{"model": name, **evaluation.to_json(), **cost} for name, evaluation, cost in named]}

    def draw(self, folder: Path, worst: int) -> None:
        """Draws confusion.png and worst.png; of several models in folders A, B, ..., and comparison.png.

        Args:
            folder: The folder to write to.
            worst: The most images in worst.png.
        """
        if len(self.names) == 1:
            draw_evaluation(folder, self.predictors[0].segment_any_size, self.pairs, self.evaluations[0], worst)
            return
        letters = model_letters(self.names)
        for letter, predictor, evaluation in zip(letters, self.predictors, self.evaluations):
            draw_evaluation(folder / letter, predictor.segment_any_size, self.pairs, evaluation, worst)
        labels = [f"{letter}  {name}" for letter, name in letters.items()]
        classes, means = comparison_rows(self.evaluations)
        draw_comparison(folder / "comparison.png", labels, means, classes)


def evaluate_models(
    models: Sequence[Path],
    inference: InferenceOptions,
    pairs: Pairs,
    trimap_width: int,
    calibrate: bool = False,
    ensemble: bool = False,
    channels: str | None = None,
) -> EvaluatedModels:
    """Evaluates models on the same pairs, once all models are loaded and the pairs are checked.

    Args:
        models: Run folders, SavedModels, or files.
        inference: Flipping, scales and tiles.
        pairs: The pairs to evaluate on.
        trimap_width: As for `evaluate`.
        calibrate: Whether to count probabilities, too.
        ensemble: Whether to evaluate the mean of all models, too, as the last one.
        channels: The channels to read of images; those of the first model if None.

    Raises:
        UserError: If a model cannot be loaded or has other classes than the data, or a pair cannot be read.
    """
    together = {str(path): [path] for path in models} | ({"mean of all": [*models]} if ensemble else {})
    model_letters([*together])
    if ensemble:
        require_each_once([find_model(path).resolve() for path in models])
    plain = [Predictor.open(path, InferenceOptions(precision=inference.precision)) for path in models]
    read = plain[0].channels if channels is None else Channels(channels)
    pairs = dataclasses.replace(pairs, channels=read)
    for path, predictor in zip(models, plain):
        name = "the model" if len(models) == 1 else str(path)
        require_same_classes(predictor.classes, pairs.classes, name, True)
        predictor.require_channels(pairs.channels, name)
    plain += [Predictor.ensemble(plain)] if ensemble else []
    predictors = [predictor.using(inference) for predictor in plain]
    inspection = inspect_pairs(pairs)
    inspection.require_sound()
    evaluations, segments = [], [predictor.segment_any_size for predictor in predictors]
    watched = [Watched(segment) for segment in segments] if len(models) > 1 and not calibrate else []
    functions: Sequence[Segment] = watched or segments
    for name, predictor, segment in zip(together, predictors, functions):
        with progress_bar(len(pairs), "image", Path(name).name) as bar:
            counted = predictor if calibrate else None
            evaluations.append(evaluate(segment, pairs, bar.update, None, trimap_width, counted))
    each = zip(together.values(), predictors, watched)
    costs = [function.cost(paths, predictor.program, watched[0]) for paths, predictor, function in each]
    lines = [predictor.limits.describe(inspection.sizes) for predictor in predictors if predictor.limits]
    lines += [predictor.tile_note(inference) for predictor in predictors]
    remarks = [str(finding) for finding in inspection.findings if isinstance(finding, Remark)]
    remarks += label_remarks(pairs, inspection, is_training=False)
    remarks += sorted({line for line in lines if line})
    remarks += [note for predictor in predictors if (note := predictor.threshold_note)]
    return EvaluatedModels([*together], predictors, pairs, evaluations, costs, remarks)
