"""Times training steps from large images against those from small files: `python benchmarks/large_images.py DIR`.

In one run, in turn: steps of two trainings that differ in their data alone, eight files of the data set, and eight
images of 100 megapixels that are put together from it. Ratios are of the seconds a step within a round, with waiting.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.startup import start_tensorflow


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Times training steps from large images against those from small files."""

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A folder of images and masks."""

    megapixels: int = 100
    """Of each of the eight large images."""

    crop_size: tuple[int, int] = (320, 480)
    """Height and width of the crops."""

    batch_size: int = 8
    """Images per batch."""

    rounds: int = 6
    """Number of times that both are timed; the median is printed."""

    steps: int = 6
    """Steps of each in a round."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def large_windows(pairs, folder: Path, megapixels: int, crop_size: tuple[int, int]):
    """Returns windows of eight large images, JPEGs and palette PNGs as the data set's, and prints what they took."""
    from PIL import Image

    from keras_fcn.datasets.windows import cut_large
    from keras_fcn.images.masks import write_label
    from keras_fcn.images.photos import read_image

    side = math.isqrt(megapixels * 1_000_000)
    images, labels = [], []
    for number in range(8):
        image, label = np.empty((side, side, 3), np.uint8), np.empty((side, side), np.uint8)
        for index, (top, left) in enumerate(itertools.product(range(0, side, 256), repeat=2)):
            source = (8 * index + number) % len(pairs)
            tile = slice(top, min(top + 256, side)), slice(left, min(left + 256, side))
            shape = tuple(part.stop - part.start for part in tile)
            for whole, part in (
                (image, read_image(pairs.images[source])),
                (label, pairs.read_label(pairs.labels[source])),
            ):
                part = np.pad(part, [(0, 256), (0, 256), (0, 0)][: part.ndim], "wrap")
                whole[tile] = part[: shape[0], : shape[1]]
        images.append(folder / f"{number}.jpg")
        labels.append(folder / f"{number}.png")
        Image.fromarray(image).save(images[-1], quality=92)
        write_label(labels[-1], label, pairs.classes)
    begin = time.perf_counter()
    read_image(images[0]), pairs.read_label(labels[0])
    print(f"a whole image of {megapixels} megapixels and its mask are decoded in {time.perf_counter() - begin:.2f} s")
    whole = dataclasses.replace(pairs, images=tuple(images), labels=tuple(labels))
    begin = time.perf_counter()
    cut = cut_large(whole, dict.fromkeys(images, (side, side)), crop_size)
    print(f"{cut.line}, in {time.perf_counter() - begin:.1f} s")
    return cut.pairs


def training_of(pairs, folder: Path, options: BenchmarkOptions):
    """Returns a function that makes so many training steps of FCN-32s and returns the seconds of one, their mean."""
    import keras
    import tensorflow as tf

    from keras_fcn.runs.config import TrainConfig
    from keras_fcn.training.build import build_training
    from keras_fcn.training.inputs.data import TrainingData

    keras.utils.set_random_seed(0)
    config = TrainConfig(model="fcn32s", batch_size=options.batch_size, epochs=1)
    run = build_training(config, TrainingData(pairs, pairs, options.crop_size), tf.distribute.get_strategy())
    run.stream.open(0, folder)
    made = itertools.count()

    def seconds(steps: int) -> float:
        begin = time.perf_counter()
        for number in itertools.islice(made, steps):
            run.make_step(run.stream.next(number), False)
        return (time.perf_counter() - begin) / steps

    seconds(2)  # is traced
    return seconds


def main() -> None:
    """Times both in turn and prints a table."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    start_tensorflow()
    from keras_fcn.datasets import open_pairs

    pairs = open_pairs(options.data, "train")
    small = dataclasses.replace(pairs, images=pairs.images[:8], labels=pairs.labels[:8])
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KERAS_FCN_CACHE"] = scratch
        large = large_windows(pairs, Path(scratch), options.megapixels, options.crop_size)
        both = [training_of(each, Path(scratch), options) for each in (small, large)]
        rounds = [[seconds(options.steps) for seconds in both] for _ in range(options.rounds)]
    ratios = [of_large / of_small for of_small, of_large in rounds]
    for name, values in zip(("small files", f"{options.megapixels} megapixels"), zip(*rounds)):
        print(f"{name:<16}{statistics.median(values):8.3f} s a step")
    print(f"{'ratio':<16}{statistics.median(ratios):8.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    if options.json is not None:
        options.json.write_text(json.dumps({"seconds": rounds}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
