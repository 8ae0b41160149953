"""Where photographs and masks come from."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.datasets.pairs import Pairs, verify_pairs
from keras_fcn.datasets.toy import draw_toy_dataset
from keras_fcn.datasets.voc import read_voc

__all__ = ["TOY_ROOT", "Pairs", "draw_toy_dataset", "open_pairs", "read_voc", "verify_pairs"]

TOY_ROOT = Path("data/toy")
"""Where the embedded data set is drawn, from the current folder."""


def open_pairs(data: str | Path, split: str) -> Pairs:
    """Lists the pairs of one split of a data set.

    Args:
        data: A folder in VOC's layout, or "toy" for the embedded data set, which is drawn at first use.
        split: The name of a split list.

    Raises:
        UserError: If the folder is not such a data set, or has no such split.
    """
    if data == "toy":
        return read_voc(draw_toy_dataset(TOY_ROOT), split)
    return read_voc(Path(data), split)
