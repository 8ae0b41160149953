"""One training step on all devices: forward, loss over the global batch, backward, update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from keras_fcn.losses import SegmentationLoss
from keras_fcn.optimizers import ParameterGroup


class TrainingStep:
    """Makes training steps, and counts them.

    Args:
        strategy: On whose devices, each of which takes an equal share of every batch.
        model: The network, built in the strategy's scope.
        groups: Which optimizer trains which of its variables: those of the head, then those of the backbone.
        loss: What to minimize.
        backbone: The name of the layer that may be frozen.
        freeze_batch_norm: Whether batch normalization uses its own statistics, not the batch's, and keeps them.

    Attributes:
        step: Steps made so far, int64.
        loss_sum: Sum of their losses since it was last set to 0, float32.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        groups: tuple[ParameterGroup, ParameterGroup],
        loss: SegmentationLoss,
        backbone: str,
        freeze_batch_norm: bool = False,
    ) -> None:
        self._strategy, self._model, self._groups, self._loss = strategy, model, groups, loss
        self._backbone = model.get_layer(backbone)
        self._training = not freeze_batch_norm
        self.step = tf.Variable(0, dtype=tf.int64, name="step")
        self.loss_sum = tf.Variable(0.0, name="loss_sum")

    @tf.function
    def __call__(self, batches, is_backbone_frozen: bool) -> None:
        """Makes one step on the next global batch: the loss is that of all its valid pixels, on whichever devices.

        Args:
            batches: An iterator of batches dealt out to the devices.
            is_backbone_frozen: Whether to leave the backbone as it is, its statistics included.
        """
        with _frozen(self._backbone) if is_backbone_frozen else contextlib.nullcontext():
            losses = self._strategy.run(
                self._replica_step, args=(*next(batches), self._groups[: 1 if is_backbone_frozen else 2])
            )
        self.loss_sum.assign_add(self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None))
        self.step.assign_add(1)

    def _replica_step(self, images: tf.Tensor, labels: tf.Tensor, groups: tuple[ParameterGroup, ...]) -> tf.Tensor:
        """Returns this replica's part of the loss."""
        with tf.GradientTape() as tape:
            logits = self._model(tf.cast(images, tf.float32), training=self._training)
            sums, normalizers = self._loss.parts(labels, logits)
            all_normalizers = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, normalizers)
            loss = self._loss.total(sums, all_normalizers)
        gradients = tape.gradient(loss, [group.variables for group in groups])
        for group, of_group in zip(groups, gradients):
            group.optimizer.apply(of_group, group.variables)  # sums over the replicas
        return loss


@contextlib.contextmanager
def _frozen(layer: keras.layers.Layer) -> Iterator[None]:
    """Makes a layer not trainable while a step is traced; a model that is saved meanwhile stays trainable."""
    layer.trainable = False
    try:
        yield
    finally:
        layer.trainable = True
