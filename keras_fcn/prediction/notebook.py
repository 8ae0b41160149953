"""Drawing masks and samples for notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from keras_fcn.datasets import Pairs
from keras_fcn.drawing.overlays import overlay_with_legend
from keras_fcn.drawing.palettes import picture_colors
from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.images.photos import as_image
from keras_fcn.pipeline.augmentation import Augmentation, draw_samples


def show(
    image: Any,
    mask: Any,
    classes: ClassTable | None = None,
    palette: str = "classes",
    alpha: float = 0.55,
    **samples: int,
) -> Image.Image:
    """Draws a mask over its image, with names and a legend; or augmented pairs, with their labels over them.

    Args:
        image: A path, an image of Pillow's, or an array uint8 [H, W, 3]; or the `Pairs` of a data set.
        mask: Class ids uint8 [H, W]; for `Pairs`, the `Augmentation` that makes samples.
        classes: Names and colours; by default VOC's, or numbers if the mask has ids beyond VOC's.
        palette: "classes" for their own colours, or "colorblind".
        alpha: Opacity of the overlay, 0-1.
        **samples: For `Pairs`, further arguments of `keras_fcn.pipeline.augmentation.draw_samples`: index, count, seed.
    """
    if isinstance(image, Pairs) and isinstance(mask, Augmentation):
        return draw_samples(image, mask, **samples)
    ids = np.asarray(mask, np.uint8)
    if classes is None:
        most = int(ids[ids != VOID_LABEL].max(initial=0))
        classes = ClassTable.voc() if most < 21 else ClassTable.numbered(most + 1)
    return overlay_with_legend(as_image(image), ids, picture_colors(classes, palette), alpha)
