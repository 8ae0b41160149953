"""Photographs paired with their label files: what every data set is turned into."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.image_files import image_size, read_label, require_decodable
from keras_fcn.labels import ClassTable


@dataclasses.dataclass(frozen=True)
class Pairs:
    """One split of a data set.

    Attributes:
        split: The name of the split list, such as "train".
        images: Paths of the photographs.
        labels: Paths of their label files, in the same order.
        classes: What the labels mean.
    """

    split: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    classes: ClassTable

    def __len__(self) -> int:
        return len(self.images)


def verify_pairs(pairs: Pairs) -> np.ndarray:
    """Decodes every pair once, on all cores, so that nothing is trained on a file that is damaged or not understood.

    Returns:
        Heights and widths of the images in pixels, int [len(pairs), 2].

    Raises:
        UserError: For the first pair that cannot be decoded, has an unknown colour or id, or differs in size.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        sizes = threads.map(_verify_pair, pairs.images, pairs.labels, [pairs.classes] * len(pairs))
        return np.array(list(sizes), int).reshape(-1, 2)


def _verify_pair(image: Path, label: Path, classes: ClassTable) -> tuple[int, int]:
    require_decodable(image)
    size = image_size(image)
    ids = read_label(label, classes)
    if ids.shape != size:
        raise UserError(
            f"{label}: is {ids.shape[0]}x{ids.shape[1]} pixels (height x width), but its photo {image} is "
            f"{size[0]}x{size[1]}; export the mask at the photo's own size"
        )
    return size
