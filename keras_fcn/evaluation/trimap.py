"""The band of pixels around the boundaries of the ground truth, for metrics of outlines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from keras_fcn.images.classes import VOID_LABEL

_EXTREMES = (np.maximum, np.minimum)


def trimap(label: np.ndarray, width: int) -> np.ndarray:
    """Returns a label with only the pixels near true boundaries; all others are void.

    Kohli, Ladický, Torr (IJCV 2009) and Krähenbühl, Koltun (NIPS 2011, section 5) count errors in such a band, called
    a trimap; Chen et al. (DeepLab, TPAMI 2018) take its mean IoU. Boundaries are where neighbouring pixels have other
    labels, void's outlines included, as there; the image's border is none. (The "Boundary IoU" of Cheng et al., CVPR
    2021, is another metric: it also looks at the boundaries of the prediction.)

    Args:
        label: Ground truth uint8 [H, W], class ids and 255 for void.
        width: Width of the band on either side of a boundary, in pixels, at least 1. A pixel belongs to the band if
            another label is at most this many rows and columns away.

    Returns:
        uint8 [H, W], the label within the band and 255 elsewhere.
    """
    highest, lowest = (_over_windows(_over_windows(label, width, extreme).T, width, extreme).T for extreme in _EXTREMES)
    return np.where(highest != lowest, label, VOID_LABEL).astype(np.uint8)  # two labels in the window


def _over_windows(values: np.ndarray, width: int, extreme: Callable) -> np.ndarray:
    """Returns the highest or lowest value at most `width` rows away from each, [H, W], in few passes.

    Beyond the border the value there goes on, which is in the window anyway.
    """
    found, reach, size = np.pad(values, ((width, width), (0, 0)), "edge"), 1, 2 * width + 1
    while reach < size:  # each value stands for `reach` rows from its own on
        step = min(reach, size - reach)
        found, reach = extreme(found[:-step], found[step:]), reach + step
    return found
