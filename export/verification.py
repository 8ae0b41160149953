"""An exported model beside the live one: every signature, several batch and image sizes."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from export.graph.signatures import FILE_SIGNATURE, METADATA_SIGNATURE, Metadata
from keras_fcn.errors import UserError
from keras_fcn.inference.graphs import likeliest
from keras_fcn.inference.models import PROBABILITIES_SIGNATURE, SIGNATURE
from keras_fcn.inference.predictor import Predictor
from keras_fcn.system.text import table

CHECKED_SHAPES = ((1, 64, 96), (2, 33, 131), (3, 1, 1))
"""Number, height and width of the images on which an export is compared with the live model."""

CHECKED_FILES = (("PNG",), ("JPEG", "PNG", "JPEG"))
"""Formats of the files in the batches on which it is, each of another size."""

TOLERANCE = 1e-3
"""How much probabilities may differ: TensorFlow arranges the arithmetic of an exported graph anew."""

LEAST_AGREEMENT = 0.99
"""Share of pixels that must get the live model's class; of others, two classes are as good as equally probable."""


TIE = 1e-6
"""Probabilities that differ by no more count as equal."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What one signature made of one batch.

    Attributes:
        signature: The signature's name.
        batch: What it was given, in words.
        difference: The largest difference between probabilities; of a signature that returns classes, how much less
            probable than the likeliest class, by the live model, the class that it chose is at most.
        agreement: Share of pixels whose class is the live model's likeliest, ties of `TIE` included.
    """

    signature: str
    batch: str
    difference: float
    agreement: float


def verify(folder: Path, live: Predictor, metadata: Metadata) -> list[Comparison]:
    """Loads a SavedModel and compares all its signatures with the live model on random images.

    Args:
        folder: The SavedModel's.
        live: The model that was exported.
        metadata: What the SavedModel must say of itself.

    Raises:
        UserError: If anything differs by more than `TOLERANCE` or agrees in less than `LEAST_AGREEMENT`, or has
            another shape or type.
    """
    loaded = tf.saved_model.load(str(folder))
    said, expected = (
        {name: np.asarray(value).tolist() for name, value in tensors.items()}
        for tensors in (loaded.signatures[METADATA_SIGNATURE](), metadata.tensors())
    )
    if said != expected:
        raise UserError(f"{folder}: the signature {METADATA_SIGNATURE} says {said}; nothing was exported")
    comparisons = [*_compare_images(loaded.signatures, live), *_compare_files(loaded.signatures[FILE_SIGNATURE], live)]
    for found in comparisons:
        if not (found.difference <= TOLERANCE and found.agreement >= LEAST_AGREEMENT):
            raise UserError(
                f"{folder}: what the signature {found.signature} returns differs from the live model's by "
                f"{found.difference:.2g}, its classes agree in {found.agreement:.1%} of pixels, on {found.batch}; "
                "nothing was exported"
            )
    return comparisons


def format_comparisons(comparisons: Sequence[Comparison]) -> str:
    """Returns a table of what was compared."""
    rows = [(c.signature, c.batch, f"{c.difference:.1e}", f"{c.agreement:.3%}") for c in comparisons]
    return table(("signature", "images", "difference", "same class"), rows, "<<>>")


def _compare_images(signatures: dict[str, Callable], live: Predictor) -> Iterator[Comparison]:
    for shape in CHECKED_SHAPES:
        images = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        expected = np.asarray(live.score(images))
        batch = " x ".join(map(str, shape))
        classes = signatures[SIGNATURE](images=tf.constant(images))["classes"].numpy()
        yield Comparison(SIGNATURE, batch, *compare_classes(classes, expected))
        scores = signatures[PROBABILITIES_SIGNATURE](images=tf.constant(images))["probabilities"].numpy()
        agreement = compare_classes(likeliest(scores).numpy(), expected)[1]
        yield Comparison(PROBABILITIES_SIGNATURE, batch, _largest_difference(scores, expected), agreement)


def _compare_files(signature: Callable, live: Predictor) -> Iterator[Comparison]:
    for formats in CHECKED_FILES:
        shapes = [shape[1:] for shape in CHECKED_SHAPES[: len(formats)]]
        files = [_random_file(shape, kind) for shape, kind in zip(shapes, formats)]
        output = signature(image_bytes=tf.constant(files))
        found = []
        for data, png, shares in zip(files, output["mask_png_bytes"].numpy(), output["class_shares"].numpy()):
            ids, expected = _pixels(png), np.asarray(live.score(_pixels(data)[None]))[0]
            counted = np.bincount(ids.ravel(), minlength=expected.shape[-1]) / ids.size
            difference, agreement = compare_classes(ids, expected)
            found.append((max(difference, _largest_difference(shares, counted)), agreement))
        batch = ", ".join(f"{kind} {height} x {width}" for kind, (height, width) in zip(formats, shapes))
        yield Comparison(FILE_SIGNATURE, batch, max(d for d, _ in found), min(a for _, a in found))


def compare_classes(classes: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """Compares classes with the probabilities that they were to be chosen by.

    Args:
        classes: uint8 [N, H, W] or [H, W].
        probabilities: float32 [..., C], the live model's.

    Returns:
        How much less probable than the likeliest class a chosen one is at most, and the share of pixels whose class is
        the likeliest, ties of `TIE` included; infinity and 0 if shape, type or an id cannot be right.
    """
    if classes.dtype != np.uint8 or classes.shape != probabilities.shape[:-1]:
        return np.inf, 0.0
    if classes.max() >= probabilities.shape[-1]:
        return np.inf, 0.0
    chosen = np.take_along_axis(probabilities, classes[..., None].astype(np.int64), axis=-1)[..., 0]
    loss = probabilities.max(axis=-1) - chosen
    return float(loss.max()), float((loss <= TIE).mean())


def _largest_difference(received: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(received - expected).max()) if received.shape == expected.shape else np.inf


def _random_file(shape: tuple[int, ...], kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)).save(file, format=kind)
    return file.getvalue()


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))
