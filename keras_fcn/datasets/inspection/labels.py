"""What is worth knowing about the labels of a data set before training."""

from __future__ import annotations

import numpy as np

from keras_fcn.datasets.inspection import Inspection
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.system.text import shown

MOST_VOID = 0.2
"""Fraction of void pixels that borders explain: about 6% in VOC's masks, 12% where much is left unlabelled."""

_SHOWN_FILES = 3


def require_labels(pairs: Pairs, inspection: Inspection) -> None:
    """Raises DataError if there is nothing to learn: a single class, or nothing but void.

    Args:
        pairs: A split.
        inspection: The result of `inspect_pairs` for it.
    """
    if pairs.classes.num_classes < 2:
        name = pairs.classes.names[0]
        raise DataError(
            "one class",
            f"{_source(pairs)}: names one class, {name!r}, which every pixel would be; name the background, too",
        )
    pixels = inspection.pixels.sum(axis=0)
    if pixels.any() and not np.delete(pixels, VOID_LABEL).any():
        raise DataError(
            "all void",
            f"{pairs.labels[0].parent}: all {pixels.sum():,} pixels of the {len(pairs)} masks of {pairs.split} are "
            f"void ({VOID_LABEL}); export masks of class ids",
        )


def label_remarks(pairs: Pairs, inspection: Inspection, is_training: bool) -> list[str]:
    """Returns what is worth knowing about the labels before training, in whole lines with figures.

    Args:
        pairs: A split.
        inspection: The result of `inspect_pairs` for it.
        is_training: Whether classes without pixels are worth a line.
    """
    pixels = inspection.pixels.sum(axis=0)
    lines = [_absent(pairs, pixels)] if is_training and pixels.any() else []
    void = np.flatnonzero(inspection.is_sound & (inspection.pixels[:, :VOID_LABEL].sum(axis=1) == 0))
    if len(void):
        names = [pairs.labels[index].name for index in void[:_SHOWN_FILES]]
        more = ", ..." if len(void) > _SHOWN_FILES else ""
        lines.append(f"{len(void)} of {len(pairs)} masks of {pairs.split} are all void: {', '.join(names)}{more}")
    share = pixels[VOID_LABEL] / max(1, pixels.sum())
    if share > MOST_VOID:
        lines.append(
            f"{share:.1%} of the pixels of {pairs.split} are void, more than borders explain: they count nowhere"
        )
    return [line for line in lines if line]


def _absent(pairs: Pairs, pixels: np.ndarray) -> str:
    """Returns the classes without a pixel, what the masks hold instead, and what to do if they are others' classes."""
    names = pairs.classes.names
    absent = [name for index, name in enumerate(names) if not pixels[index]]
    if not absent:
        return ""
    held = [(int(count), name) for count, name in zip(pixels, names) if count]
    held += [(int(pixels[VOID_LABEL]), "void")] if pixels[VOID_LABEL] else []
    shares = [f"{name} {count / pixels.sum():.1%}" for count, name in sorted(held, key=lambda item: -item[0])]
    legend = pairs.masks.legend if pairs.masks is not None else None
    hint = f"; {legend.hint}" if legend is not None and not legend.is_own else ""
    return (
        f"{len(absent)} of {len(names)} classes {'has' if len(absent) == 1 else 'have'} no pixel in {pairs.split} "
        f"({shown(absent)}); its {len(pairs)} masks hold {shown(shares)}{hint}"
    )


def _source(pairs: Pairs) -> str:
    return pairs.masks.legend.source if pairs.masks is not None else str(pairs.labels[0].parent)
