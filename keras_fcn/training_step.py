"""One training step on all devices: forward, loss over the global batch, backward, update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from keras_fcn.config import TrainConfig
from keras_fcn.fcn import decoder_of
from keras_fcn.losses import SegmentationLoss
from keras_fcn.optimizers import ParameterGroup
from keras_fcn.weight_average import WeightAverage

Batch = tuple[tf.Tensor | tuple[tf.Tensor, ...], tf.Tensor]
"""Images uint8 [N, H, W, 3] or their features, and labels uint8 [N, H, W], dealt out to the devices."""


class TrainingStep:
    """Makes training steps, and counts them.

    Args:
        strategy: On whose devices, each of which takes an equal share of every batch; create this in its scope.
        model: The network. Of several outputs, the first are the logits, and the others' losses count as
            `config.auxiliary` says.
        groups: Which optimizer trains which of its variables: those of the head, then those of the backbone.
        config: The settings of the step.
        class_weights: How much a pixel of each class counts in the loss; 1 if not given.
        average: Follows the weights, if given.
        xla: Whether to compile forward and backward pass.

    Attributes:
        step: Steps made so far, int64.
        loss_sum: Sum of their losses since it was last set to 0, float32.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        groups: tuple[ParameterGroup, ParameterGroup],
        config: TrainConfig,
        class_weights: Sequence[float] | None = None,
        average: WeightAverage | None = None,
        xla: bool = False,
    ) -> None:
        self._strategy, self._model, self._groups, self._config = strategy, model, groups, config
        self._backbone = model.get_layer(config.backbone)
        self._segmentation_loss = SegmentationLoss(config.loss, config.label_smoothing, config.ohem, class_weights)
        self._decoder = decoder_of(model) if config.cache_features else None
        self._average = average
        self._differentiate = tf.function(self._gradients, jit_compile=True) if xla else self._gradients
        self._sums = [_gradient_sum(v) for group in groups for v in group.variables] if config.accumulate > 1 else []
        self.step = tf.Variable(0, dtype=tf.int64, name="step")
        self.loss_sum = tf.Variable(0.0, name="loss_sum")

    def __call__(self, batches: Sequence[Batch], is_backbone_frozen: bool) -> None:
        """Makes one step on global batches: the loss is the mean over their valid pixels on all devices.

        Args:
            batches: As many as gradients are accumulated over.
            is_backbone_frozen: Whether to leave the backbone as it is, its statistics included.
        """
        for number, (inputs, labels) in enumerate(batches, start=1):
            self._make(inputs, labels, is_backbone_frozen, number == len(batches))

    @tf.function
    def _make(
        self, inputs: tf.Tensor | tuple[tf.Tensor, ...], labels: tf.Tensor, is_backbone_frozen: bool, is_last: bool
    ) -> None:
        groups = self._groups[: 1 if is_backbone_frozen else 2]
        with _frozen(self._backbone) if is_backbone_frozen else contextlib.nullcontext():
            losses = self._strategy.run(self._replica_step, args=(inputs, labels, groups, is_last))
        loss = self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)
        self.loss_sum.assign_add(loss / self._config.accumulate)
        if is_last:
            if self._average is not None:
                self._average.update(self.step)
            self.step.assign_add(1)

    def _replica_step(
        self, inputs: tf.Tensor, labels: tf.Tensor, groups: tuple[ParameterGroup, ...], is_last: bool
    ) -> tf.Tensor:
        """Returns this replica's part of the loss, after it has taken its part in the update."""
        variables = [variable for group in groups for variable in group.variables]
        loss, gradients = self._differentiate(inputs, labels, variables)
        for total, gradient in zip(self._sums, gradients):
            total.assign_add(gradient / self._config.accumulate)
        if is_last:
            self._update(groups, [total.read_value() for total in self._sums[: len(variables)]] or gradients)
            for total in self._sums:
                total.assign(tf.zeros_like(total))
        return loss

    def _gradients(
        self, inputs: tf.Tensor, labels: tf.Tensor, variables: list[keras.Variable]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits, *auxiliary = self._logits(inputs, tf.shape(labels))
            loss = self._loss(labels, logits)
            for other in auxiliary:
                loss += self._config.auxiliary * self._loss(labels, other)
        return loss, tape.gradient(loss, variables)

    def _logits(self, inputs: tf.Tensor | tuple[tf.Tensor, ...], shape: tf.Tensor) -> list[tf.Tensor]:
        """Returns the logits of all heads, from images or from their features."""
        training = not self._config.freeze_batch_norm
        if isinstance(inputs, tuple):
            assert self._decoder is not None
            scores = self._decoder(list(inputs), training=training)
            return [tf.cast(one[:, : shape[1], : shape[2]], tf.float32) for one in tf.nest.flatten(scores)]
        return tf.nest.flatten(self._model(tf.cast(inputs, tf.float32), training=training))

    def _loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns this replica's part of the loss of the global batch."""
        sums, normalizers = self._segmentation_loss.parts(labels, logits)
        if self._strategy.num_replicas_in_sync > 1:
            normalizers = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, normalizers)
        return self._segmentation_loss.total(sums, normalizers)

    def _update(self, groups: tuple[ParameterGroup, ...], gradients: list[tf.Tensor]) -> None:
        if self._config.clip_norm:
            gradients = self._clipped(gradients)
        for group in groups:
            own, gradients = gradients[: len(group.variables)], gradients[len(group.variables) :]
            # Else weights would decay as soon as they are read, in copies kept until the backward pass is over.
            with tf.control_dependencies(own):
                group.optimizer.apply(own, group.variables)  # sums over the replicas

    def _clipped(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns equal parts, one per replica, of the gradients' sum over all replicas, of limited length."""
        replicas = self._strategy.num_replicas_in_sync
        if replicas > 1:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        clipped, _ = tf.clip_by_global_norm(gradients, self._config.clip_norm)
        return [gradient / replicas for gradient in clipped]


def _gradient_sum(variable: keras.Variable) -> tf.Variable:
    """Returns a variable of which each replica has its own value."""
    return tf.Variable(
        tf.zeros(variable.shape),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
        name="gradient_sum",
    )


@contextlib.contextmanager
def _frozen(layer: keras.layers.Layer) -> Iterator[None]:
    """Makes a layer not trainable while a step is traced; a model that is saved meanwhile stays trainable."""
    layer.trainable = False
    try:
        yield
    finally:
        layer.trainable = True
