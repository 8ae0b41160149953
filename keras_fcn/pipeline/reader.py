"""Reading pairs inside a `tf.data` graph."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.datasets.labels.legend import NO_CLASS
from keras_fcn.datasets.labels.reading import stored_values
from keras_fcn.errors import DataError
from keras_fcn.images.photos import is_plain_jpeg, read_image
from keras_fcn.images.windows import is_window, read_together, read_window
from keras_fcn.pipeline.label_png import START, Kind, decode_greys, decode_indices, kind_of
from keras_fcn.pipeline.source import Pair, Source, whole
from keras_fcn.runs.known_files import remembered_files

Decoder = Callable[[tf.Tensor], tf.Tensor]
"""Decodes the bytes of a file, a string scalar."""

PAIR_FAULT = "unreadable pair"
_NO_LABEL = np.zeros((0, 0), np.uint8)
"""Stands before a pair's index in TensorFlow's error."""


class Reader:
    """Reads pairs inside a `tf.data` graph.

    TensorFlow decodes most files exactly as Pillow does, and without Python's global lock. The headers, which the
    constructor reads, tell for which files this holds; Pillow and others decode the rest, and what has changed since.

    Args:
        pairs: The pairs to read.

    Attributes:
        kinds: The kinds of the label files, each once.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        self._none = np.zeros((0, 0, pairs.channels.count), np.uint8)
        self._values = values = stored_values(pairs.read_label)
        of_images = _looked_at(pairs.images, "plain JPEG", is_plain_jpeg, pairs.channels.is_rgb)
        kind = functools.partial(
            kind_of,
            classes=pairs.stored_classes or pairs.classes,
            by_color=pairs.palette_means_colors,
            by_value=values is not None,
            by_index=values is not None and values.of_palettes,
        )
        own_labels = [None if label == image else label for image, label in zip(pairs.images, pairs.labels)]
        name = f"kind {hashlib.sha256(repr(kind.keywords).encode()).hexdigest()[:16]}"
        of_labels = _looked_at(own_labels, name, kind)
        files = zip(pairs.images, pairs.labels)
        self._paths = tf.constant([[os.fsencode(path) for path in pair] for pair in files])
        are_jpeg, image_way = np.unique(of_images[:, 0], return_inverse=True)
        kinds, label_way = np.unique(of_labels[:, 0], return_inverse=True)
        self._are_jpeg, self.kinds = are_jpeg.astype(bool).tolist(), [*map(Kind, kinds.tolist())]
        self._image_way, self._label_way = tf.constant(image_way, tf.int32), tf.constant(label_way, tf.int32)
        self._fingerprints = tf.constant(np.stack([of_images[:, 1], of_labels[:, 1]], axis=1))
        sizes = {path: read_window(path).size for path in dict.fromkeys(pairs.images) if is_window(path)}
        self._sizes = tf.constant([sizes.get(path, (0, 0)) for path in pairs.images]) if sizes else None

    def __call__(self, index: tf.Tensor) -> Pair:
        """Decodes pair `index` to an image uint8 [H, W, channels] and its label uint8 [H, W]; their sizes are equal."""
        read_image, read_label = (functools.partial(read, index) for read in (self._read_image, self._read_label))
        of_images = {False: read_image, True: functools.partial(self._decoded, index, 0, _decode_jpeg, read_image)}
        of_labels = {Kind.OTHER: read_label}
        for kind, decode in _DECODERS.items():
            to_ids = functools.partial(self._ids if kind is Kind.IDS else self._ids_of_values, decode)
            of_labels[kind] = functools.partial(self._decoded, index, 1, to_ids, read_label)
        # Only the ways that are taken become part of the graph.
        image = tf.switch_case(self._image_way[index], [of_images[is_jpeg] for is_jpeg in self._are_jpeg])
        label = tf.switch_case(self._label_way[index], [of_labels[kind] for kind in self.kinds])
        return self._checked(index, image, label)

    def source(self, index: tf.Tensor) -> Source:
        """Returns pair `index` decoded, or, of a window, where its parts are read from."""
        if self._sizes is None:
            return whole(*self(index))
        size = self._sizes[index]
        is_large = size[0] > 0
        decoded = tf.cond(is_large, self._nothing, lambda: self(index))

        def part(start: tf.Tensor, size: tf.Tensor) -> Pair:
            box = tf.concat([start, start + size], axis=0)
            read = functools.partial(self._read_part, index, box)
            return self._checked(index, *tf.cond(is_large, read, lambda: whole(*decoded).part(start, size)))

        return Source(tf.where(is_large, size, tf.shape(decoded[1])), part, is_large)

    def _decoded(
        self,
        index: tf.Tensor,
        place: int,
        decode: Decoder,
        otherwise: Callable[[], tf.Tensor],
    ) -> tf.Tensor:
        """Decodes an image, at place 0, or a label, at 1, or reads it in another way if the file has changed."""
        file = tf.io.read_file(self._paths[index, place])
        start = tf.strings.join([tf.strings.substr(file, 0, START), tf.as_string(tf.strings.length(file))])
        return tf.cond(_hash(start) == self._fingerprints[index, place], lambda: decode(file), otherwise)

    def _ids(self, decode: Decoder, file: tf.Tensor) -> tf.Tensor:
        return self._looked_up(decode(file), np.array(self._pairs.label_ids or range(256), np.uint8))

    def _ids_of_values(self, decode: Decoder, file: tf.Tensor) -> tf.Tensor:
        """Returns class ids; those of values that are no class are too great, by which the graph fails."""
        assert self._values is not None  # or no label would be of such a kind
        values = decode(file)
        return self._looked_up(values, self._values.ids[: values.dtype.max + 1])

    def _looked_up(self, values: tf.Tensor, ids: np.ndarray) -> tf.Tensor:
        own = np.arange(len(ids))
        is_left = (ids == own) | ((ids == NO_CLASS) & (own >= self._pairs.classes.num_classes))
        if values.dtype == tf.uint8 and is_left.all():  # as most are: a look-up takes as long as decoding
            return values
        return tf.gather(tf.constant(ids), tf.cast(values, tf.int32))

    def _read_label(self, index: tf.Tensor) -> tf.Tensor:
        return _in_python(lambda index: self._pairs.read_label(self._pairs.labels[index]), [index], _NO_LABEL)

    def _read_part(self, index: tf.Tensor, box: tf.Tensor) -> Pair:
        """Reads a part of a window: first row and column, last row and column + 1, int32 [4]."""

        def read(index: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
            return read_together([self._pairs.images[index], self._pairs.labels[index]], box.tolist())

        image, label = _in_python(read, [index, box], [self._none, _NO_LABEL])
        return image, label

    def _read_image(self, index: tf.Tensor) -> tf.Tensor:
        images, channels = self._pairs.images, self._pairs.channels
        return _in_python(lambda index: read_image(images[index], channels), [index], self._none)

    def refused(self) -> Path | None:
        """Returns the first file that TensorFlow should decode and does not, though Pillow may; None if it does all."""
        for index, paths in enumerate(zip(self._pairs.images, self._pairs.labels)):
            of_image = _decode_jpeg if self._are_jpeg[self._image_way[index]] else None
            decoders: tuple[Decoder | None, ...] = (of_image, _DECODERS.get(self.kinds[self._label_way[index]]))
            for path, decode in zip(paths, decoders):
                try:
                    if decode is not None:
                        decode(tf.io.read_file(os.fsencode(path)))
                except tf.errors.InvalidArgumentError:
                    return path
        return None

    def _nothing(self) -> Pair:
        return tf.constant(self._none), tf.zeros([0, 0], tf.uint8)

    def _checked(self, index: tf.Tensor, image: tf.Tensor, label: tf.Tensor) -> Pair:
        """Returns an image and its label; the graph fails if their sizes differ, or they could not be read."""
        image.set_shape([None, None, self._none.shape[2]])
        label.set_shape([None, None])
        fits = tf.reduce_all(tf.shape(image)[:2] == tf.shape(label)) & (tf.size(label) > 0)
        with tf.control_dependencies([tf.debugging.Assert(fits, [PAIR_FAULT, tf.cast(index, tf.int32)])]):
            return tf.identity(image), tf.identity(label)


_DECODERS: dict[Kind, Decoder] = {
    Kind.IDS: decode_indices,
    Kind.INDICES: decode_indices,
    Kind.GREYS: decode_greys,
    Kind.GREYS_16: functools.partial(decode_greys, dtype=tf.uint16),
}
"""What decodes a label file of each kind."""


def _in_python(read: Callable, inputs: list[tf.Tensor], nothing: np.ndarray | list[np.ndarray]) -> Any:
    """Returns what Python reads, or `nothing` if it has a fault, which `explain_failure` reports."""

    @tf.autograph.experimental.do_not_convert  # plain Python, which autograph would make slower
    def tried(*values: np.ndarray) -> np.ndarray | list[np.ndarray]:
        try:
            return read(*values)
        except DataError:  # Python must not raise in a thread of TensorFlow
            return nothing

    return tf.numpy_function(tried, inputs, [tf.uint8] * len(nothing) if isinstance(nothing, list) else tf.uint8)


def _decode_jpeg(file: tf.Tensor) -> tf.Tensor:
    # INTEGER_ACCURATE gives the same pixels as Pillow; the default differs by up to 5 levels.
    return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")


def _looked_at(
    files: Sequence[Path | None], name: str, look: Callable[[Path], int], is_wanted: bool = True
) -> np.ndarray:
    """Returns the kind of each file, and a hash of its size and its first bytes, int64 [N, 2].

    Those in `remembered_files` are not opened again.

    Args:
        files: The files; of None and of windows, the kind is 0.
        name: The name under which both are remembered.
        look: Returns the kind of a file; 0 if it is read by Python, so that its hash does not matter.
        is_wanted: Whether there are other kinds than 0.
    """
    known, found = remembered_files(), np.zeros((len(files), 2), np.int64)
    missing: list[tuple[int, Path]] = []
    for index, path in enumerate(files if is_wanted else ()):
        if path is None or is_window(path):
            continue
        fact = None if known is None else known.get(path, name)
        if fact is None:
            missing.append((index, path))
        else:
            found[index] = fact
    for first in range(0, len(missing), 2000):  # not all at once: 10,000 pairs would take 80 MB
        some = missing[first : first + 2000]
        kinds = [int(look(path)) for _, path in some]
        hashes = _hash([_start(path) if kind else b"" for (_, path), kind in zip(some, kinds)]).numpy().tolist()
        for (index, path), *fact in zip(some, kinds, hashes):
            found[index] = fact if known is None else known.put(path, name, fact)
    return found


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(START) + str(os.fstat(file.fileno()).st_size).encode()


def _hash(texts) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(texts, tf.int64.max)
