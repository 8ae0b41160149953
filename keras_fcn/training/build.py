"""Builds every part of a training once from its settings, which no other module takes apart."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.datasets.balance.rare import RarePositions, rare_positions
from keras_fcn.datasets.windows import Cut, cut_large
from keras_fcn.errors import UserError, argument
from keras_fcn.evaluation.watch import Watch, build_watch, watched_classes
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.large import WholeImages
from keras_fcn.network.backbones import Backbone
from keras_fcn.network.fcn import build_fcn, with_input_scale
from keras_fcn.network.parts import Parts
from keras_fcn.pipeline.augmentation import Augment, Augmentation
from keras_fcn.pipeline.batches import explain_failure, training_dataset
from keras_fcn.runs.config import TrainConfig
from keras_fcn.training.distributed.devices import (
    build_strategy,
    describe_devices,
    layer_precision,
    uses_bfloat16,
    uses_xla,
)
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.initial_weights import LoadedWeights, load_backbone_weights, load_matching_layers
from keras_fcn.training.inputs.data import TrainingData, open_training_data
from keras_fcn.training.inputs.stream import TrainingStream
from keras_fcn.training.losses import SegmentationLoss, Term
from keras_fcn.training.step.batch_norm import prepare_batch_norms, restore_statistics
from keras_fcn.training.step.optimizers import build_parameter_groups
from keras_fcn.training.step.step import TrainingStep
from keras_fcn.training.step.weight_average import WeightAverage
from keras_fcn.training.trainer import Training

STATISTICS_CROPS = 64
"""Training crops from which the statistics that folded weights lack are estimated."""


def build_data(
    config: TrainConfig,
    report: Callable[[str], None],
    reading: str = "",
    require_classes: Callable[[ClassTable], None] = lambda classes: None,
) -> TrainingData:
    """Opens the data that the settings name; see `open_training_data`."""
    crop_size = config.augmentation.crop_size

    def require(classes: ClassTable) -> None:
        require_classes(classes)
        watched_classes(config.run.watch, classes.names)

    return open_training_data(config.dataset, config.objective.balance, crop_size, report, reading, require)


@dataclasses.dataclass(frozen=True)
class OwnParts:
    """Parts of one's own, handed in from Python.

    Attributes:
        backbone: Replaces the one that the settings name.
        loss: Names and functions whose sum is minimized, instead of the losses that the settings name.
        augment: Changes each image before the augmentation of the settings, which cuts the crop.
    """

    backbone: Backbone | None = None
    loss: tuple[str | Term, ...] = ()
    augment: Augment | None = None

    @property
    def names(self) -> dict[str, str]:
        """Returns a name of each part that is given, by the argument of `train`."""
        parts = {"loss": self.loss, "augment": (self.augment,) if self.augment else ()}
        names = {name: " ".join(map(_name, part)) for name, part in parts.items() if part}
        return names | ({"backbone": self.backbone.name} if self.backbone else {})


def _name(part: object) -> str:
    return part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)


def build_training(
    config: TrainConfig,
    data: TrainingData,
    strategy: tf.distribute.Strategy | None = None,
    initial_weights: list[np.ndarray] | None = None,
    own: OwnParts | None = None,
    is_resumed: bool = False,
) -> Training:
    """Builds a training from its settings.

    Args:
        config: The settings.
        data: The data to train and evaluate on.
        strategy: The devices; those of the settings if not given.
        initial_weights: The network's weights, in the order of `get_weights`, instead of those of the settings.
        own: Parts of one's own, in place of those of the settings.
        is_resumed: Whether a checkpoint will be restored, so that no weights to start from are needed.

    Raises:
        UserError: If there are more devices than images in a batch, or the weights to start from do not fit.
        ValueError: If `initial_weights` are not of this network, with the classes of the data.
    """
    strategy = strategy or build_strategy(config.devices.strategy, config.optimization.batch_size)
    own = own or OwnParts()
    for term in (term for term in own.loss if not isinstance(term, str)):
        _require_sum_and_number(term, data.pairs.classes.num_classes)
    return _Builder(config, data, strategy, own, is_resumed).training(initial_weights)


def _require_sum_and_number(term: Term, num_classes: int) -> None:
    """Raises UserError if a loss of one's own does not return two scalars for an image of four pixels."""
    parts: Any = term(tf.zeros([1, 2, 2], tf.int32), tf.zeros([1, 2, 2, num_classes]))
    try:
        shapes = [tuple(part.shape) for part in parts]
    except TypeError:  # a tensor, say
        shapes = []
    if shapes != [(), ()]:
        wanted = "must return a sum and the number of its summands, two scalars"
        raise UserError(f"{argument('loss')} {wanted}. Received of {_name(term)}: {parts}".replace("\n", " "))


