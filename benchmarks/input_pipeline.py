"""Times reading training batches against the bare decoding of the files: `python benchmarks/input_pipeline.py DIR`.

In one run, in turn, on all cores: ours (the first pass over the pairs and later ones), a loader of Pillow, NumPy and a
thread pool as it is often written, and the floor, which only decodes JPEGs by libjpeg-turbo (OpenCV) and masks by
Pillow. Ratios are medians of the ratios within a round. By processor time, other programs hardly affect them, but they
exclude waiting. With `--large 100`, windows of large images are read, too, from memory and, in a first pass after the
system was asked to forget them, from the disk. Needs Linux and opencv-python-headless.
With `--masks .png .tif .npy`, masks of these kinds are timed beside the data set's own.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from large_images import large_windows

from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.startup import start_tensorflow


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Times reading training batches (crop and flip) against the bare decoding of the files."""

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A folder of images and masks."""

    crop_size: tuple[int, int] = (320, 480)
    """Height and width of the crops."""

    batch_size: int = 8
    """Images per batch."""

    rounds: int = 3
    """Number of times that each loader is timed; medians are printed."""

    pairs: int | None = None
    """Number of pairs in each pass; the list is cut or repeated to this length. All pairs if not given."""

    large: int | None = None
    """Also time the windows of eight images of so many megapixels, put together from those of the data set."""

    masks: tuple[str, ...] = ()
    """Suffixes such as .png .tif .npy: the masks are also written as grey ids in files of these kinds, and timed."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def decode(paths: tuple[Path, Path]) -> int:
    """Decodes a pair, the least work of any loader."""
    import cv2
    from PIL import Image

    image = cv2.imdecode(np.fromfile(paths[0], np.uint8), cv2.IMREAD_COLOR)
    with Image.open(paths[1]) as label:
        return image.size + np.asarray(label).size


class Watch:
    """A stopwatch of wall time and of processor time of this process and its workers."""

    def __init__(self) -> None:
        self._started = self._now()

    def lap(self) -> np.ndarray:
        """Returns both since the last lap, float [2]."""
        before, self._started = self._started, self._now()
        return self._started - before

    def _now(self) -> np.ndarray:
        stats = [
            Path(f"/proc/{worker.pid}/stat").read_text(encoding="utf-8") for worker in multiprocessing.active_children()
        ]
        ticks = sum(int(number) for stat in stats for number in stat.rpartition(")")[2].split()[11:13])
        return np.array([time.perf_counter(), time.process_time() + ticks / os.sysconf("SC_CLK_TCK")])


def rewritten(pairs, suffix: str, folder: Path):
    """Returns the pairs with masks of grey ids that are written into a folder, in files of one kind."""
    from PIL import Image

    from keras_fcn.datasets.pairs import reader
    from keras_fcn.images.masks import read_value_label

    written = {}
    for label in dict.fromkeys(pairs.labels):
        path, ids = folder / f"{len(written)}{suffix}", pairs.read_label(label)
        np.save(path, ids) if suffix == ".npy" else Image.fromarray(ids).save(path)
        written[label] = path
    count = pairs.classes.num_classes
    read = reader(read_value_label, pairs.classes, (*range(count), *[254] * (255 - count), 255))
    labels = tuple(written[label] for label in pairs.labels)
    return dataclasses.replace(pairs, labels=labels, read_label=read, palette_means_colors=False, masks=None)


def floor_seconds(pool: ProcessPoolExecutor, paths: list[tuple[Path, Path]]) -> np.ndarray:
    """Returns the seconds of decoding all pairs on all cores, each by a process of its own."""
    watch = Watch()
    for _ in pool.map(decode, paths, chunksize=16):
        pass
    return watch.lap()


def plain_seconds(paths: list[tuple[Path, Path]], classes, options: BenchmarkOptions) -> np.ndarray:
    """Returns the seconds of a loader of Pillow and NumPy on a thread pool, as it is often written."""
    from PIL import Image

    height, width = options.crop_size
    colors = classes.palette()[[*range(classes.num_classes), 255]].astype(np.int32)
    table = np.zeros(1 << 24, np.uint8)
    table[colors[:, 0] << 16 | colors[:, 1] << 8 | colors[:, 2]] = [*range(classes.num_classes), 255]

    def load(item: tuple[int, tuple[Path, Path]]) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(item[0])
        image = np.asarray(Image.open(item[1][0]).convert("RGB"))
        rgb = np.asarray(Image.open(item[1][1]).convert("RGB")).astype(np.int32)
        label = table[rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]]
        missing = [(0, max(0, size - have)) for size, have in zip((height, width), label.shape)]
        image, label = np.pad(image, [*missing, (0, 0)]), np.pad(label, missing, constant_values=255)
        top, left = (rng.integers(have - size + 1) for have, size in zip(label.shape, (height, width)))
        window = (slice(top, top + height), slice(left, left + width))
        step = -1 if rng.random() < 0.5 else 1
        return image[window][:, ::step], label[window][:, ::step]

    watch = Watch()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        samples = threads.map(load, enumerate(paths))
        while batch := list(itertools.islice(samples, options.batch_size)):
            images, labels = (np.stack(part) for part in zip(*batch))
            assert len(images) == len(labels)
    return watch.lap()


