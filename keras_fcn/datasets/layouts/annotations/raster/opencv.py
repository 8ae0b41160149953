"""OpenCV, of a version that fills polygons as the tools do whose masks these are."""

from __future__ import annotations

from typing import Any

from keras_fcn.errors import UserError

OLDEST = (4, 11)
"""The first version that does: those before fill half of all polygons with other pixels, up to dozens of them."""


def opencv() -> Any:
    """Returns the module `cv2`.

    Raises:
        UserError: If it is older than `OLDEST`.
    """
    import cv2

    if tuple(map(int, cv2.__version__.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UserError(
            f"OpenCV {cv2.__version__} fills polygons with other pixels than OpenCV {oldest} and later, by which masks "
            f'are drawn here: pip install --upgrade "opencv-python-headless>={oldest}"'
        )
    return cv2
