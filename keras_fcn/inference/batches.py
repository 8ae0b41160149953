"""Batches of images of one size."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

BATCH_PIXELS = 1 << 22
"""The most pixels in a batch of several images; larger batches take more memory and are not faster."""


def default_batch_size() -> int:
    """Returns how many images of one size are predicted together: 8 on a GPU, which TensorFlow alone uses, else 4."""
    tf = sys.modules.get("tensorflow")
    return 8 if tf is not None and tf.config.list_physical_devices("GPU") else 4


def batch_room(image: np.ndarray, batch_size: int) -> int:
    """Returns how many images of the size of one, uint8 [H, W, 3], make a batch: at least 1, at most `batch_size`."""
    return max(1, min(batch_size, BATCH_PIXELS // (image.shape[0] * image.shape[1])))


def stacked(images: Sequence[np.ndarray]) -> np.ndarray:
    """Returns images uint8 [H, W, 3] of one size as a batch uint8 [N, H, W, 3]; a single one is not copied."""
    return images[0][None] if len(images) == 1 else np.stack(images)
