"""From an image to class ids, whatever the trained model is kept in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import as_image
from keras_fcn.inference.averaging import Score, with_flip, with_scales
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.tiling import Tiled
from keras_fcn.network.parts import class_table
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.command_line import command_line
from keras_fcn.system.files import lent_suffix
from keras_fcn.system.text import reason_of

LABELS_FILE = Path("assets.extra/labels.json")
"""Where a SavedModel keeps its class table."""

SIGNATURE, SCORE_SIGNATURE = "images", "probabilities"
"""The SavedModel signatures from images to class ids, and to the probabilities of the classes."""

IMAGES = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
"""What they take."""

Segment = Callable[[tf.Tensor], tf.Tensor]
"""From images uint8 [N, H, W, 3] to class ids uint8 [N, H, W]."""


def segmenter(model: keras.Model) -> Segment:
    """Returns the graph from images uint8 [N, H, W, 3] of any size to class ids uint8 [N, H, W]."""

    @tf.function(input_signature=[IMAGES])
    def segment(images: tf.Tensor) -> tf.Tensor:
        return _likeliest(model(tf.cast(images, tf.float32), training=False))

    return segment


def scorer(model: keras.Model) -> Score:
    """Returns the graph from images uint8 [N, H, W, 3] of any size to probabilities float32 [N, H, W, C]."""

    @tf.function(input_signature=[IMAGES])
    def score(images: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(model(tf.cast(images, tf.float32), training=False))

    return score


class Predictor:
    """A trained model, ready to segment images of any size.

    Args:
        model: A network of `build_fcn`; the path of a run folder (its best model), a `.keras` file or a SavedModel (of
            several versions, the newest); or a function from images uint8 [N, H, W, 3] to class ids uint8 [N, H, W].
        classes: For a function, what the ids mean.
        score: For a function, another from the same to probabilities float32 [N, H, W, C], if there is one.
        name: For a function, what it is called in complaints.

    Attributes:
        segment: From images uint8 [N, H, W, 3] to class ids uint8 [N, H, W].
        classes: Names and colours of the ids.

    Raises:
        UserError: If there is no model at the path, it is damaged, or it was not made by this program.

    Examples:
        >>> predictor = Predictor("runs/NAME")
        >>> masks = predictor(["a.jpg", "b.jpg"])
    """

    def __init__(
        self,
        model: keras.Model | str | Path | Segment,
        classes: ClassTable | None = None,
        score: Score | None = None,
        name: str = "the model",
    ) -> None:
        if isinstance(model, (str, Path)):
            model, classes, score, name = _load(find_model(Path(model)))
        elif isinstance(model, keras.Model):
            if len(model.outputs) > 1:  # an auxiliary head, for training
                model = keras.Model(model.inputs, model.outputs[0], name=model.name)
            model, classes, score = segmenter(model), class_table(model), scorer(model)
        elif classes is None:
            raise UserError(f"Predictor takes a model or a path, or a function and its classes. Received: {model!r}")
        self.segment = model
        self.classes = classes
        self._score, self._name = score, name

    @classmethod
    def open(cls, path: str | Path, options: InferenceOptions | None = None) -> Predictor:
        """Loads a run folder (its best model), a `.keras` file, or a SavedModel (of several versions, the newest).

        Args:
            path: Where the model is.
            options: Flipping, scales and tiles; none if not given.

        Raises:
            UserError: If there is no such model, it is damaged, or it was not made by this program.
        """
        return cls(path).using(options or InferenceOptions())

    def using(self, options: InferenceOptions) -> Predictor:
        """Returns a predictor that flips, scales and tiles as the options say, around this one.

        Raises:
            UserError: If that needs probabilities, and the model gives classes only.
        """
        if options.is_plain:
            return self
        score = self.score
        if options.scales != (1.0,):
            score = with_scales(score, options.scales)
        if options.flip:
            score = with_flip(score)
        # Variants are put together outside of a graph: making one of eight networks ready took 25 seconds.
        if options.tile is not None:
            tiled = Tiled(score, options.tile, options.tile_overlap)
            return Predictor(tiled.segment, self.classes, tiled.score, self._name)
        return Predictor(lambda images: _likeliest(score(images)), self.classes, score, self._name)

    @property
    def score(self) -> Score:
        """Takes images uint8 [N, H, W, 3], returns the probabilities of the classes, float32 [N, H, W, C].

        Raises:
            UserError: If the model gives classes only.
        """
        if self._score is None:
            raise UserError(
                f"{self._name}: gives classes without probabilities, which flipping, scales and tiles need, too; "
                "export the run again: python -m export.saved_model RUN DIR"
            )
        return self._score

    def __call__(self, image: Any) -> Any:
        """Returns the class id of every pixel.

        Args:
            image: A path, an image of Pillow's, or an array uint8 [H, W, 3]; or a list of them, of any sizes.

        Returns:
            uint8 [H, W], or a list of them.

        Raises:
            UserError: If a file cannot be decoded, or an array is no image.
        """
        if isinstance(image, (list, tuple)):
            return [self(one) for one in image]
        return np.asarray(self.segment(as_image(image)[None]))[0]

    def probabilities(self, image: Any) -> Any:
        """Returns the probability of every class at every pixel.

        Args:
            image: What `__call__` takes.

        Returns:
            float32 [H, W, C], or a list of them.

        Raises:
            UserError: If the model gives classes only, a file cannot be decoded, or an array is no image.
        """
        if isinstance(image, (list, tuple)):
            return [self.probabilities(one) for one in image]
        return np.asarray(self.score(as_image(image)[None]))[0]


def _likeliest(scores: tf.Tensor) -> tf.Tensor:
    """Returns the class with the highest score, uint8 [N, H, W], for logits or probabilities [N, H, W, C]."""
    return tf.cast(tf.argmax(scores, axis=-1, output_type=tf.int32), tf.uint8)


def _load(path: Path) -> tuple[Segment, ClassTable, Score | None, str]:
    if path.is_dir():
        return *_load_saved_model(path), str(path)
    model = load_model(path)
    return segmenter(model), class_table(model), scorer(model), str(path)


def find_model(path: Path) -> Path:
    """Returns the `.keras` file or SavedModel that a path stands for: a run folder stands for its best model.

    Raises:
        UserError: If there is nothing there, or a folder is neither a run nor a SavedModel.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give a run folder, a .keras file or a SavedModel")
    if path.is_file():
        return path
    return _best_model(RunFolder(path)) if RunFolder(path).config.is_file() else _newest_version(path)


