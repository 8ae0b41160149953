"""The batches that a run trains on: augmented photographs or, while the backbone is frozen, features kept of them."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.network.parts import Parts
from keras_fcn.pipeline.augmentation import Augmentation
from keras_fcn.pipeline.batches import augmented_dataset, explain_failure, shuffled_index, training_dataset
from keras_fcn.training.distributed.devices import deal_out
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.inputs.feature_cache import FeatureCache, Plan, plan_cache
from keras_fcn.training.step.step import Batch


class TrainingStream:
    """Deals out batches, from any step of a run on, to its devices.

    Args:
        pairs: The photographs.
        augmentation: What is done to each photograph.
        strategy: The devices.
        seed: Of the order and the augmentation.
        batch_size: Samples of a batch, over all devices.
        accumulate: Batches of a step.
        frozen_epochs: Epochs in which the backbone is frozen.

    Attributes:
        images_per_step: Samples of a step, over all devices and accumulated batches.
        steps_per_epoch: Steps in which each photograph comes once, rounded up.
        plan: Which features are kept, after `keep_features`.
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
    ) -> None:
        self._pairs, self.augmentation, self._strategy = pairs, augmentation, strategy
        self._workers = Workers(strategy)
        self._seed, self._batch_size, self._accumulate, self.frozen_epochs = seed, batch_size, accumulate, frozen_epochs
        self.images_per_step = batch_size * accumulate
        self.steps_per_epoch = math.ceil(len(pairs) / self.images_per_step)
        self.plan: Plan | None = None
        self._cache: FeatureCache | None = None

    def keep_features(self, model: keras.Model, gigabytes: float) -> None:
        """Plans what to keep of a frozen backbone's features.

        Args:
            model: The network.
            gigabytes: How much may be kept, in 10^9 bytes.

        Raises:
            UserError: If there is no room for those of each photograph once.
        """
        count, parts = len(self._pairs), Parts(model)
        passes = math.ceil(self._frozen_steps * self.images_per_step / count)
        self.plan = plan_cache(model, self.augmentation.crop_size, count, gigabytes, passes)
        self._features = tf.function(lambda images: parts.features(tf.cast(images, tf.float32)))

    def open(self, step: int, features: Path) -> None:
        """Starts, or resumes, at a step; computes the features first, if they are to be kept and still needed.

        Args:
            step: Steps made so far.
            features: The folder to keep them in.

        Raises:
            UserError: If the disk is full.
        """
        if self.plan and step < self._frozen_steps:
            self._cache = FeatureCache(features, self.plan)
            samples = augmented_dataset(self._pairs, self.augmentation, self._batch_size, self._seed, self.plan.draws)
            self._cache.fill(self._features, samples)
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
        with explain_failure(self._pairs):
            return [next(self._batches) for _ in range(self._accumulate)]

    def file_names(self, step: int) -> list[str]:
        """Returns the names of the photographs in step number `step`, counted from 1."""
        count, first = len(self._pairs), (step - 1) * self.images_per_step
        samples = (tf.constant(sample, tf.int64) for sample in range(first, first + self.images_per_step))
        return [self._pairs.images[int(shuffled_index(sample, count, self._seed))].name for sample in samples]

    @property
    def _frozen_steps(self) -> int:
        return self.frozen_epochs * self.steps_per_epoch

    def _open(self, step: int):
        """Returns the iterator over the batches from a step on, dealt out to the devices."""
        first_sample = step * self.images_per_step
        if self._workers.count > 1:
            return iter(self._strategy.distribute_datasets_from_function(lambda _: self._share(first_sample)))
        if self._cache:
            batches = self._cache.dataset(self._batch_size, self._seed, first_sample)
        else:
            batches = training_dataset(self._pairs, self.augmentation, self._batch_size, self._seed, first_sample)
        return deal_out(batches, self._strategy)

    def _share(self, first: int) -> tf.data.Dataset:
        """Returns what the devices of this worker take, each a batch in turn: every n-th sample for n workers."""
        workers, size = self._workers, self._batch_size // self._strategy.num_replicas_in_sync
        return training_dataset(self._pairs, self.augmentation, size, self._seed, first + workers.index, workers.count)
