"""What annotation files keep of a mask, and how close their outlines are."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from tyro.conf import arg

from keras_fcn.system.options import NOT_NEGATIVE, Options, number


@dataclasses.dataclass(frozen=True)
class AnnotationStyle(Options):
    """Options of the files that annotation tools read.

    Raises:
        UserError: If a value is out of its range.
    """

    tolerance: Annotated[
        float | None, NOT_NEGATIVE, number("PIXELS"), arg(help_behavior_hint="(default: 1; coco and geojson 0)")
    ] = None
    """Farthest that outlines for annotation tools may be from the mask's; 0 writes the mask itself, exactly."""

    min_area: Annotated[int, NOT_NEGATIVE, arg(metavar="PIXELS")] = 0
    """Leave objects of fewer pixels out of annotations."""

    fill_holes: Annotated[int, NOT_NEGATIVE, arg(metavar="PIXELS")] = 0
    """Fill holes of fewer pixels in the objects of annotations."""

    def tolerance_or(self, default: float) -> float:
        """Returns the tolerance, or a format's own if none is chosen."""
        return default if self.tolerance is None else self.tolerance
