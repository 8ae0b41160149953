"""Images to calibrate a quantized export with, and labelled images to evaluate it on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs, inspect_pairs, open_pairs
from keras_fcn.datasets.inspection import require_sound
from keras_fcn.errors import Remark, UserError, argument
from keras_fcn.evaluation.evaluate import evaluate, require_same_classes
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import read_image
from keras_fcn.inference.arrays import Segment


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Images of a data set for calibration and validation.

    Attributes:
        paths: Images of the split train, evenly spread over it, for the ranges of activations.
        validation: The split val, for the mean IoU.
        size: Height and width that images are resized to, for a file of one size; None for their own size.
        remarks: Lines about images that somebody should look at.
    """

    paths: tuple[Path, ...]
    validation: Pairs
    size: tuple[int, int] | None = None
    remarks: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        data: Path,
        classes: ClassTable,
        count: int,
        size: tuple[int, int] | None,
        wanted: Mapping[str, Any] = MappingProxyType({}),
    ) -> Calibration:
        """Selects the images of a data set.

        Args:
            data: The folder, in any layout that training reads.
            classes: The model's classes.
            count: The most images to calibrate with.
            size: Height and width of the file's input, if fixed.
            wanted: What the data's classes become if they are not the model's already, and the model's channels, as
                `open_pairs` takes them.

        Raises:
            UserError: If the folder is not a data set, has other classes than the model, or a file with a fault.
        """
        train, validation = (open_pairs(data, split, already=classes.names, **wanted) for split in ("train", "val"))
        require_same_classes(classes, validation.classes)
        if not len(train) or not len(validation):
            raise UserError(
                f"{data}: has no images in train or val; {argument('calibrate')} takes a data set with both"
            )
        chosen = np.linspace(0, len(train) - 1, min(count, len(train))).round().astype(int)
        train = train.repeated(np.bincount(chosen, minlength=len(train)))
        findings = [*inspect_pairs(train).findings, *inspect_pairs(validation).findings]
        require_sound(findings)
        remarks = tuple(str(finding) for finding in findings if isinstance(finding, Remark))
        return cls(train.images, validation, size, remarks)

    def images(self) -> Iterator[np.ndarray]:
        """Yields the images for calibration, uint8 [1, H, W, 3]."""
        for path in self.paths:
            yield resized(read_image(path, self.validation.channels), self.size)[None]

    def mean_iou(self, segment: Segment) -> float:
        """Returns the mean IoU on the validation images, 0-1; classes of resized images are resized back."""
        return evaluate(resizing(segment, self.size), self.validation).metrics.mean_iou


def resized(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Returns an image uint8 [H, W, C], resized bilinearly if a size is given."""
    if size is None or image.shape[:2] == tuple(size):
        return image
    return tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8).numpy()


def resizing(segment: Segment, size: tuple[int, int] | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that segments images uint8 [1, H, W, 3] of any size with a function of one size."""
    if size is None:
        return segment

    def any_size(images: tf.Tensor) -> tf.Tensor:
        classes = np.asarray(segment(resized(np.asarray(images)[0], size)[None]))
        return tf.image.resize(classes[..., None], images.shape[1:3], "nearest")[..., 0]

    return any_size
