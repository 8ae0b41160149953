"""The features of a frozen backbone, cached on disk: its decoder then trains many times faster."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.errors import UserError, argument
from keras_fcn.network.parts import Parts
from keras_fcn.pipeline.batches import PARALLEL_READS, shuffled_index
from keras_fcn.system.files import new_folder, remove_unfinished, write_json
from keras_fcn.system.progress import progress_bar

_ABOUT = "features.json"
_LABELS = "labels"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The features that fit into the cache.

    Attributes:
        count: Number of images.
        draws: Augmentations of each image; each pass takes the next one, then the first again.
        sample_bytes: Size of the features and the label of one augmented image.
        levels: Names of the features, in the decoder's order.
    """

    levels: tuple[str, ...]
    count: int
    draws: int
    sample_bytes: int

    @property
    def gigabytes(self) -> float:
        """Size of all of them, in 10^9 bytes."""
        return self.count * self.draws * self.sample_bytes / 1e9


def plan_cache(model: keras.Model, crop_size: tuple[int, int], count: int, gigabytes: float, passes: int) -> Plan:
    """Returns the plan of as many augmentations of each image as fit.

    Args:
        model: The network.
        crop_size: Height and width of the training crops, in pixels.
        count: Number of images.
        gigabytes: Greatest size of the cache, in 10^9 bytes.
        passes: Passes over the images while the backbone is frozen; no more augmentations are cached.

    Raises:
        UserError: If not even one augmentation of each image fits.
    """
    height, width = (-(-size // 32) * 32 for size in crop_size)
    parts = Parts(model)
    levels, shapes = tuple(parts.levels), parts.backbone.compute_output_shape((1, height, width, parts.channels.count))
    numbers = sum(int(np.prod(shapes[level][1:])) for level in levels)
    sample_bytes = 4 * numbers + crop_size[0] * crop_size[1]
    draws = min(int(gigabytes * 1e9 / (count * sample_bytes)), passes)
    if draws < 1:
        raise UserError(
            f"{argument('cache_features', gigabytes)}: the features of {count} images take "
            f"{count * sample_bytes / 1e9:.1f} GB; raise it, or take a smaller {argument('crop_size')}"
        )
    return Plan(levels, count, draws, sample_bytes)


class FeatureCache:
    """Features and labels of augmented images in memory-mapped files.

    Args:
        folder: The folder of the files.
        plan: The features to cache.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan, self._levels = folder, plan, plan.levels

    def fill(
        self,
        features_of: Callable[[tf.Tensor], dict[str, tf.Tensor]],
        batches: tf.data.Dataset,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Computes all features, unless they already exist.

        Args:
            features_of: Returns the backbone's features of images uint8 [N, H, W, 3].
            batches: Batches of images and labels: augmentation after augmentation, in each image after image.
            check: Called after each batch; what it raises ends the work, of which nothing is left then.

        Raises:
            UserError: If the disk is full.
        """
        about = {**dataclasses.asdict(self._plan), "levels": list(self._levels)}
        if (self._folder / _ABOUT).is_file() and json.loads(
            (self._folder / _ABOUT).read_text(encoding="utf-8")
        ) == about:
            return
        self.remove()
        try:
            with new_folder(self._folder) as folder:
                self._write(folder, features_of, batches, check)
                write_json(folder / _ABOUT, about)
        except OSError as error:
            raise UserError(
                f"{self._folder}: cannot hold {self._plan.gigabytes:.1f} GB of features ({error.strerror}); free disk "
                f"space, or lower {argument('cache_features')}"
            ) from None

    def _write(self, folder: Path, features_of: Callable, batches: tf.data.Dataset, check: Callable[[], None]) -> None:
        """Appends batch after batch: on a full disk this raises an error, where writing to mapped memory crashes."""
        total = self._plan.count * self._plan.draws
        with contextlib.ExitStack() as stack:
            files = {name: stack.enter_context(_npy(folder, name).open("wb")) for name in (*self._levels, _LABELS)}
            bar = stack.enter_context(progress_bar(total, "image", "features"))
            for images, labels in batches:
                features = {**features_of(images), _LABELS: labels}
                for name, file in files.items():
                    value = np.ascontiguousarray(features[name])
                    if file.tell() == 0:
                        header = {"descr": value.dtype.str, "fortran_order": False, "shape": (total, *value.shape[1:])}
                        np.lib.format.write_array_header_1_0(file, header)
                    file.write(value.data)
                bar.update(len(images))
                check()

    def dataset(self, batch_size: int, seed: int, first_index: int) -> tf.data.Dataset:
        """Streams features and labels without end, in the order in which `training_dataset` streams pairs.

        Args:
            batch_size: Images per batch.
            seed: Seed of the order.
            first_index: Index of the first image in the stream.

        Returns:
            Batches of a tuple of features float32 [batch_size, h, w, C], and labels uint8 [batch_size, H, W].
        """
        files = [np.load(_npy(self._folder, name), mmap_mode="r") for name in (*self._levels, _LABELS)]
        count, draws = self._plan.count, self._plan.draws

        @tf.autograph.experimental.do_not_convert
        def take(rows: np.ndarray) -> list[np.ndarray]:
            return [file[rows] for file in files]

        @tf.autograph.experimental.do_not_convert
        def row(index: tf.Tensor) -> tf.Tensor:
            return index // count % draws * count + shuffled_index(index, count, seed)

        @tf.autograph.experimental.do_not_convert
        def read(rows: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
            values = tf.numpy_function(take, [rows], [tf.as_dtype(file.dtype) for file in files])
            for value, file in zip(values, files):
                value.set_shape([batch_size, *file.shape[1:]])
            return tuple(values[:-1]), values[-1]

        rows = tf.data.Dataset.range(first_index, tf.int64.max).map(row)
        batches = rows.batch(batch_size, drop_remainder=True)
        return batches.map(read, num_parallel_calls=PARALLEL_READS).prefetch(2)

    def remove(self) -> None:
        """Deletes the files, and the half-written ones of a killed run."""
        shutil.rmtree(self._folder, ignore_errors=True)
        remove_unfinished(self._folder.parent, {self._folder.name})


def _npy(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"
