"""The band of pixels around the true boundaries, in which outlines are judged."""

from __future__ import annotations

import numpy as np

from keras_fcn.images.classes import VOID_LABEL


def trimap(truth: np.ndarray, width: int) -> np.ndarray:
    """Leaves only the pixels near the true boundaries, and makes void of all others.

    Kohli, Ladický, Torr (IJCV 2009) and Krähenbühl, Koltun (NIPS 2011, section 5) count errors in such a band, called
    a trimap; Chen et al. (DeepLab, TPAMI 2018) take its mean IoU. Boundaries are where neighbouring pixels have other
    labels, void's outlines included, as there; the image's border is none. (The "Boundary IoU" of Cheng et al., CVPR
    2021, is another measure: it also looks at the boundaries of the prediction.)

    Args:
        truth: uint8 [H, W], class ids and 255 for void.
        width: Of the band on either side of a boundary in pixels, at least 1. A pixel belongs to it if another label is
            at most so many rows and columns away.

    Returns:
        uint8 [H, W], the truth within the band and 255 elsewhere.
    """
    height, columns = truth.shape
    across = np.zeros(truth.shape, bool)
    across[:, 1:] = truth[:, 1:] != truth[:, :-1]
    down = np.zeros(truth.shape, bool)
    down[1:] = truth[1:] != truth[:-1]
    # The window around a pixel is of one label unless some step inside of it, from one pixel to the next, changes it.
    steps = (_boxes(across, width, height, columns, (0, 1)), _boxes(down, width, height, columns, (1, 0)))
    return np.where((steps[0] > 0) | (steps[1] > 0), truth, VOID_LABEL).astype(np.uint8)


def _boxes(marks: np.ndarray, width: int, height: int, columns: int, without_first: tuple[int, int]) -> np.ndarray:
    """Counts the marks in the window of `width` pixels to each side of every pixel, int [H, W], by a summed-area table.

    Args:
        marks: boolean [H, W].
        width: Pixels to each side.
        height: H.
        columns: W.
        without_first: Rows and columns to leave out at the beginning of each window.
    """
    table = np.zeros((height + 1, columns + 1), np.int32)
    np.cumsum(np.cumsum(marks, axis=0, dtype=np.int32), axis=1, out=table[1:, 1:])
    rows, places = np.arange(height), np.arange(columns)
    top, left = np.maximum(rows - width, 0) + without_first[0], np.maximum(places - width, 0) + without_first[1]
    bottom, right = np.minimum(rows + width + 1, height), np.minimum(places + width + 1, columns)
    return (
        table[np.ix_(bottom, right)]
        - table[np.ix_(top, right)]
        - table[np.ix_(bottom, left)]
        + table[np.ix_(top, left)]
    )
