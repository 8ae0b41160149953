"""Large images decoded once, so that a training step reads what it takes and never decodes a whole one.

Pixels of images and class ids of masks are kept outside the data set, uncompressed, under names that their contents
determine.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_fcn.datasets.labels.reading import described, read_or_window
from keras_fcn.datasets.layouts.annotations.common.cache import cache_folder, hinting
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError
from keras_fcn.images.photos import read_image
from keras_fcn.images.rasters import is_for_rasterio, opened_raster
from keras_fcn.images.values.channels import Channels
from keras_fcn.images.windows import Window, is_window, pixels_in, read_window, write_pixels
from keras_fcn.runs.known_files import known_files
from keras_fcn.runs.lock import locked
from keras_fcn.system.files import replaced_file
from keras_fcn.system.progress import progress_bar

LARGE = 1 << 25
"""Pixels of an image above which it is cut: scans of 48 megapixels, not what cameras give."""

PATIENCE = 3600.0
"""Seconds that a worker waits for another one that decodes an image into the same cache."""

_WHOLE = "whole.window"

_CUT = "large images are cut"
_VERSION = 3  # another one where the same files are decoded otherwise than before

_WINDOW = re.compile(r"(_\d+){2}_\d+x\d+$")
"""The end of a window's name."""

Box = tuple[int, int, int, int]
"""First row and column, last row and column + 1."""


@dataclasses.dataclass(frozen=True)
class Cut:
    """What became of a data set's large images.

    Attributes:
        pairs: The pairs, with windows in place of each large image.
        images: The number of images that were cut.
        windows: The number of windows, those that are there several times counted as often.
        gigabytes: The size of their pixels and class ids, in 10^9 bytes.
    """

    pairs: Pairs
    images: int = 0
    windows: int = 0
    gigabytes: float = 0.0

    @property
    def line(self) -> str:
        """Returns a human-readable line about them."""
        images = "1 image is" if self.images == 1 else f"{self.images:,} images are"
        crops = f"{self.windows:,} crop{'s' if self.windows > 1 else ''} of {'it' if self.images == 1 else 'them'}"
        return (
            f"{images} read by windows, {crops} an epoch; decoded once into {cache_folder() / 'windows'} "
            f"({self.gigabytes:.1f} GB)"
        )


def large_images(pairs: Pairs, sizes: np.ndarray) -> dict[Path, tuple[int, int]]:
    """Returns height and width of the images that are cut: those of more than `LARGE` pixels, and windows.

    Args:
        pairs: The pairs.
        sizes: Height and width of each, int [N, 2].
    """
    pixels = sizes.prod(axis=1)
    chosen = (index for index, image in enumerate(pairs.images) if pixels[index] > LARGE or is_window(image))
    return {pairs.images[index]: (int(sizes[index, 0]), int(sizes[index, 1])) for index in chosen}