def load_model(path: Path) -> keras.Model:
    """Loads a `.keras` file of one of our networks.

    Raises:
        UserError: If there is no such file, it is damaged, or it holds another kind of model.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a run folder or a .keras file")
    try:
        with lent_suffix(path, ".keras") as named:
            model = keras.models.load_model(named, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: cannot be loaded as a .keras model ({reason_of(error)})") from None
    try:
        class_table(model)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return model


def _best_model(run: RunFolder) -> Path:
    if not run.best_model.is_file():
        raise UserError(
            f"{run.best_model}: no such file: the run has not finished an epoch; "
            f"go on with {command_line('train')} --resume {run.root}"
        )
    return run.best_model


def _newest_version(path: Path) -> Path:
    """Returns the SavedModel folder itself, or the version folder with the highest number in it."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [folder for folder in path.iterdir() if folder.name.isdigit() and (folder / "saved_model.pb").is_file()]
    if not versions:
        raise UserError(
            f"{path}: is neither a run folder (config.json) nor a SavedModel (saved_model.pb, or 1/, 2/, ...)"
        )
    return max(versions, key=lambda folder: int(folder.name))


def _load_saved_model(path: Path) -> tuple[Segment, ClassTable, Score | None]:
    try:
        classes = ClassTable.from_dict(json.loads((path / LABELS_FILE).read_text(encoding="utf-8")))
        loaded = tf.saved_model.load(str(path))
        loaded.signatures[SIGNATURE]
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise UserError(f"{path}: is no SavedModel of python -m export.saved_model ({reason_of(error)})") from None

    # By way of `loaded`: a signature alone does not keep its variables alive.
    def segment(images: tf.Tensor) -> tf.Tensor:
        return loaded.signatures[SIGNATURE](images=tf.convert_to_tensor(images))["classes"]

    def score(images: tf.Tensor) -> tf.Tensor:
        return loaded.signatures[SCORE_SIGNATURE](images=tf.convert_to_tensor(images))["probabilities"]

    return segment, classes, score if SCORE_SIGNATURE in loaded.signatures else None
