"""Which images would teach a network most if somebody labelled them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from keras_fcn.prediction.plan import is_frame

_SIDE = 4
"""Images are compared by this many by this many colours, and by their classes."""

_MOST_CLUSTERS, _ROUNDS = 50, 10


def describe_unsureness(location: str, image: np.ndarray, probabilities: np.ndarray) -> dict:
    """Returns how unsure the classes of an image are, and what it is like.

    Args:
        location: Its path or URI.
        image: uint8 [H, W, 3].
        probabilities: float32 [H, W, C]; of several variants of the image, their mean.

    Returns:
        "image"; "entropy", the mean over pixels of the entropy of the probabilities, 0 (sure) to 1 (all classes
        alike); and "features", numbers that are close for images that look alike and hold the same classes.
    """
    shares = probabilities.mean(axis=(0, 1), dtype=np.float64)
    colours = np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX), float) / 255
    return _described(location, mean_entropy(probabilities), shares, colours)


def _described(location: str, entropy: float, shares: np.ndarray, colours: np.ndarray) -> dict:
    features = [*shares, *(colours.ravel() / math.sqrt(colours.size))]
    return {"image": location, "entropy": entropy, "features": [round(x, 5) for x in map(float, features)]}


class Unsureness:
    """Counts what `describe_unsureness` returns, block by block; its colours are those of the pixels of each cell.

    Args:
        height: The image's height.
        width: Its width.
        num_classes: Background included.
    """

    def __init__(self, height: int, width: int, num_classes: int) -> None:
        self._size = height, width
        self._entropy, self._pixels, self._shares = 0.0, 0, np.zeros(num_classes)
        self._colours, self._counts = np.zeros((_SIDE, _SIDE, 3)), np.zeros((_SIDE, _SIDE, 1))

    def add(self, rows: slice, columns: slice, image: np.ndarray, probabilities: np.ndarray) -> None:
        """Adds a block.

        Args:
            rows: Its rows in the image.
            columns: Its columns.
            image: uint8 [rows, columns, 3].
            probabilities: float32 [rows, columns, C]; NaN where nothing is to be counted.
        """
        is_there = ~np.isnan(probabilities[..., 0])
        values = probabilities[is_there]
        if not len(values):
            return
        self._entropy += len(values) * mean_entropy(values[None])
        self._pixels += len(values)
        self._shares += values.sum(axis=0, dtype=np.float64)
        cells = [_SIDE * np.arange(part.start, part.stop) // size for part, size in zip((rows, columns), self._size)]
        places = (cells[0][:, None] * _SIDE + cells[1])[is_there]
        shown = image[is_there]
        for channel in range(3):
            sums = np.bincount(places, shown[:, channel], _SIDE**2)
            self._colours[..., channel] += sums.reshape(_SIDE, _SIDE)
        self._counts += np.bincount(places, minlength=_SIDE**2).reshape(_SIDE, _SIDE, 1)

    def described(self, location: str) -> dict:
        """Returns what `describe_unsureness` does; of an image of which nothing was counted, an entropy of 0."""
        pixels = max(self._pixels, 1)
        colours = self._colours / np.maximum(self._counts, 1) / 255
        return _described(location, self._entropy / pixels, self._shares / pixels, colours)


def mean_entropy(probabilities: np.ndarray) -> float:
    """Returns the mean over pixels of the entropy of probabilities float32 [H, W, C], as a fraction of the highest."""
    num_classes = probabilities.shape[-1]
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    logs *= probabilities
    return max(0.0, -float(logs.sum(dtype=np.float64))) / (probabilities[..., 0].size * math.log(max(num_classes, 2)))


def ranked(files: Iterable[bytes], left_out: list[bytes]) -> Iterator[bytes]:
    """Yields a table (CSV) of images, those first that would teach most.

    Images are put into clusters of those alike. The next in the list is always the one with the greatest entropy,
    divided by one plus the number of images of its cluster that are in the list already: so the first are unsure, and
    not all of a kind.

    Args:
        files: The result of `describe_unsureness` for each image, as JSON. Frames of videos are skipped.
        left_out: Files of another form or of another number of classes are added to it.
    """
    rows: list[dict] = []
    for file in files:
        try:
            row = json.loads(file)
            size = {len(each["features"]) for each in (row, *rows[:1])}
            is_finite = np.isfinite([row["entropy"], *row["features"]]).all() and row["entropy"] >= 0
            is_alike = len(size) == 1 and is_finite and isinstance(row["image"], str)
        except (KeyError, TypeError, ValueError):
            is_alike = False
        if not is_alike:
            left_out.append(file)
        elif not is_frame(row["image"]):
            rows.append(row)
    entropies = np.array([row["entropy"] for row in rows], float)
    clusters = clustered(np.array([row["features"] for row in rows], float), entropies)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "entropy", "cluster"])
    for index in spread(entropies, clusters):
        table.writerow([rows[index]["image"], f"{entropies[index]:.4f}", clusters[index] + 1])
    yield text.getvalue().encode(errors="surrogateescape")


def clustered(features: np.ndarray, entropies: np.ndarray) -> np.ndarray:
    """Returns the cluster of each image by k-means, int [N]; there are as many as the square root of N, at most 50.

    The first centre is the image of the greatest entropy, each next one the image farthest from all before.

    Args:
        features: float [N, D].
        entropies: float [N].
    """
    count = min(_MOST_CLUSTERS, round(math.sqrt(len(features))))
    if count < 2:
        return np.zeros(len(features), int)
    chosen = [int(entropies.argmax())]
    nearest = np.full(len(features), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(nearest.argmax()))
    centres = features[chosen]
    for _ in range(_ROUNDS):
        away = (centres**2).sum(axis=1) - 2 * features @ centres.T  # squared distances, less what all have in common
        clusters = away.argmin(axis=1)
        sizes = np.bincount(clusters, minlength=count)
        sums = np.stack([np.bincount(clusters, column, count) for column in features.T], axis=1)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
    return clusters


def spread(entropies: np.ndarray, clusters: np.ndarray) -> list[int]:
    """Returns the images in the order of entropy / (1 + the images of its cluster before it).

    Args:
        entropies: float [N].
        clusters: int [N].
    """
    order = np.lexsort((np.arange(len(entropies)), -entropies, clusters))
    starts = np.searchsorted(clusters[order], clusters[order])
    quotients = entropies[order] / (1 + np.arange(len(order)) - starts)
    return order[np.lexsort((order, -quotients))].tolist()
