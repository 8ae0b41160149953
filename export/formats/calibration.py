"""The photographs by which an export is quantized, and the labelled ones on which it is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs, open_pairs
from keras_fcn.errors import UserError, argument
from keras_fcn.evaluation.evaluate import evaluate, require_same_classes
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import read_image
from keras_fcn.inference.graphs import Segment


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Photographs of a data set.

    Attributes:
        photographs: Of the split train, evenly spread over it: by these, ranges of values are found.
        held_out: The split val, on which the mean IoU is measured.
        size: Height and width to which images are resized, as the file takes no other; their own if None.
    """

    photographs: tuple[Path, ...]
    held_out: Pairs
    size: tuple[int, int] | None = None

    @classmethod
    def read(cls, data: Path, classes: ClassTable, count: int, size: tuple[int, int] | None) -> Calibration:
        """Lists the photographs of a data set.

        Args:
            data: The folder, in any layout that training reads.
            classes: Those of the model.
            count: How many photographs to quantize by, at most.
            size: Height and width that the file takes, if only one.

        Raises:
            UserError: If the folder is no data set, or has other classes than the model.
        """
        train, held_out = open_pairs(data, "train"), open_pairs(data, "val")
        require_same_classes(classes, held_out.classes)
        if not len(train) or not len(held_out):
            raise UserError(
                f"{data}: has no photographs in train or val; {argument('calibrate')} takes a data set with both"
            )
        chosen = np.linspace(0, len(train) - 1, min(count, len(train))).round().astype(int)
        return cls(tuple(train.images[index] for index in chosen), held_out, size)

    def images(self) -> Iterator[np.ndarray]:
        """Yields the photographs, uint8 [1, H, W, 3]."""
        for path in self.photographs:
            yield resized(read_image(path), self.size)[None]

    def mean_iou(self, segment: Segment) -> float:
        """Returns the mean IoU on the held-out photographs, 0-1; classes of resized ones are resized back."""
        return evaluate(resizing(segment, self.size), self.held_out).metrics.mean_iou


def resized(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Returns an image [H, W, C], uint8, at another size, bilinearly; the same without one."""
    if size is None or image.shape[:2] == tuple(size):
        return image
    return tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8).numpy()


def resizing(segment: Segment, size: tuple[int, int] | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that segments images uint8 [1, H, W, 3] of any size by one that takes only one size."""
    if size is None:
        return segment

    def any_size(images: tf.Tensor) -> tf.Tensor:
        classes = np.asarray(segment(resized(np.asarray(images)[0], size)[None]))
        return tf.image.resize(classes[..., None], images.shape[1:3], "nearest")[..., 0]

    return any_size
