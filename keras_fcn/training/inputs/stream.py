"""The batches of a run: augmented images or, while the backbone is frozen, their cached features."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.datasets.balance.rare import RarePositions
from keras_fcn.network.parts import Parts
from keras_fcn.pipeline.augmentation import Augmentation
from keras_fcn.pipeline.batches import augmented_dataset, explain_failure, shuffled_index, training_dataset
from keras_fcn.pipeline.reader import Reader
from keras_fcn.pipeline.unlabelled import with_unlabelled
from keras_fcn.training.distributed.devices import distribute
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.inputs.feature_cache import FeatureCache, Plan, plan_cache
from keras_fcn.training.step.step import Batch

ALONE = 1 << 32
"""Added to the seed, for the images without labels: others than any seed of a run gives."""


class TrainingStream:
    """Distributes batches, from any step of a run on, to its devices.

    Args:
        pairs: The training data.
        augmentation: The augmentation of each image.
        strategy: The devices.
        seed: Seed of the order and the augmentation.
        batch_size: Images of a batch, over all devices.
        accumulate: Batches of a step.
        frozen_epochs: Epochs in which the backbone is frozen.
        rare: Positions of rare classes, around which a part of the crops is drawn; none if None.
        unlabelled: Images without labels, as many of which come with every batch; none if None.

    Attributes:
        images_per_step: Images of a step, over all devices and accumulated batches.
        steps_per_epoch: Steps of one pass over the images, rounded up.
        plan: The features to cache, after `cache_features`.
    """

    def __init__(
        self,
        pairs: Pairs,
        augmentation: Augmentation,
        strategy: tf.distribute.Strategy,
        seed: int,
        batch_size: int,
        accumulate: int = 1,
        frozen_epochs: int = 0,
        rare: RarePositions | None = None,
        unlabelled: Pairs | None = None,
    ) -> None:
        self._pairs, self.augmentation, self._strategy = pairs, augmentation, strategy
        self._workers = Workers(strategy)
        self._seed, self._batch_size, self._accumulate, self.frozen_epochs = seed, batch_size, accumulate, frozen_epochs
        self._rare, self._unlabelled = rare, unlabelled
        self._all = (pairs,) if unlabelled is None else (pairs, unlabelled)
        self.images_per_step = batch_size * accumulate
        self.steps_per_epoch = math.ceil(len(pairs) / self.images_per_step)
        self.plan: Plan | None = None
        self._cache: FeatureCache | None = None
        self._readers: list[Reader | None] = [None, None]

    def prepare(self) -> None:
        """Looks at the starts of all files now, rather than in `open`, while what is found is remembered."""
        self._readers = [Reader(self._pairs), None if self._unlabelled is None else Reader(self._unlabelled)]

    def cache_features(self, model: keras.Model, gigabytes: float) -> None:
        """Plans the cache of a frozen backbone's features.

        Args:
            model: The network.
            gigabytes: Greatest size of the cache, in 10^9 bytes.

        Raises:
            UserError: If not even one augmentation of each image fits.
        """
        count, parts = len(self._pairs), Parts(model)
        passes = math.ceil(self._frozen_steps * self.images_per_step / count)
        self.plan = plan_cache(model, self.augmentation.crop_size, count, gigabytes, passes)
        self._features = tf.function(lambda images: parts.features(tf.cast(images, tf.float32)), autograph=False)

    def shorten(self, steps: int) -> None:
        """Takes so many steps' images, of all parts and some perhaps twice, for all there are, and their features once.

        By so few is measured what the features of all take; call it before `open`.
        """
        indices = np.linspace(0, len(self._pairs) - 1, steps * self.images_per_step).round().astype(int)
        self._pairs = self._pairs.repeated(np.bincount(indices, minlength=len(self._pairs)))
        self._readers[0] = None
        if self._rare is not None:
            self._rare = dataclasses.replace(self._rare, ranges=self._rare.ranges[indices])
        self.steps_per_epoch = steps
        if self.plan:
            self.plan = dataclasses.replace(self.plan, count=len(indices), draws=1)

    def open(self, step: int, features: Path, check: Callable[[], None] = lambda: None) -> None:
        """Starts or resumes at a step; computes the features first if they are to be cached and still needed.

        Args:
            step: Steps made so far.
            features: The folder of the cache.
            check: Called between the batches whose features are computed; what it raises ends that.

        Raises:
            UserError: If the disk is full.
        """
        if self.plan and step < self._frozen_steps:
            self._cache = FeatureCache(features, self.plan)
            batches = augmented_dataset(
                self._pairs, self.augmentation, self._batch_size, self._seed, self.plan.draws, self._rare,
                self._readers[0],
            )  # fmt: skip
            with explain_failure(self._pairs):
                self._cache.fill(self._features, batches, check)
        elif self.plan:  # a run that was stopped when they were needed no more has kept them
            FeatureCache(features, self.plan).remove()
        self._batches = self._open(step)

    def next(self, step: int) -> list[Batch]:
        """Returns the batches of the next step, as many as gradients are accumulated over.

        Args:
            step: Steps made so far.

        Raises:
            UserError: If a pair cannot be read.
        """
        if self._cache and step == self._frozen_steps:
            self._cache.remove()
            self._cache = None
            self._batches = self._open(step)
        with explain_failure(*self._all):
            return [next(self._batches) for _ in range(self._accumulate)]

    def file_names(self, step: int) -> list[str]:
        """Returns the names of the images in step number `step`, counted from 1."""
        count, first = len(self._pairs), (step - 1) * self.images_per_step
        indices = (tf.constant(index, tf.int64) for index in range(first, first + self.images_per_step))
        return [self._pairs.images[int(shuffled_index(index, count, self._seed))].name for index in indices]

    @property
    def _frozen_steps(self) -> int:
        return self.frozen_epochs * self.steps_per_epoch

    def _open(self, step: int):
        """Returns the iterator over the batches from a step on, distributed to the devices."""
        first_index = step * self.images_per_step
        if self._workers.count > 1:
            return iter(self._strategy.distribute_datasets_from_function(lambda _: self._shard(first_index)))
        if self._cache:
            batches = self._cache.dataset(self._batch_size, self._seed, first_index)
        else:
            batches = self._stream(self._batch_size, first_index)
        return distribute(batches, self._strategy)

    def _shard(self, first: int) -> tf.data.Dataset:
        """Returns this worker's shard, every n-th image for n workers, in batches of one device."""
        workers, size = self._workers, self._batch_size // self._strategy.num_replicas_in_sync
        return self._stream(size, first + workers.index, workers.count)

    def _stream(self, batch_size: int, first: int, every: int = 1) -> tf.data.Dataset:
        seed, augmentation = self._seed, self.augmentation
        of_labelled, of_others = self._readers
        labelled = training_dataset(self._pairs, augmentation, batch_size, seed, first, every, self._rare, of_labelled)
        if self._unlabelled is None:
            return labelled
        plain = dataclasses.replace(augmentation, color_jitter=0.0)
        alone = training_dataset(self._unlabelled, plain, batch_size, seed + ALONE, first, every, reader=of_others)
        return with_unlabelled(labelled, alone, batch_size, seed + ALONE, first, every)