@dataclasses.dataclass(frozen=True)
class _Builder:
    config: TrainConfig
    data: TrainingData
    strategy: tf.distribute.Strategy
    own: OwnParts
    is_resumed: bool

    def training(self, initial_weights: list[np.ndarray] | None) -> Training:
        config, optimization, strategy = self.config, self.config.optimization, self.strategy
        stream = self.stream()
        bfloat16 = uses_bfloat16(config.devices.precision)
        xla = uses_xla(config.devices.xla, strategy, config.run.epochs * stream.steps_per_epoch)
        with strategy.scope():
            with layer_precision(bfloat16):
                trained = self.network(auxiliary=config.network.auxiliary > 0)
            model = keras.Model(trained.input, tf.nest.flatten(trained.output)[0], name=trained.name)
            loaded = self.load_weights(model, stream, initial_weights)
            prepare_batch_norms(trained, strategy.num_replicas_in_sync)
            average = WeightAverage(model, optimization.average) if optimization.average else None
            make_step = self.step(trained, stream.steps_per_epoch, average, xla)
        copy = self.network() if average or bfloat16 else None
        evaluated = with_input_scale(copy or model, config.network.input_scale)
        if optimization.cache_features:
            stream.cache_features(trained, optimization.cache_features)
        devices = f"{describe_devices(strategy)} in {'bfloat16' if bfloat16 else 'float32'}{', XLA' if xla else ''}"
        description = self.describe(model, loaded, stream, devices)
        limits = WholeImages.of(self.data.pairs.classes.num_classes, config.network.input_scale)
        large = None if self.data.validation_sizes is None else limits.describe(self.data.validation_sizes)
        if large:
            description += f"\nTiles    {large}"
        if self.cut.images:
            description += f"\nWindows  {self.cut.line}"
        watch = self.watch()
        description += f"\nBest     by the {watch.what}{f': {watch.why}' * bool(watch.why)}"
        validation, run, workers = self.data.validation, config.run, Workers(strategy)
        return Training(
            trained, model, copy, evaluated, make_step, stream, validation, run, workers, description,
            limits.tile if large else 0, watch,
        )  # fmt: skip

    def watch(self) -> Watch:
        counts, validation = self.data.validation_counts, self.data.validation
        images, pixels = (None, None) if counts is None else counts
        names = validation.classes.names
        return build_watch(self.config.run.watch, names, images, pixels, len(validation), validation.split)

    @property
    def losses(self) -> tuple[str | Term, ...]:
        return self.own.loss or self.config.objective.loss

    @functools.cached_property
    def cut(self) -> Cut:
        """The training data with windows in place of large images."""
        return cut_large(self.data.pairs, self.data.large, self.augmentation.taken)

    @functools.cached_property
    def augmentation(self) -> Augmentation:
        options = self.config.augmentation
        return Augmentation(
            self.data.crop_size, options.scale, options.flip, options.rotate, options.color_jitter, self.own.augment
        )

    def stream(self) -> TrainingStream:
        optimization = self.config.optimization
        return TrainingStream(
            self.cut.pairs,
            self.augmentation,
            self.strategy,
            self.config.run.seed,
            optimization.batch_size,
            optimization.accumulate,
            optimization.freeze_backbone,
            self.rare,
        )

    @functools.cached_property
    def rare(self) -> RarePositions | None:
        """The positions of rare classes, around which a part of the crops is drawn."""
        if self.config.objective.balance == "windows" and self.own.augment is not None:
            both = f"{argument('balance', 'windows')} and {argument('augment')}"
            raise UserError(f"{both} exclude each other: the function may move what the crop is to show")
        return rare_positions(self.cut.pairs, self.data.rare) if self.data.rare else None

    def network(self, **options) -> keras.Model:
        network = self.config.network
        return build_fcn(
            network.model,
            self.own.backbone or network.backbone,
            classes=self.data.pairs.classes,
            upscore_init=network.upscore_init,
            context=network.context,
            output_stride=network.output_stride,
            **options,
        )

    def load_weights(
        self, model: keras.Model, stream: TrainingStream, initial_weights: list[np.ndarray] | None
    ) -> LoadedWeights:
        network = self.config.network
        if self.is_resumed:
            return LoadedWeights("those of the checkpoint")
        if initial_weights is not None:
            model.set_weights(initial_weights)
            return LoadedWeights("those of the model that was given")
        if network.init_from is not None:
            return load_matching_layers(model, network.init_from)
        parts = Parts(model)
        loaded = load_backbone_weights(parts.backbone, network.weights, self.own.backbone)
        if loaded.is_folded:
            crops = training_dataset(self.cut.pairs, stream.augmentation, 1, self.config.run.seed)
            images = (parts.normalize(image) for image, _ in crops.take(STATISTICS_CROPS))
            with explain_failure(self.cut.pairs):
                restore_statistics(parts.backbone, images)
        return loaded

    def step(
        self, trained: keras.Model, steps_per_epoch: int, average: WeightAverage | None, xla: bool
    ) -> TrainingStep:
        optimization, objective = self.config.optimization, self.config.objective
        loss = SegmentationLoss(self.losses, objective.label_smoothing, objective.ohem, self.data.class_weights)
        return TrainingStep(
            self.strategy,
            trained,
            build_parameter_groups(optimization, trained, self.config.run.epochs, steps_per_epoch),
            loss,
            self.config.network.auxiliary,
            optimization.accumulate,
            optimization.clip_norm,
            optimization.freeze_batch_norm,
            from_features=optimization.cache_features > 0,
            average=average,
            xla=xla,
        )

    def describe(self, model: keras.Model, loaded: LoadedWeights, stream: TrainingStream, devices: str) -> str:
        """Returns a human-readable summary of the training."""
        config, (height, width) = self.config, self.data.crop_size
        optimization, network = config.optimization, config.network
        rate = f"{optimization.optimizer} at {optimization.peak_rate:g}, {optimization.schedule}"
        if optimization.backbone_rate != 1:
            rate += f", the backbone at {optimization.backbone_rate * optimization.peak_rate:g}"
        if optimization.freeze_backbone:
            rate += f"; the backbone is frozen for {optimization.freeze_backbone} epochs"
        if stream.plan:
            rate += f", its features cached of {stream.plan.draws} augmentations ({stream.plan.gigabytes:.2g} GB)"
        of_network = (
            f"{network.model} over {Parts(model).backbone.name}, {model.count_params() / 1e6:.1f} million weights"
        )
        if network.input_scale != 1:
            of_network += f", saved with images scaled by {network.input_scale:g}"
        return (
            f"Network  {of_network}\n"
            f"Weights  {loaded.description}\n"
            f"Steps    {config.run.epochs} epochs of {stream.steps_per_epoch}, each of {stream.images_per_step} crops "
            f"of {height}x{width} pixels, on {devices}\n"
            f"Rate     {rate}\n"
            f"Loss     {' + '.join(map(_name, self.losses))}"
        )
