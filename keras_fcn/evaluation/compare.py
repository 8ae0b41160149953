"""What `evaluate.py` does: measures models, compares them, predicts for the test server."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_fcn.datasets import Pairs, inspect_pairs, open_voc_photos
from keras_fcn.drawing.comparison import draw_comparison
from keras_fcn.errors import UserError
from keras_fcn.evaluation.evaluate import evaluate, require_same_classes
from keras_fcn.evaluation.pictures import draw_evaluation
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.submission import write_submission
from keras_fcn.evaluation.tables import (
    comparison_rows,
    format_comparison,
    format_metrics,
    format_worst,
    model_letters,
)
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.predictor import Predictor
from keras_fcn.runs.config_files import read_config
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.progress import progress_bar


def data_of(model: Path, data: str | None, layout: str) -> tuple[str, str]:
    """Returns which data to measure on, and its layout: those given or, without any, those that a run trained with.

    Args:
        model: A run folder or another model.
        data: What was given, or None.
        layout: The layout that was given.

    Raises:
        UserError: If no data were given, and the model is not in a run folder that could name them.
    """
    if data is not None:
        return data, layout
    config = RunFolder(model).config
    if not config.is_file():
        raise UserError(f"--data is needed: {model} is no run folder, whose config.json would name the data")
    trained_with = read_config(config)
    return trained_with.data, trained_with.layout if layout == "auto" else layout


def training_images_among(model: Path, pairs: Pairs) -> int:
    """Returns how many of the images to measure on a run was trained on; 0 for a model that is no run folder."""
    return RunFolder(model).trained_on(pairs.images)


@dataclasses.dataclass(frozen=True)
class EvaluatedModels:
    """Models and their evaluations on the same images.

    Attributes:
        names: Of the models.
        predictors: The models.
        pairs: What they were evaluated on.
        evaluations: Of each model.
    """

    names: list[str]
    predictors: list[Predictor]
    pairs: Pairs
    evaluations: list[Evaluation]

    def tables(self, worst: int) -> str:
        """Returns the metrics of one model, or a comparison of several, as plain text.

        Args:
            worst: How many of the images with the lowest mean IoU are listed, if it is one model.
        """
        if len(self.names) > 1:
            return format_comparison(self.names, self.evaluations)
        (evaluation,) = self.evaluations
        shown = evaluation.worst_images(worst)
        return format_metrics(evaluation) + (f"\n\n{format_worst(shown)}" if shown else "")

    def to_json(self) -> dict:
        """Returns the evaluation of one model; of several, "models", a list of them with the "model" of each."""
        if len(self.names) == 1:
            return self.evaluations[0].to_json()
        named = zip(self.names, self.evaluations)
        return {"models": [{"model": name, **evaluation.to_json()} for name, evaluation in named]}

    def draw(self, folder: Path, worst: int) -> None:
        """Draws confusion.png and worst.png; of several models in folders A, B, ..., and comparison.png.

        Args:
            folder: Where to.
            worst: How many images worst.png shows at most.
        """
        if len(self.names) == 1:
            draw_evaluation(folder, self.predictors[0].segment, self.pairs, self.evaluations[0], worst)
            return
        letters = model_letters(self.names)
        for letter, predictor, evaluation in zip(letters, self.predictors, self.evaluations):
            draw_evaluation(folder / letter, predictor.segment, self.pairs, evaluation, worst)
        labels = [f"{letter}  {name}" for letter, name in letters.items()]
        classes, means = comparison_rows(self.evaluations)
        draw_comparison(folder / "comparison.png", labels, means, classes)


def measure(models: Sequence[Path], inference: InferenceOptions, pairs: Pairs, trimap_width: int) -> EvaluatedModels:
    """Evaluates models on the same pairs, after all of them and the pairs have been looked at.

    Args:
        models: Run folders, `.keras` files or SavedModels.
        inference: Flipping, scales and tiles.
        pairs: What to measure on.
        trimap_width: As for `evaluate`.

    Raises:
        UserError: If a model cannot be loaded or has other classes than the data, or a pair cannot be read.
    """
    model_letters(models)
    predictors = [Predictor.open(path, inference) for path in models]
    for path, predictor in zip(models, predictors):
        require_same_classes(predictor.classes, pairs.classes, "the model" if len(models) == 1 else str(path))
    inspect_pairs(pairs).require_sound()
    evaluations = []
    for path, predictor in zip(models, predictors):
        with progress_bar(len(pairs), "image", path.name) as bar:
            evaluations.append(evaluate(predictor.segment, pairs, bar.update, trimap_width=trimap_width))
    return EvaluatedModels([str(path) for path in models], predictors, pairs, evaluations)


def submit(archive: Path, model: Path, inference: InferenceOptions, data: str, split: str, competition: str) -> int:
    """Predicts a split for VOC's test server, and returns how many photographs it has.

    Args:
        archive: The .tgz to write.
        model: A run folder, `.keras` file or SavedModel of VOC's classes.
        inference: Flipping, scales and tiles.
        data: A folder in VOC's layout; it needs no masks.
        split: The split.
        competition: "comp5" or "comp6".

    Raises:
        UserError: If the model or the data are not VOC's, a photograph cannot be decoded, or nothing can be written.
    """
    photos = open_voc_photos(data, split)
    predictor = Predictor.open(model, inference)
    require_same_classes(predictor.classes, ClassTable.voc())
    with progress_bar(len(photos), "image", archive.name) as bar:
        write_submission(archive, predictor, photos, competition, split, bar.update)
    return len(photos)
