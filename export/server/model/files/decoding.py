"""Decoding an image file as `predict.py` does."""

from __future__ import annotations

import numpy as np

from export.server.model.files.header import BadImageError
from keras_fcn.errors import DataError
from keras_fcn.images.photos import read_remarked


def decode(data: bytes) -> np.ndarray:
    """Decodes a JPEG or PNG whose header has no fault.

    Returns:
        The upright image, uint8 [H, W, 3].

    Raises:
        BadImageError: If its pixels cannot be decoded to their end, or memory does not suffice.
    """
    try:
        return np.ascontiguousarray(read_remarked("image", data)[0])
    except DataError:
        raise BadImageError("is damaged: its pixels cannot be decoded to their end") from None
    except MemoryError:
        raise too_large_for_memory() from None


def too_large_for_memory() -> BadImageError:
    """Returns the fault of a file whose image does not fit into memory."""
    return BadImageError("does not fit into the memory of the server; send a smaller image")
