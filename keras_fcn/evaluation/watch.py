"""What the best model of a run is the best by."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_fcn.datasets.labels.legend import shown
from keras_fcn.errors import UserError, argument
from keras_fcn.evaluation.metrics import SegmentationMetrics
from keras_fcn.images.classes import split_names
from keras_fcn.system.options import named_unknown

LEAST_IMAGES, LEAST_PART, LEAST_PIXELS = 10, 0.1, 1000
"""What validation images have to show of a class lest it decide by chance: it is in so many images, or in so large a
part of a few, with so many pixels in all."""


@dataclasses.dataclass(frozen=True)
class Watch:
    """A metric of the validation images, of which the highest value makes the best model.

    Attributes:
        what: The metric, human-readable.
        classes: Ids of the classes whose mean IoU it is; of all that have one if empty.
        is_accuracy: Whether it is the pixel accuracy instead.
        why: Why other classes do not count, human-readable; empty if all do, or if the user chose.
    """

    what: str = "mean IoU"
    classes: tuple[int, ...] = ()
    is_accuracy: bool = False
    why: str = ""

    def value(self, metrics: SegmentationMetrics) -> float:
        """Returns the metric, 0-1; 0 where no pixel was valid."""
        if self.is_accuracy:
            return float(np.nan_to_num(metrics.pixel_accuracy))
        if not self.classes:
            return float(np.nan_to_num(metrics.mean_iou))
        ious = np.array([metrics.iou[index] for index in self.classes])
        return float(ious[~np.isnan(ious)].mean()) if not np.isnan(ious).all() else 0.0


def watched_classes(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """Returns the ids of the classes that a `watch` names; none if it names none.

    Args:
        text: "auto", "mean_iou", "pixel_accuracy", "iou:NAME" or "mean_iou:NAME,NAME".
        names: The names of all classes.

    Raises:
        UserError: If there is no such class, or one is named twice.
    """
    metric, colon, listed = text.partition(":")
    if not colon:
        return ()
    wanted = [listed.strip()] if metric == "iou" else split_names(listed, ",", names)
    if unknown := [name for name in wanted if name not in names]:
        raise UserError(
            f"{argument('watch', text)}: there is no class {named_unknown(unknown, names)}; there are "
            f"{', '.join(names)}"
        )
    if len(set(wanted)) < len(wanted):
        raise UserError(f"{argument('watch', text)}: names a class twice; name each once")
    return tuple(map(list(names).index, wanted))


def least_images(count: int) -> int:
    """Returns in how many of `count` validation images a class has to be lest it decide by chance."""
    return max(1, min(LEAST_IMAGES, round(LEAST_PART * count)))


def build_watch(text: str, names: Sequence[str], images: np.ndarray | None = None, pixels: np.ndarray | None = None,
                count: int = 0, split: str = "val") -> Watch:  # fmt: skip
    """Returns what makes a model the best.

    Args:
        text: As for `watched_classes`; "auto" is the mean IoU of the classes that do not decide by chance, of all if
            fewer than two are left.
        names: The names of the classes.
        images: Number of validation images that show each class, int [num_classes]; all count if not known.
        pixels: Number of validation pixels of each class, int [num_classes].
        count: Number of validation images.
        split: Their split.

    Raises:
        UserError: If there is no such class, or no validation image shows it.
    """
    metric, colon, _ = text.partition(":")
    chosen = watched_classes(text, names)
    if absent := [names[index] for index in chosen if pixels is not None and not pixels[index]]:
        raise UserError(
            f"{argument('watch', text)}: no pixel of {split} is of {shown(absent)}, so there is nothing to watch; "
            f"watch another class, or add images that show it to {split}"
        )
    if colon:
        named = [names[index] for index in chosen]
        return Watch(f"IoU of {named[0]}" if len(named) == 1 else f"mean IoU of {shown(named)}", chosen)
    if metric == "pixel_accuracy":
        return Watch("pixel accuracy", is_accuracy=True)
    if metric == "mean_iou" or images is None or pixels is None:
        return Watch()
    least = least_images(count)
    enough = np.flatnonzero((images >= least) & (pixels >= LEAST_PIXELS))
    if len(enough) in (0, 1, len(names)):
        return Watch()
    few = [names[index] for index in range(len(names)) if index not in enough]
    images_of_val = f"{least} image{'s' * (least > 1)} or {LEAST_PIXELS:,} pixels of {split}"
    are = "is" if len(few) == 1 else "are"
    why = (
        f"the other {len(few)} {are} in fewer than {images_of_val} and would decide by chance ({shown(few)}); --watch "
        "mean_iou counts all"
    )
    return Watch(f"mean IoU of {len(enough)} of {len(names)} classes", tuple(enough.tolist()), why=why)
