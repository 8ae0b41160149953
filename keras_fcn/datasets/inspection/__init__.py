"""Validation of every pair of a data set before training."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_fcn.datasets.inspection.thumbnails import thumbnail, thumbnails_of
from keras_fcn.datasets.labels.reading import LabelReader, described
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError, Remark
from keras_fcn.images.label_files.opening import MASK_SUFFIXES, label_bytes, label_orientation
from keras_fcn.images.photos import IMAGE_SUFFIXES, Inspected, Look, decoded_bytes, inspect_image
from keras_fcn.images.several import SEVERAL, describe_several
from keras_fcn.images.values.channels import Channels
from keras_fcn.images.values.depth import DARK, dark_ones, describe_dark
from keras_fcn.runs.known_files import KnownFiles, known_files
from keras_fcn.system.machine import DECODING, decoding_threads

_TOGETHER = 16
"""Pairs that a thread checks at a time: to hand over one takes as long as to look up what is known of it."""


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The contents of a data set, and its faults.

    Attributes:
        is_sound: Whether each pair is free of faults, boolean [N].
        sizes: Height and width of each sound pair in pixels, int [N, 2]; zeros for the others.
        pixels: Pixel counts of each pair and id, int64 [N, 256]; zeros for pairs that are not sound.
        findings: All faults, those of the listing first.
        contents: The `content_digest` of the image of each sound pair; empty for the others.
        label_contents: The same of the label files.
        channels: The number of channels in the file of each sound image, 0 if not known, int [N]; zeros for the others.
        thumbnails: Those of the images, uint8 [N, SIDE, SIDE], if they were asked for; uint8 [0, SIDE, SIDE] otherwise.
        runs: The runs of each id in all labels, in the rows of each or in its columns, whichever are more, int64 [256],
            if thumbnails were asked for; zeros otherwise.
    """

    is_sound: np.ndarray
    sizes: np.ndarray
    pixels: np.ndarray
    findings: tuple[DataError, ...]
    contents: tuple[str, ...] = ()
    label_contents: tuple[str, ...] = ()
    channels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    thumbnails: np.ndarray = dataclasses.field(default_factory=lambda: thumbnails_of([]))
    runs: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(256, np.int64))

    @property
    def widths(self) -> np.ndarray:
        """The mean length of the runs of each id in pixels, float64 [256]; 0 for ids without any.

        Of lines it is about their width, of discs four fifths of their diameter.
        """
        return np.where(self.runs > 0, self.pixels.sum(axis=0) / np.maximum(self.runs, 1), 0.0)

    def require_sound(self) -> None:
        """Raises the first fatal finding, if any, with the number of others."""
        require_sound(self.findings)


def require_sound(findings: Iterable[DataError]) -> None:
    """Raises the first fatal finding, if any, with the number of others."""
    fatal = [finding for finding in findings if finding.is_fatal]
    if len(fatal) > 1:
        raise DataError(
            fatal[0].kind, f"{fatal[0].marked} (and {len(fatal) - 1} more: python -m keras_fcn.check lists them)"
        )
    if fatal:
        raise fatal[0]


def left_out(findings: Iterable[DataError], data: str) -> str:
    """Returns how many files of a data set are left out by these findings, by kind; nothing if none is."""
    unique = {
        str(finding): finding for finding in findings if not (finding.is_fatal or isinstance(finding, Remark))
    }.values()
    counts = collections.Counter[str]()
    for finding in unique:
        counts[finding.kind] += finding.count
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(counts.items()))
    files = "files are" if counts.total() > 1 else "file is"
    what = f"{counts.total()} {files} left out ({kinds}): python -m keras_fcn.check {data} says which and why"
    return what if counts else ""


