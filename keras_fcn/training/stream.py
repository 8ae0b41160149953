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
from keras_fcn.runs.config import TrainConfig
from keras_fcn.training.distributed.devices import deal_out
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.feature_cache import FeatureCache, Plan, plan_cache
from keras_fcn.training.step.step import Batch


class TrainingStream:
    """Deals out batches, from any step of a run on, to its devices.

    Args:
        config: Seed, sizes, augmentation, and whether features are kept.
        pairs: The photographs.
        crop_size: Height and width of the samples, in pixels.
        strategy: The devices.

    Attributes:
        augmentation: What is done to each photograph.
        images_per_step: Samples of a step, over all devices and accumulated batches.
        steps_per_epoch: Steps in which each photograph comes once, rounded up.
        steps: Those of all epochs.
        plan: Which features are kept, after `keep_features`.
    """

    def __init__(
        self, config: TrainConfig, pairs: Pairs, crop_size: tuple[int, int], strategy: tf.distribute.Strategy
    ) -> None:
        self._config, self._pairs, self._strategy = config, pairs, strategy
        self._workers = Workers(strategy)
        self.augmentation = Augmentation(crop_size, config.scale, config.flip, config.rotate, config.color_jitter)
        self.images_per_step = config.batch_size * config.accumulate
        self.steps_per_epoch = math.ceil(len(pairs) / self.images_per_step)
        self.steps = config.epochs * self.steps_per_epoch
        self.plan: Plan | None = None
        self._cache: FeatureCache | None = None

    def keep_features(self, trained: keras.Model) -> None:
        """Plans what to keep of a frozen backbone's features, if the settings ask for it.

        Raises:
            UserError: If there is no room for those of each photograph once.
        """
        config, count = self._config, len(self._pairs)
        if config.cache_features:
            passes = math.ceil(self._frozen_steps * self.images_per_step / count)
            size = self.augmentation.crop_size
            self.plan = plan_cache(trained, size, count, config.cache_features, passes)

    def open(self, step: int, model: keras.Model, features: Path) -> None:
        """Starts, or goes on, at a step; computes the features first, if they are to be kept and still needed.

        Args:
            step: Steps made so far.
            model: The network, whose backbone the features are of.
            features: The folder to keep them in.

        Raises:
            UserError: If the disk is full.
        """
        if self.plan and step < self._frozen_steps:
            config, parts = self._config, Parts(model)
            self._cache = FeatureCache(features, self.plan)
            self._cache.fill(
                tf.function(lambda images: parts.features(tf.cast(images, tf.float32))),
                augmented_dataset(self._pairs, self.augmentation, config.batch_size, config.seed, self.plan.draws),
            )
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
            return [next(self._batches) for _ in range(self._config.accumulate)]

    def file_names(self, step: int) -> list[str]:
        """Returns the names of the photographs in step number `step`, counted from 1."""
        count, first = len(self._pairs), (step - 1) * self.images_per_step
        samples = (tf.constant(sample, tf.int64) for sample in range(first, first + self.images_per_step))
        return [self._pairs.images[int(shuffled_index(sample, count, self._config.seed))].name for sample in samples]

    @property
    def _frozen_steps(self) -> int:
        return self._config.freeze_backbone * self.steps_per_epoch

    def _open(self, step: int):
        """Returns the iterator over the batches from a step on, dealt out to the devices."""
        config, first_sample = self._config, step * self.images_per_step
        if self._workers.count > 1:
            return iter(self._strategy.distribute_datasets_from_function(lambda _: self._share(first_sample)))
        if self._cache:
            batches = self._cache.dataset(config.batch_size, config.seed, first_sample)
        else:
            batches = training_dataset(self._pairs, self.augmentation, config.batch_size, config.seed, first_sample)
        return deal_out(batches, self._strategy)

    def _share(self, first: int) -> tf.data.Dataset:
        """Returns what the devices of this worker take, each a batch in turn: every n-th sample for n workers."""
        config, workers = self._config, self._workers
        size = config.batch_size // self._strategy.num_replicas_in_sync
        return training_dataset(self._pairs, self.augmentation, size, config.seed, first + workers.index, workers.count)