def cut_large(pairs: Pairs, sizes: dict[Path, tuple[int, int]], crop: tuple[int, int]) -> Cut:
    """Returns the pairs with a window of all of its pixels in place of each large image.

    It is there as often as crops cover its area, so that an epoch shows as much of it as of as many small images.

    Args:
        pairs: The pairs.
        sizes: Height and width of the images to cut.
        crop: Height and width of a crop.

    Raises:
        UserError: If a file cannot be decoded, or the windows cannot be written.
    """
    if not sizes:
        return Cut(pairs)

    def boxes(image: Path) -> list[Box] | None:
        if image not in sizes:
            return None
        return [(0, 0, *sizes[image])] * max(1, math.prod(sizes[image]) // math.prod(crop))

    return cut(pairs, boxes)


def cut(pairs: Pairs, boxes: Callable[[Path], Sequence[Box] | None]) -> Cut:
    """Returns the pairs with windows in place of some images.

    Args:
        pairs: The pairs.
        boxes: Returns the windows of an image, none to leave it out; None to leave it as it is.

    Raises:
        UserError: If a file cannot be decoded, or the windows cannot be written.
    """
    chosen = {pair: boxes(pair[0]) for pair in zip(pairs.images, pairs.labels)}
    read_label = functools.partial(read_or_window, read_label=pairs.read_label)
    windows: dict[tuple[Path, Path], list[tuple[Path, Path]]] = {}
    sizes: dict[Path, int] = {}  # bytes of the files of pixels, some of which hold several windows of blocks
    read = functools.partial(read_image, channels=pairs.channels)
    with progress_bar(sum(map(bool, chosen.values())), "image", "cutting images") as bar:
        for pair, found in chosen.items():
            if found:
                whole, ids = _kept(pair[0], read, pairs.channels), _kept(pair[1], read_label)
                _require_alike(*pair, whole.window, ids.window)
                windows[pair] = list(zip(whole.write(found, pair[0]), ids.write(found, pair[0])))
                sizes |= {each.folder: math.prod(each.window.shape) for each in (whole, ids)}
                bar.update()
    kept = [windows.get(pair, [pair] if chosen[pair] is None else []) for pair in zip(pairs.images, pairs.labels)]
    images, labels = (tuple(own[place] for of_pair in kept for own in of_pair) for place in (0, 1))
    changed = dataclasses.replace(pairs, images=images, labels=labels)
    if not windows:
        return Cut(changed)
    changed = dataclasses.replace(changed, read_label=read_label)
    return Cut(changed, len(windows), sum(map(len, windows.values())), sum(sizes.values()) / 1e9)


@dataclasses.dataclass(frozen=True)
class _Whole:
    """Pixels or class ids that are kept uncompressed.

    Attributes:
        folder: Where they are.
        window: All of them or, of a window, its part.
    """

    folder: Path
    window: Window

    def write(self, boxes: Sequence[Box], image: Path) -> list[Path]:
        """Writes the files of windows that are not there yet; returns their paths, called like the image."""
        name = _WINDOW.sub("", image.stem) if is_window(image) else image.stem
        paths = {}
        for window in map(self.window.within, dict.fromkeys(boxes)):
            paths[window.box] = path = window.path(self.folder, name)
            if not path.exists():
                with hinting(_CUT), replaced_file(path) as temporary:
                    window.write(temporary)
        return [paths[self.window.within(box).box] for box in boxes]


def _kept(path: Path, read: Callable[[Path], np.ndarray], channels: Channels | None = None) -> _Whole:
    """Decodes a file and keeps its pixels, unless they are there; of an image, `channels` are read."""
    if is_window(path):
        return _Whole(path.parent, read_window(path))
    of_channels = "image" if channels is None or channels.is_rgb else f"image by {channels.text}"
    words = described(read) if channels is None else of_channels
    is_lasting = " at 0x" not in words
    decoded = None if is_lasting else read(path)
    content = known_files().digest(path) if decoded is None else hashlib.sha256(decoded.tobytes()).hexdigest()
    name = hashlib.sha256(repr((_VERSION, words if is_lasting else "", content)).encode()).hexdigest()
    folder = cache_folder() / "windows" / name[:2] / name[2:]
    with hinting(_CUT):
        if not _is_kept(folder):
            with locked(folder / "lock", f"decodes {path} into {folder}; wait until it ends", PATIENCE):
                if not _is_kept(folder):  # by another worker, which held the lock
                    _keep(folder, _parts(path, read, channels) if decoded is None else iter([decoded]))
    return _Whole(folder, read_window(folder / _WHOLE))


def _is_kept(folder: Path) -> bool:
    return (folder / _WHOLE).exists() and pixels_in(folder).exists()


def _keep(folder: Path, parts: Iterator[np.ndarray]) -> None:
    with replaced_file(pixels_in(folder)) as temporary:
        shape, digest = write_pixels(temporary, parts)
    with replaced_file(folder / _WHOLE) as temporary:
        Window(digest, shape, (0, 0, shape[0], shape[1])).write(temporary)


def _parts(path: Path, read: Callable[[Path], np.ndarray], channels: Channels | None) -> Iterator[np.ndarray]:
    """Yields the decoded rows of a file, those of a GeoTIFF window by window."""
    if channels is None or not is_for_rasterio(path):
        yield read(path)
        return
    with opened_raster(path, channels) as raster:
        for window in raster.windows():
            yield raster[window]


def _require_alike(image: Path, label: Path, whole: Window, ids: Window) -> None:
    if whole.size != ids.size:
        sizes = " and ".join("x".join(map(str, each.size)) for each in (ids, whole))
        raise DataError("size mismatch", f"{label}: it and its image {image} are of {sizes} pixels (height x width)")
