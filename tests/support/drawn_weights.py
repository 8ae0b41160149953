"""Weights that a seed and their names tell, so that no file needs to hold them; NumPy only."""

import zlib

import numpy as np


def draw_image():
    """Returns an image uint8 [64, 96, 3]."""
    return np.random.RandomState(0).randint(0, 256, (64, 96, 3)).astype(np.uint8)


def draw_weights(shapes):
    """Returns arrays by name, none of them what it would be by default, all of a size that occurs."""
    return {name: _draw(name, tuple(shape)) for name, shape in shapes.items()}


def _draw(name, shape):
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.array(7, np.int64)
    if len(shape) == 4:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    if name.endswith("bn3.weight"):  # of what a residual block adds
        return rng.uniform(0.1, 0.3, shape).astype(np.float32)
    if name.endswith("running_var"):  # mostly greater than 1, so that rounding errors do not grow from layer to layer
        return rng.uniform(0.7, 1.7, shape).astype(np.float32)
    if name.endswith("weight"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return rng.normal(0, 0.2, shape).astype(np.float32)