def inspect_pairs(
    pairs: Pairs, advance: Callable[[], object] = lambda: None, with_thumbnails: bool = False
) -> Inspection:
    """Decodes and checks every pair once, on all cores; those in `known_files` are not decoded again.

    Args:
        pairs: The pairs to check.
        advance: Called after every pair, for a progress bar.
        with_thumbnails: Whether to make thumbnails of the images, too, and count runs of ids.
    """
    inspector = _Inspector(known_files(), pairs.read_label, with_thumbnails, pairs.channels)
    count, found = len(pairs), _Found(pairs)
    is_sound, sizes, channels = np.zeros(count, bool), np.zeros((count, 2), int), np.zeros(count, int)
    pixels = np.zeros((count, 256), np.int64, order="F")  # columns of ids that no label has take no memory
    findings, runs, thumbnails = list(pairs.findings), np.zeros(256, np.int64), [""] * count * with_thumbnails
    digests = [("", "")] * count
    for index, content in enumerate(_contents(pairs, inspector, advance)):
        if isinstance(content, DataError):
            findings.append(content)
            continue
        is_sound[index], sizes[index], channels[index] = True, content.photo.size, content.photo.channels
        for number, of_number, *of_runs in content.counts:
            pixels[index, number] = of_number
            runs[number] += sum(of_runs)
        digests[index] = content.digests
        if with_thumbnails:
            thumbnails[index] = content.thumbnail
        found.add(pairs.images[index], content)
    images, labels = (tuple(of_pair[place] for of_pair in digests) for place in (0, 1))
    findings += found.remarks()
    return Inspection(
        is_sound, sizes, pixels, tuple(findings), images, labels, channels, thumbnails_of(thumbnails), runs
    )


def _contents(pairs: Pairs, inspector: _Inspector, advance: Callable[[], object]) -> Iterator[_Content | DataError]:
    """Yields the content of each pair, or its fault, in order."""

    def inspect(image: Path, label: Path) -> _Content | DataError:
        try:
            return inspector.inspect(image, label)
        except DataError as error:
            return error
        finally:
            advance()

    def inspect_some(first: int) -> list[_Content | DataError]:
        some = slice(first, first + _TOGETHER)
        return list(map(inspect, pairs.images[some], pairs.labels[some]))

    with decoding_threads() as threads:
        for contents in threads.map(inspect_some, range(0, len(pairs), _TOGETHER)):
            yield from contents


class _Content(NamedTuple):
    """The content of a sound pair.

    Attributes:
        counts: Ids, each with its number of pixels and, if they were asked for, of runs.
        photo: The properties of the image.
        is_turned_alone: Whether the image has an EXIF orientation that its size does not show, and its mask has none.
        digests: The `content_digest` of the image and of the label file.
        thumbnail: That of the image, as text, if it was asked for.
    """

    counts: list[list[int]]
    photo: Inspected
    is_turned_alone: bool
    digests: tuple[str, str]
    thumbnail: str


