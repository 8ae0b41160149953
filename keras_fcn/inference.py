"""From an image to class ids, whatever the trained model is kept in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.errors import UserError
from keras_fcn.fcn import class_table
from keras_fcn.files import lent_suffix
from keras_fcn.labels import ClassTable
from keras_fcn.run_folder import RunFolder

LABELS_FILE = Path("assets.extra/labels.json")
"""Where a SavedModel keeps its class table."""

SIGNATURE = "images"
"""The SavedModel signature from images to class ids."""


def segmenter(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the graph from images uint8 [N, H, W, 3] of any size to class ids uint8 [N, H, W]."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    def segment(images: tf.Tensor) -> tf.Tensor:
        logits = model(tf.cast(images, tf.float32), training=False)
        return tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.uint8)

    return segment


class Predictor:
    """A trained model, ready to segment images of any size.

    Args:
        segment: Takes images uint8 [N, H, W, 3], returns class ids uint8 [N, H, W].
        classes: What the ids mean.
    """

    def __init__(self, segment: Callable[[tf.Tensor], tf.Tensor], classes: ClassTable) -> None:
        self.segment = segment
        self.classes = classes

    @classmethod
    def open(cls, path: str | Path) -> Predictor:
        """Loads a run folder (its best model), a `.keras` file, or a SavedModel (of several versions, the newest).

        Raises:
            UserError: If there is no such model, it is damaged, or it was not made by this program.
        """
        path = find_model(Path(path))
        if path.is_dir():
            return cls(*_load_saved_model(path))
        model = load_model(path)
        return cls(segmenter(model), class_table(model))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the class id of every pixel, uint8 [H, W], for an image uint8 [H, W, 3]."""
        return self.segment(tf.constant(image[None]))[0].numpy()


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
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(f"{path}: cannot be loaded as a .keras model ({reason})") from None
    try:
        class_table(model)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return model


def _best_model(run: RunFolder) -> Path:
    if not run.best_model.is_file():
        raise UserError(
            f"{run.best_model}: no such file: the run has not finished an epoch; "
            f"go on with python train.py --resume {run.root}"
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


def _load_saved_model(path: Path) -> tuple[Callable[[tf.Tensor], tf.Tensor], ClassTable]:
    try:
        classes = ClassTable.from_dict(json.loads((path / LABELS_FILE).read_text(encoding="utf-8")))
        loaded = tf.saved_model.load(str(path))
        loaded.signatures[SIGNATURE]
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(f"{path}: is no SavedModel of python -m export.saved_model ({reason})") from None

    def segment(images: tf.Tensor) -> tf.Tensor:
        # By way of `loaded`: a signature alone does not keep its variables alive.
        return loaded.signatures[SIGNATURE](images=images)["classes"]

    return segment, classes
