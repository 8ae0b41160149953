"""Validation of every pair of a data set before training."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

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

    def inspect(image: Path, label: Path) -> _Content | DataError:
        try:
            return inspector.inspect(image, label)
        except DataError as error:
            return error
        finally:
            advance()

    with decoding_threads() as threads:
        results = list(threads.map(inspect, pairs.images, pairs.labels))
    is_sound = np.array([not isinstance(result, DataError) for result in results], bool)
    sizes, pixels = np.zeros((len(pairs), 2), int), np.zeros((len(pairs), 256), np.int64)
    findings, contents, runs = list(pairs.findings), dict[int, _Content](), np.zeros(256, np.int64)
    for index, result in enumerate(results):
        if isinstance(result, DataError):
            findings.append(result)
        else:
            sizes[index], pixels[index], contents[index] = result.photo.size, result.pixels, result
            for number, count in result.runs:
                runs[number] += count
    findings += _remarks(pairs, contents)
    digests = [contents[index].digests if index in contents else ("", "") for index in range(len(pairs))]
    images, labels = (tuple(of_pair[place] for of_pair in digests) for place in (0, 1))
    channels = np.array([contents[index].photo.channels if index in contents else 0 for index in range(len(pairs))])
    inspection = Inspection(is_sound, sizes, pixels, tuple(findings), images, labels, channels)
    if not with_thumbnails:
        return inspection
    texts = [contents[index].thumbnail if index in contents else "" for index in range(len(pairs))]
    return dataclasses.replace(inspection, thumbnails=thumbnails_of(texts), runs=runs)


@dataclasses.dataclass(frozen=True)
class _Content:
    """The content of a sound pair.

    Attributes:
        pixels: Pixel counts of each id, int64 [256].
        photo: The properties of the image.
        is_turned_alone: Whether the image has an EXIF orientation that its size does not show, and its mask has none.
        digests: The `content_digest` of the image and of the label file.
        thumbnail: That of the image, as text, if it was asked for.
        runs: Ids, each with its runs, if they were asked for.
    """

    pixels: np.ndarray
    photo: Inspected
    is_turned_alone: bool
    digests: tuple[str, str]
    thumbnail: str
    runs: list[tuple[int, int]]


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
        photo, thumbnail = self._photo(image)
        size, (shape, counts) = photo.size, known.find(label, self._kind, lambda: self._look_at_label(label))
        if [*shape] != [*size]:
            raise DataError(
                "size mismatch",
                f"{label}: is {shape[0]}x{shape[1]} pixels (height x width), but its image {image} is "
                f"{size[0]}x{size[1]}; export the mask at the image's own size{_turned(shape, size)}",
            )
        is_unseen = photo.orientation in (2, 3, 4) or (photo.orientation > 4 and size[0] == size[1])
        is_unseen = is_unseen and label.suffix.lower() in (*IMAGE_SUFFIXES, *MASK_SUFFIXES)
        is_turned_alone = is_unseen and known.find(label, "orientation", lambda: label_orientation(label)) == 1
        pixels = np.zeros(256, np.int64)
        for index, count, *_ in counts:
            pixels[index] = count
        runs = [(index, of_id[0]) for index, _, *of_id in counts if of_id]
        return _Content(pixels, photo, is_turned_alone, (self._digest(image), self._digest(label)), thumbnail, runs)

    def _digest(self, path: Path) -> str:
        """Returns the `content_digest` of a file; raises DataError if one that is there cannot be read to its end."""
        digest = self._known.digest(path)
        if not digest and path.exists():
            raise DataError("undecodable file", f"{path}: cannot be read to its end; see that its disk can be read")
        return digest

    def _photo(self, image: Path) -> tuple[Inspected, str]:
        """Returns the properties of an image, and its thumbnail."""
        if not self._with_thumbnails:
            kind = f"image{self._of_images}"
            return Inspected(*self._known.find(image, kind, lambda: _look_at_image(image, self._channels))), ""
        thumbnails: list[str] = []

        def look() -> list:
            found = _look_at_image(
                image, self._channels, lambda pixels, turn: thumbnails.append(thumbnail(pixels, turn))
            )
            return [found, *thumbnails]

        found, *texts = self._known.find(image, f"image and thumbnail{self._of_images}", look)
        return Inspected(*found), "".join(texts)

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


def _remarks(pairs: Pairs, contents: dict[int, _Content]) -> list[Remark]:
    """Returns remarks about all sound pairs, by their index, together."""
    images, photos = pairs.images, {str(pairs.images[index]): content.photo for index, content in contents.items()}
    dark = dark_ones({name: photo.brightest for name, photo in photos.items() if photo.brightest})
    remarks = [Remark(DARK, describe_dark(dark), len(dark))] if dark else []
    several = {name: photo.pictures for name, photo in photos.items() if photo.pictures > 1}
    remarks += [Remark(SEVERAL, describe_several(several), len(several))] if several else []
    turned = [images[index] for index, content in contents.items() if content.is_turned_alone]
    if turned:
        remarks.append(
            Remark(
                "turned image",
                f"{turned[0]}: has an EXIF orientation and its mask has none, so have {len(turned)} of {len(pairs)} "
                "images, and sizes fit either way; masks must be upright as images are displayed: look at some",
                len(turned),
            )
        )
    return remarks