class _Inspector:
    """Checks pairs.

    Args:
        known: What is known about their files.
        read_label: Decodes a label file.
        with_thumbnails: Whether to make thumbnails of the images, too, and count runs of ids.
        channels: The channels that are read of images.
    """

    def __init__(self, known: KnownFiles, read_label: LabelReader, with_thumbnails: bool, channels: Channels) -> None:
        self._known, self._read_label, self._with_thumbnails = known, read_label, with_thumbnails
        self._channels, self._of_images = channels, "" if channels.is_rgb else f" by {channels.text}"
        text = described(read_label)
        is_lasting = " at 0x" not in text  # the address of an object is another in the next process
        what = "label and runs" if with_thumbnails else "label"
        self._kind = f"{what} {hashlib.sha256(text.encode()).hexdigest()[:16]}" if is_lasting else ""

    def inspect(self, image: Path, label: Path) -> _Content:
        """Returns the content of a pair.

        Raises:
            DataError: If a file has a fault, or they are of different sizes.
        """
        known = self._known
        photo, thumbnail, of_image = self._photo(image)
        (shape, counts), of_label = known.find_in(label, self._kind, lambda: self._look_at_label(label))
        size = photo.size
        if [*shape] != [*size]:
            raise DataError(
                "size mismatch",
                f"{label}: is {shape[0]}x{shape[1]} pixels (height x width), but its image {image} is "
                f"{size[0]}x{size[1]}; export the mask at the image's own size{_turned(shape, size)}",
            )
        is_unseen = photo.orientation in (2, 3, 4) or (photo.orientation > 4 and size[0] == size[1])
        is_unseen = is_unseen and label.suffix.lower() in (*IMAGE_SUFFIXES, *MASK_SUFFIXES)
        is_turned_alone = is_unseen and known.find(label, "orientation", lambda: label_orientation(label)) == 1
        for path, digest in ((image, of_image), (label, of_label)):
            if not digest and path.exists():
                raise DataError("undecodable file", f"{path}: cannot be read to its end; see that its disk can be read")
        return _Content(counts, photo, is_turned_alone, (of_image, of_label), thumbnail)

    def _photo(self, image: Path) -> tuple[Inspected, str, str]:
        """Returns the properties of an image, its thumbnail, and the `content_digest` of the file."""
        if not self._with_thumbnails:
            kind = f"image{self._of_images}"
            found, digest = self._known.find_in(image, kind, lambda: _look_at_image(image, self._channels))
            return Inspected(*found), "", digest
        thumbnails: list[str] = []

        def look() -> list:
            found = _look_at_image(
                image, self._channels, lambda pixels, turn: thumbnails.append(thumbnail(pixels, turn))
            )
            return [found, *thumbnails]

        (found, *texts), digest = self._known.find_in(image, f"image and thumbnail{self._of_images}", look)
        return Inspected(*found), "".join(texts), digest

    def _look_at_label(self, label: Path) -> list:
        """Returns height and width, and the ids with their numbers of pixels and, if wanted, of runs."""
        with DECODING.taking(label_bytes(label)):
            ids = self._read_label(label)
            counts = np.array(Image.fromarray(ids).histogram())  # five times as fast as NumPy's bincount, in no memory
            runs = [np.maximum(_runs_in_rows(ids), _runs_in_rows(ids.T))] if self._with_thumbnails else []
        present = np.flatnonzero(counts).tolist()
        return [[*ids.shape], [[index, *(int(each[index]) for each in (counts, *runs))] for index in present]]


def _runs_in_rows(ids: np.ndarray) -> np.ndarray:
    """Returns the number of runs of each id in the rows of a label uint8 [H, W], int64 [256]."""
    starts = ids[:, 1:][ids[:, 1:] != ids[:, :-1]]
    return np.bincount(starts, minlength=256) + np.bincount(ids[:, 0], minlength=256)


def _look_at_image(image: Path, channels: Channels, look: Look | None = None) -> tuple:
    with DECODING.taking(decoded_bytes(image, channels)):
        return dataclasses.astuple(inspect_image(image, look, channels))


def _turned(label: Sequence[int], image: Sequence[int]) -> str:
    return ", turned as the image is shown" if [*label] == [*image][::-1] else ""


class _Found:
    """What is found in several sound pairs of a split, and worth a remark about all of them."""

    def __init__(self, pairs: Pairs) -> None:
        self._count, self._turned = len(pairs), list[Path]()
        self._brightest, self._several = dict[str, int](), dict[str, int]()

    def add(self, image: Path, content: _Content) -> None:
        """Adds a pair."""
        if content.photo.brightest:
            self._brightest[str(image)] = content.photo.brightest
        if content.photo.pictures > 1:
            self._several[str(image)] = content.photo.pictures
        if content.is_turned_alone:
            self._turned.append(image)

    def remarks(self) -> list[Remark]:
        """Returns the remarks about the pairs that were added."""
        dark, several, turned = dark_ones(self._brightest), self._several, self._turned
        remarks = [Remark(DARK, describe_dark(dark), len(dark))] if dark else []
        remarks += [Remark(SEVERAL, describe_several(several), len(several))] if several else []
        if turned:
            remarks.append(
                Remark(
                    "turned image",
                    f"{turned[0]}: has an EXIF orientation and its mask has none, so have {len(turned)} of "
                    f"{self._count} images, and sizes fit either way; masks must be upright as images are displayed: "
                    "look at some",
                    len(turned),
                )
            )
        return remarks
