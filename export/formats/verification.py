"""Comparing an exported model with the live one: every signature, several batch and image sizes."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from export.formats.graph.signatures import FILE_SIGNATURE, METADATA_SIGNATURE, Metadata
from keras_fcn.errors import UserError
from keras_fcn.images.pillow import encoded
from keras_fcn.inference.arrays import likeliest
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.models import PROBABILITIES_SIGNATURE, SIGNATURE, load_saved_model
from keras_fcn.inference.predictor import Predictor
from keras_fcn.system.text import table

CHECKED_SHAPES = ((1, 64, 96), (2, 33, 131), (3, 1, 1))
"""Number, height and width of the compared images."""

CHECKED_FILES = (("PNG",), ("JPEG", "PNG", "JPEG"))
"""Formats of the files in the compared batches, each file of another size."""

TOLERANCE = 1e-3
"""The most that probabilities may differ: TensorFlow reorders the arithmetic of an exported graph."""

LEAST_AGREEMENT = 0.99
"""The least fraction of pixels with the live model's class; at the others, two classes are about equally probable."""

TIE = 1e-6
"""The most that probabilities differ which count as equal."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The comparison of one signature with the live model on one batch.

    Attributes:
        signature: The signature's name.
        batch: Description of the batch.
        difference: The largest difference between probabilities; for a signature that returns classes, between the live
            model's probabilities of its most probable class and of the returned class.
        agreement: Fraction of pixels whose class is the live model's most probable, ties of `TIE` included.
    """

    signature: str
    batch: str
    difference: float
    agreement: float


def verify(folder: Path, live: Predictor, metadata: Metadata) -> list[Comparison]:
    """Loads a SavedModel and compares all its signatures with the live model on random images.

    Args:
        folder: The SavedModel's folder.
        live: The exported model.
        metadata: The expected metadata.

    Raises:
        UserError: If results differ by more than `TOLERANCE`, agree in less than `LEAST_AGREEMENT`, or have another
            shape or type.
    """
    loaded = load_saved_model(folder)
    received, expected = (
        {name: np.asarray(value).tolist() for name, value in tensors.items()}
        for tensors in (loaded.signatures[METADATA_SIGNATURE](), metadata.tensors())
    )
    if received != expected:
        raise UserError(f"{folder}: the signature {METADATA_SIGNATURE} returns {received}; nothing was exported")
    comparisons = [*_compare_images(loaded.signatures, live)]
    if FILE_SIGNATURE in loaded.signatures:
        comparisons += _compare_files(loaded.signatures[FILE_SIGNATURE], live)
    for found in comparisons:
        if not (found.difference <= TOLERANCE and found.agreement >= LEAST_AGREEMENT):
            raise UserError(
                f"{folder}: what the signature {found.signature} returns differs from the live model's by "
                f"{found.difference:.2g}, its classes agree in {found.agreement:.1%} of pixels, on {found.batch}; "
                "nothing was exported"
            )
    return comparisons


def format_comparisons(comparisons: Sequence[Comparison]) -> str:
    """Returns a table of comparisons."""
    rows = [(c.signature, c.batch, f"{c.difference:.1e}", f"{c.agreement:.3%}") for c in comparisons]
    return table(("signature", "images", "difference", "same class"), rows, "<<>>")


def _compare_images(signatures: dict[str, Callable], live: Predictor) -> Iterator[Comparison]:
    for shape in CHECKED_SHAPES:
        images = np.random.default_rng(0).integers(0, 256, (*shape, live.channels.count), np.uint8)
        expected = np.asarray(live.score(images))
        batch = " x ".join(map(str, shape))
        classes = signatures[SIGNATURE](images=tf.constant(images))["classes"].numpy()
        yield Comparison(SIGNATURE, batch, *compare_classes(classes, expected, live.decide))
        probabilities = signatures[PROBABILITIES_SIGNATURE](images=tf.constant(images))["probabilities"].numpy()
        agreement = compare_classes(likeliest(probabilities), expected)[1]
        yield Comparison(PROBABILITIES_SIGNATURE, batch, largest_difference(probabilities, expected), agreement)


def _compare_files(signature: Callable, live: Predictor) -> Iterator[Comparison]:
    for formats in CHECKED_FILES:
        shapes = [shape[1:] for shape in CHECKED_SHAPES[: len(formats)]]
        files = [_random_file(shape, kind) for shape, kind in zip(shapes, formats)]
        output = signature(image_bytes=tf.constant(files))
        found = []
        for data, png, fractions in zip(files, output["mask_png_bytes"].numpy(), output["class_shares"].numpy()):
            ids, expected = _pixels(png), np.asarray(live.score(_pixels(data)[None]))[0]
            counted = np.bincount(ids.ravel(), minlength=expected.shape[-1]) / ids.size
            difference, agreement = compare_classes(ids, expected, live.decide)
            found.append((max(difference, largest_difference(fractions, counted)), agreement))
        batch = ", ".join(f"{kind} {height} x {width}" for kind, (height, width) in zip(formats, shapes))
        yield Comparison(FILE_SIGNATURE, batch, max(d for d, _ in found), min(a for _, a in found))


def compare_classes(
    classes: np.ndarray, probabilities: np.ndarray, decide: Decision | None = None
) -> tuple[float, float]:
    """Compares classes with those that the live model's probabilities give.

    Args:
        classes: uint8 [N, H, W] or [H, W].
        probabilities: float32 [..., C], the live model's.
        decide: How classes follow from these; the most probable class if not given.

    Returns:
        The largest difference between the probabilities of the most probable class and of the given one, and the
        fraction of pixels with the most probable class, ties of `TIE` included; infinity and 0 if shape, type or an id
        is wrong. With thresholds, the difference is what a probability lacks of another decision.
    """
    if classes.dtype != np.uint8 or classes.shape != probabilities.shape[:-1]:
        return np.inf, 0.0
    if classes.max() >= probabilities.shape[-1]:
        return np.inf, 0.0
    decide = decide or Decision()
    scores = np.asarray(decide.scores(probabilities))
    chosen = np.take_along_axis(scores, classes[..., None].astype(np.int64), axis=-1)[..., 0]
    difference = scores.max(axis=-1) - chosen
    if decide.thresholds:
        limits = np.array([np.nan if value is None else value for value in decide.thresholds], np.float32)
        reached = scores.max(axis=-1) > 1  # by a class whose score is its probability times 2 / threshold
        difference *= np.where(reached, np.nan_to_num(limits, nan=1)[scores.argmax(axis=-1)] / 2, 1)
        difference = np.minimum(difference, np.nanmin(np.abs(probabilities - limits), axis=-1))
        difference[classes == scores.argmax(axis=-1)] = 0
    return float(difference.max()), float((difference <= TIE).mean())


def largest_difference(received: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference of probabilities; infinity if the shapes are not the same."""
    return float(np.abs(received - expected).max()) if received.shape == expected.shape else np.inf


def _random_file(shape: tuple[int, ...], kind: str) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    return encoded(Image.fromarray(pixels), format=kind)


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))
