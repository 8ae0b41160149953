"""Builds every part of a training once from its settings, which no other module takes apart."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.datasets.balance.rare import RarePositions, rare_positions
from keras_fcn.datasets.windows import Cut, cut_large
from keras_fcn.errors import UserError, argument
from keras_fcn.evaluation.watch import Watch, build_watch, watched_classes
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.large import WholeImages
from keras_fcn.network.fcn import build_fcn, with_input_scale
from keras_fcn.network.parts import Parts
from keras_fcn.network.weights.admission import require_loadable
from keras_fcn.pipeline.augmentation import Augmentation
from keras_fcn.pipeline.batches import explain_failure, training_dataset
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.names import BACKBONES
from keras_fcn.training.distributed.devices import (
    build_strategy,
    describe_devices,
    layer_precision,
    uses_bfloat16,
    uses_xla,
)
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.inputs.data import TrainingData, open_training_data
from keras_fcn.training.inputs.initial_weights import LoadedWeights, load_backbone_weights, load_matching_layers
from keras_fcn.training.inputs.stream import TrainingStream
from keras_fcn.training.losses import SegmentationLoss, Term
from keras_fcn.training.step.batch_norm import prepare_batch_norms, restore_statistics
from keras_fcn.training.step.optimizers import build_parameter_groups
from keras_fcn.training.step.own import OwnParts, name_of, require_sum_and_number
from keras_fcn.training.step.step import TrainingStep
from keras_fcn.training.step.teacher import DECAY, Teacher
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
        require_sum_and_number(term, data.pairs.classes.num_classes)
    return _Builder(config, data, strategy, own, is_resumed).training(initial_weights)


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
        stream.prepare()
        depthwise = bool(self.own.backbone) or BACKBONES[config.network.backbone].depthwise
        bfloat16 = uses_bfloat16(config.devices.precision, depthwise)
        xla = uses_xla(config.devices.xla, strategy, config.run.epochs * stream.steps_per_epoch)
        with strategy.scope():
            with layer_precision(bfloat16):
                trained = self.network(auxiliary=config.network.auxiliary > 0)
            model = keras.Model(trained.input, tf.nest.flatten(trained.output)[0], name=trained.name)
            if self.own.backbone:
                require_loadable(model)
            loaded = self.load_weights(model, stream, initial_weights)
            prepare_batch_norms(trained, strategy.num_replicas_in_sync)
            with layer_precision(bfloat16):
                teacher = self.teacher()
            average = self.average(model, teacher)
            make_step = self.step(trained, stream.steps_per_epoch, average, xla, teacher)
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
        for cut in filter(None, (self.cut, self.cut_unlabelled)):
            description += f"\nWindows  {cut.line}" * (cut.images > 0)
        watch = self.watch()
        description += f"\nBest     by the {watch.what}{f': {watch.why}' * bool(watch.why)}"
        validation, run, workers = self.data.validation, config.run, Workers(strategy)
        return Training(
            trained, model, copy, evaluated, make_step, stream, validation, run, workers, description,
            limits.tile if large else 0, watch,
        )  # fmt: skip

    def teacher(self) -> Teacher | None:
        """Returns what labels the images without labels, if there are any."""
        is_needed = self.data.unlabelled is not None
        return Teacher(self.network(), self.config.objective.pseudo_threshold) if is_needed else None

    def average(self, model: keras.Model, teacher: Teacher | None) -> WeightAverage | None:
        decay = self.config.optimization.average
        if teacher is not None:
            return WeightAverage(model, decay or DECAY, teacher.network)
        return WeightAverage(model, decay) if decay else None

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
        """The training data, as often as an epoch has crops of them, with windows in place of large images."""
        pairs, crops, large = self.data.pairs, self.config.augmentation.crops_per_image, self.data.large
        if crops > 1:
            pairs = pairs.repeated(np.array([1 if image in large else crops for image in pairs.images]))
        return cut_large(pairs, large, self.augmentation.taken)

    @functools.cached_property
    def cut_unlabelled(self) -> Cut | None:
        """The same of the images without labels, if there are any."""
        alone = self.data.unlabelled
        return None if alone is None else cut_large(alone, self.data.large, self.augmentation.taken)

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
            self.cut_unlabelled.pairs if self.cut_unlabelled else None,
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
            channels=self.config.dataset.channels,
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
            self.require_alike(model, "the model that was given")
            return LoadedWeights("those of the model that was given")
        if network.init_from is not None:
            loaded = load_matching_layers(model, network.init_from)
            self.require_alike(model, f"{network.init_from}")
            return loaded
        parts = Parts(model)
        loaded = load_backbone_weights(parts.backbone, network.weights, self.own.backbone)
        if loaded.is_folded:
            crops = training_dataset(self.cut.pairs, stream.augmentation, 1, self.config.run.seed)
            images = (parts.normalize(image) for image, _ in crops.take(STATISTICS_CROPS))
            with explain_failure(self.cut.pairs):
                restore_statistics(parts.backbone, images)
        return loaded

    def require_alike(self, model: keras.Model, source: str) -> None:
        """Raises UserError unless all workers have the same weights from a source: each reads its own."""
        Workers(self.strategy).require_same_weights((weight.numpy() for weight in model.weights), source)

    def step(
        self,
        trained: keras.Model,
        steps_per_epoch: int,
        average: WeightAverage | None,
        xla: bool,
        teacher: Teacher | None,
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
            teacher=teacher,
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
        crops = config.augmentation.crops_per_image
        of_each = f", {crops} of each image an epoch" if crops > 1 else ""
        if network.input_scale != 1:
            of_network += f", saved with images scaled by {network.input_scale:g}"
        return (
            f"Network  {of_network}\n"
            f"Weights  {loaded.description}\n"
            f"Steps    {config.run.epochs} epochs of {stream.steps_per_epoch}, each of {stream.images_per_step} crops "
            f"of {height}x{width} pixels{of_each}, on {devices}\n"
            f"Rate     {rate}\n"
            f"Loss     {' + '.join(map(name_of, self.losses))}{self.describe_teacher()}"
        )

    def describe_teacher(self) -> str:
        if self.data.unlabelled is None:
            return ""
        decay, least = self.config.optimization.average or DECAY, self.config.objective.pseudo_threshold
        return (
            f"\nTeacher  the average of the weights, with the decay {decay:g}, labels as many crops of "
            f"{len(self.data.unlabelled)} images ({self.config.dataset.unlabelled}); below the probability {least:g}, "
            "pixels are void"
        )
