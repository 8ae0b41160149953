"""Exports a trained network as a SavedModel: `python -m export.saved_model --help` explains the options."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from keras_fcn.cli import parse_options, run
from keras_fcn.environment import start_tensorflow
from keras_fcn.errors import UserError

if TYPE_CHECKING:
    import keras

    from keras_fcn.inference import Predictor

CHECKED_SHAPES = ((1, 64, 96, 3), (2, 33, 131, 3), (3, 1, 1, 3))
"""Shapes of the images [N, H, W, 3] on which an export is compared with the live model."""


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Exports a trained network as a SavedModel in DIR/1, or in the next free number.

    Its signature `images`, which is also `serving_default`, takes uint8 images [N, H, W, 3] of any size and returns
    uint8 classes [N, H, W]; the signature `probabilities` returns float32 probabilities [N, H, W, C]. Before the
    command says that it is done, the SavedModel is loaded again and compared with the live model on several batch and
    image sizes.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A run folder (its best model is taken) or a .keras file."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The folder of all versions of this model, as TensorFlow Serving wants it."""


def export_saved_model(model: keras.Model, directory: str | Path) -> Path:
    """Writes a model as a SavedModel and compares it with the live one.

    Args:
        model: A network of `keras_fcn.build_fcn`.
        directory: The folder of all versions; the new one takes the next free number, counted from 1.

    Returns:
        The folder of the new version. It appears under this name only when it is complete and compared.

    Raises:
        UserError: If the folder cannot be written to, or the export does not do what the model does.
    """
    import tensorflow as tf

    from keras_fcn.fcn import class_table
    from keras_fcn.files import new_folder, write_json
    from keras_fcn.inference import IMAGES, LABELS_FILE, SCORE_SIGNATURE, SIGNATURE, Predictor, scorer, segmenter

    directory = Path(directory)
    live = Predictor(segmenter(model), class_table(model), scorer(model))
    # A tf.Module that holds TensorFlow's variables, not Keras' own around them: of those, the SavedModel would get a
    # second set, and sessions (saved_model_cli, TensorFlow's C API) would restore the wrong one.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    module.images = tf.function(lambda images: {"classes": live.segment(images)}, input_signature=[IMAGES])
    module.probabilities = tf.function(lambda images: {"probabilities": live.score(images)}, input_signature=[IMAGES])
    signatures = {
        SIGNATURE: module.images, "serving_default": module.images, SCORE_SIGNATURE: module.probabilities
    }  # fmt: skip
    version = directory / str(1 + max((int(path.name) for path in _versions(directory)), default=0))
    try:
        with new_folder(version) as folder:
            tf.saved_model.save(module, str(folder), signatures)
            write_json(folder / LABELS_FILE, class_table(model).to_dict())
            _require_equal(folder, live)
    except OSError as error:
        raise UserError(f"{version}: cannot be written ({error.strerror}); choose another DIR") from None
    return version


def _versions(directory: Path) -> list[Path]:
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory}: is a file; give a folder to export to")
    return [path for path in directory.glob("*") if path.name.isdigit()]


def _require_equal(folder: Path, live: Predictor) -> None:
    """Raises UserError unless the SavedModel gives the live model's classes, bit for bit, on random images.

    Probabilities may differ by rounding: TensorFlow arranges the arithmetic of a graph that it loads anew.
    """
    import numpy as np

    from keras_fcn.inference import Predictor

    exported = Predictor.open(folder)
    for shape in CHECKED_SHAPES:
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        expected, received = np.asarray(live.segment(images)), np.asarray(exported.segment(images))
        if expected.shape != received.shape or (expected != received).any():
            raise UserError(f"{folder}: classes differ from the live model's on images {shape}; nothing was exported")
        expected, received = np.asarray(live.score(images)), np.asarray(exported.score(images))
        if expected.shape != received.shape or not np.allclose(expected, received, atol=1e-5):
            raise UserError(f"{folder}: probabilities differ from the live model's on images {shape}")


def main() -> None:
    """Exports and says where."""
    options = parse_options(ExportOptions, sys.argv[1:])
    start_tensorflow()
    from keras_fcn.inference import find_model, load_model

    version = export_saved_model(load_model(find_model(options.model)), options.directory)
    megabytes = sum(file.stat().st_size for file in version.rglob("*") if file.is_file()) / 1e6
    shapes = ", ".join("x".join(map(str, shape)) for shape in CHECKED_SHAPES)
    print(f"{version}: {megabytes:.1f} MB; the same classes as the live model on random images {shapes}")
    print(
        f"Try it: saved_model_cli run --dir {version} --tag_set serve --signature_def images "
        "--inputs images=FILE.npy     (of uint8 [N, H, W, 3])"
    )


if __name__ == "__main__":
    run(main)
