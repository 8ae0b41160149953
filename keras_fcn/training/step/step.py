"""One training step on all devices: forward, loss over the global batch, backward, update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from keras_fcn.network.parts import Parts
from keras_fcn.pipeline.unlabelled import Unlabelled
from keras_fcn.training.losses import SegmentationLoss
from keras_fcn.training.step.optimizers import ParameterGroup
from keras_fcn.training.step.score_loss import ScoreLoss
from keras_fcn.training.step.teacher import Teacher
from keras_fcn.training.step.weight_average import WeightAverage

Batch = (
    tuple[tf.Tensor | tuple[tf.Tensor, ...], tf.Tensor]
    | tuple[tf.Tensor | tuple[tf.Tensor, ...], tf.Tensor, Unlabelled]
)
"""Images uint8 [N, H, W, 3] or their features, and labels uint8 [N, H, W], distributed to the devices; with a teacher
also N images without labels."""


class TrainingStep:
    """Makes and counts training steps.

    Args:
        strategy: The devices, each of which takes an equal part of every batch; create this in its scope.
        model: The network. Of several outputs, the first are the logits.
        groups: Its variables and their optimizers: those of the head, then those of the backbone.
        loss: The loss of logits.
        auxiliary: Weight of the losses of the other outputs.
        accumulate: Batches whose gradients are averaged for a step.
        clip_norm: Greatest norm of the gradient of all weights together; 0 for any.
        freeze_batch_norm: Whether to normalize as in inference.
        from_features: Whether batches may hold the backbone's features instead of images.
        average: The EMA of the weights, if any.
        xla: Whether to compile forward and backward pass.
        teacher: Labels the images without labels, if batches have any.

    Attributes:
        groups: As given.
        average: As given.
        step: Number of steps so far, int64.
        loss_sum: Sum of their losses since it was last set to 0, float32.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        groups: tuple[ParameterGroup, ParameterGroup],
        loss: SegmentationLoss,
        auxiliary: float = 0.0,
        accumulate: int = 1,
        clip_norm: float = 0.0,
        freeze_batch_norm: bool = False,
        from_features: bool = False,
        average: WeightAverage | None = None,
        xla: bool = False,
        teacher: Teacher | None = None,
    ) -> None:
        self.groups, self.average, self._teacher = groups, average, teacher
        self._strategy, self._loss, self._factors = strategy, loss, (1.0, auxiliary)
        self._accumulate, self._clip_norm, self._normalizes_by_batch = accumulate, clip_norm, not freeze_batch_norm
        parts = Parts(model)
        self._backbone, self._score_images = parts.backbone, parts.scorer()
        self._score_features = parts.scorer("features") if from_features else None
        by_image = not tf.config.list_logical_devices("GPU")
        self._heads = [ScoreLoss(layer, loss, by_image) for layer in parts.heads]
        compiled = tf.function(self._gradients, autograph=False, jit_compile=True)
        self._differentiate = compiled if xla else self._gradients
        self._sums = [_gradient_sum(v) for group in groups for v in group.variables] if accumulate > 1 else []
        self.step = tf.Variable(0, dtype=tf.int64, name="step")
        self.loss_sum = tf.Variable(0.0, name="loss_sum")

    def __call__(self, batches: Sequence[Batch], is_backbone_frozen: bool) -> None:
        """Makes one step on global batches: the loss is the mean over their valid pixels on all devices.

        Args:
            batches: As many as gradients are accumulated over.
            is_backbone_frozen: Whether to freeze the backbone, its statistics included.
        """
        for number, batch in enumerate(batches, start=1):
            self._make(batch, is_backbone_frozen, number == len(batches))

    @tf.function(autograph=False)
    def _make(self, batch: Batch, is_backbone_frozen: bool, is_last: bool) -> None:
        with _frozen(self._backbone) if is_backbone_frozen else contextlib.nullcontext():
            losses = self._strategy.run(self._replica_step, args=(batch, is_backbone_frozen, is_last))
        loss = self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)
        self.loss_sum.assign_add(loss / self._accumulate)
        if is_last:
            if self.average is not None:
                self.average.update(self.step)
            self.step.assign_add(1)

    def _replica_step(self, batch: Batch, is_backbone_frozen: bool, is_last: bool) -> tf.Tensor:
        """Returns this replica's part of the loss, after the update."""
        inputs, labels, *unlabelled = batch
        if self._teacher is not None:
            both = zip((inputs, labels), self._teacher.label(*unlabelled))
            inputs, labels = (tf.concat(parts, axis=0) for parts in both)  # [2 N, H, W, 3] and [2 N, H, W]
        loss, gradients = self._differentiate(inputs, labels, is_backbone_frozen)
        # With accumulation, each variable's gradients of this replica are summed over the batches; only in the last
        # one do optimizers read the sums and add those of the replicas, and the sums are set to 0.
        for total, gradient in zip(self._sums, gradients):
            total.assign_add(gradient / self._accumulate)
        if is_last:
            groups = self._trained_groups(is_backbone_frozen)
            self._update(groups, [total.read_value() for total in self._sums[: len(gradients)]] or gradients)
            for total in self._sums:
                total.assign(tf.zeros_like(total))
        return loss

    def _trained_groups(self, is_backbone_frozen: bool) -> tuple[ParameterGroup, ...]:
        return self.groups[:1] if is_backbone_frozen else self.groups

    def _gradients(
        self, inputs: tf.Tensor, labels: tf.Tensor, is_backbone_frozen: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns this replica's part of the loss of the global batch, and of the gradients.

        The tape ends at the sources of the heads, before the logits: `ScoreLoss` differentiates from there on, term by
        term. Its gradients, times the rates [terms], which need the normalizers of all replicas, are where the tape's
        backward pass starts.
        """
        variables = [variable for group in self._trained_groups(is_backbone_frozen) for variable in group.variables]
        with tf.GradientTape() as tape:
            scores = self._scores(inputs)
            sources = [head.sources(of_head) for head, of_head in zip(self._heads, scores)]
        loss, gradients = 0.0, []
        for head, of_head, made, factor in zip(self._heads, scores, sources, self._factors):
            sums, normalizers, of_sources = head.parts(labels, of_head, made)
            rates = factor * self._loss.rates(self._over_replicas(normalizers))
            loss += tf.reduce_sum(rates * sums)
            # [terms] by [terms, *shape of the source]
            gradients += [tf.cast(tf.tensordot(rates, one, 1), made[0].dtype) for one in of_sources]
        return loss, tape.gradient(tf.nest.flatten(sources), variables, gradients)

    def _scores(self, inputs: tf.Tensor | tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
        """Returns the scores of all heads, from images or from their features."""
        training = self._normalizes_by_batch
        if isinstance(inputs, tuple):
            assert self._score_features is not None
            return tf.nest.flatten(self._score_features(list(inputs), training=training))
        return tf.nest.flatten(self._score_images(tf.cast(inputs, tf.float32), training=training))

    def _over_replicas(self, values: tf.Tensor | list[tf.Tensor]) -> tf.Tensor | list[tf.Tensor]:
        """Returns the sum, or sums, over all replicas."""
        if self._strategy.num_replicas_in_sync == 1:
            return values
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def _update(self, groups: tuple[ParameterGroup, ...], gradients: list[tf.Tensor]) -> None:
        if self._clip_norm:
            gradients = self._clipped(gradients)
        for group in groups:
            own, gradients = gradients[: len(group.variables)], gradients[len(group.variables) :]
            # Else weights would decay as soon as they are read, in copies kept until the backward pass is over.
            with tf.control_dependencies(own):
                group.optimizer.apply(own, group.variables)  # sums over the replicas

    def _clipped(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns equal parts, one per replica, of the gradients' sum over all replicas, clipped by its norm."""
        clipped, _ = tf.clip_by_global_norm(self._over_replicas(gradients), self._clip_norm)
        return [gradient / self._strategy.num_replicas_in_sync for gradient in clipped]


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