def our_seconds(pairs, options: BenchmarkOptions) -> tuple[np.ndarray, np.ndarray]:
    """Returns the seconds of the first pass, making the data set included, and of the second."""
    from keras_fcn.pipeline.augmentation import Augmentation
    from keras_fcn.pipeline.batches import training_dataset

    steps = len(pairs) // options.batch_size
    watch = Watch()
    batches = iter(training_dataset(pairs, Augmentation(options.crop_size), options.batch_size, seed=0))
    laps = []
    for _ in range(2):
        for _ in range(steps):
            next(batches)
        laps.append(watch.lap())
    return laps[0], laps[1]


def forget(pairs) -> None:
    """Asks the system to drop what it keeps of the pixels of windows from its memory."""
    for path in {path.parent / "pixels" for part in (pairs.images, pairs.labels) for path in part}:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_megabytes() -> float:
    """Returns the peak memory of this process since the last call, and resets it (Linux)."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")
    )
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    """Times all in turn and prints a table."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    pool = ProcessPoolExecutor(os.cpu_count())
    list(pool.map(abs, range(64)))  # the processes are started before TensorFlow is
    start_tensorflow()
    peak_megabytes()
    before = peak_megabytes()
    from keras_fcn.datasets import open_pairs

    pairs = open_pairs(options.data, "train")
    count = options.pairs or len(pairs)
    images, labels = (tuple(itertools.islice(itertools.cycle(part), count)) for part in (pairs.images, pairs.labels))
    pairs = dataclasses.replace(pairs, images=images, labels=labels)
    paths = list(zip(images, labels))
    floor_seconds(pool, paths)  # from here on, the files are in the page cache
    scratch = tempfile.TemporaryDirectory()
    os.environ["KERAS_FCN_CACHE"] = scratch.name
    large = None
    if options.large is not None:
        windows = large_windows(pairs, Path(scratch.name), options.large, options.crop_size)
        chosen = [index * len(windows) // count for index in range(count)]
        images, labels = (tuple(part[index] for index in chosen) for part in (windows.images, windows.labels))
        large = dataclasses.replace(windows, images=images, labels=labels)
    peak_megabytes()
    others = {suffix: rewritten(pairs, suffix, Path(scratch.name)) for suffix in options.masks}
    rounds: list[dict[str, np.ndarray]] = []
    for _ in range(options.rounds):
        floor = floor_seconds(pool, paths)
        first, later = our_seconds(pairs, options)
        if not rounds:  # before the other loader leaves memory behind
            peak = peak_megabytes()
        plain = plain_seconds(paths, pairs.classes, options)
        rounds.append({"floor": floor, "ours, first pass": first, "ours, later": later, "Pillow and NumPy": plain})
        rounds[-1] |= {f"ours, {suffix} masks": our_seconds(other, options)[1] for suffix, other in others.items()}
        if large is not None:
            rounds[-1]["ours, windows"] = our_seconds(large, options)[1]
            forget(large)
            rounds[-1]["ours, from the disk"] = our_seconds(large, options)[0]
    scratch.cleanup()
    pool.shutdown()
    report(rounds, count, peak - before, options)


def report(rounds: list[dict[str, np.ndarray]], count: int, megabytes: float, options: BenchmarkOptions) -> None:
    """Prints medians as pairs per second and as ratios to the floor, and writes them as JSON."""
    results = {}
    for name in rounds[0]:
        ratios = np.median([each["floor"] / each[name] for each in rounds], axis=0)
        rate = count / np.median([each[name][0] for each in rounds])
        results[name] = {"pairs_per_second": rate, "of_floor": ratios[0], "of_floor_by_processor": ratios[1]}
    print(f"{count} pairs, crop {options.crop_size[0]}x{options.crop_size[1]}, {os.cpu_count()} cores, medians")
    print(f"{'':<20}{'pairs/s':>8}{'of the floor':>15}{'by processor time':>20}")
    for name, row in results.items():
        rate, by_clock, by_processor = row.values()
        print(f"{name:<20}{rate:>8.0f}{by_clock:>15.2f}{by_processor:>20.2f}")
    if options.large is not None:
        print(f"of images of {options.large} megapixels, a batch of {options.batch_size}:")
        for name, of_files in (("ours, windows", "ours, later"), ("ours, from the disk", "ours, first pass")):
            ratios = np.array([each[name] / each[of_files] for each in rounds]).T
            times = np.median([each[name] for each in rounds], axis=0) * 1000 * options.batch_size / count
            for what, ms, ratio in zip(("ms by the clock", "ms of processors"), times, ratios):
                most = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
                print(f"{name:<20}{ms:>8.0f} {what}, {most} of the time of {of_files.replace('ours', 'files')}")
    print(f"peak memory of ours above the import of TensorFlow: {megabytes:.0f} MB")
    if options.json is not None:
        seconds = [{name: both.tolist() for name, both in each.items()} for each in rounds]
        written = {"pairs": count, "loaders": results, "megabytes": megabytes, "seconds": seconds}
        options.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
