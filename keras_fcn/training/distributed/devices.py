"""The devices of a run, and their precision."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import keras
import tensorflow as tf

from keras_fcn.errors import LostWorkerError, UserError, argument
from keras_fcn.runs.names import PrecisionName, StrategyName, SwitchName
from keras_fcn.system.machine import has_bfloat16
from keras_fcn.system.signals import handling
from keras_fcn.training.distributed.cluster import Cluster, joined_cluster

_BFLOAT16_CAPABILITY = (8, 0)
"""The first NVIDIA GPUs that compute in bfloat16 (Ampere)."""


XLA_STEPS = 5_000
"""Shorter runs end before XLA makes up for its compilation: on an H100 it takes 36 seconds, and saves 4 ms a step."""


def build_strategy(name: StrategyName, batch_size: int) -> tf.distribute.Strategy:
    """Returns the strategy that distributes every batch to the devices.

    Args:
        name: "none" for one device; "mirrored" for all GPUs of this machine or, without any, its CPU; "auto" for
            "multiworker" where TF_CONFIG names several workers, "mirrored" where there are several devices, else
            "none"; "multiworker" for all devices of all workers. It waits for the other workers, and must be built
            before TensorFlow does anything else in this process.
        batch_size: Images per step over all devices together.

    Raises:
        UserError: If there are more devices than images in a batch, or the workers cannot connect.
        LostWorkerError: If another worker did not connect.
    """
    if cluster := joined_cluster(name):
        return _meet(cluster, batch_size)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if name == "none" or (name == "auto" and len(devices) == 1):
        return tf.distribute.get_strategy()
    if batch_size < len(devices):
        raise UserError(
            f"{argument('batch_size')} must be at least {len(devices)}, one per device. Received: {batch_size}"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _meet(cluster: Cluster, batch_size: int) -> tf.distribute.Strategy:
    """Waits for the other workers, and returns the strategy that distributes every batch to all of them."""
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({task: list(addresses) for task, addresses in cluster.addresses.items()}),
        task_type=cluster.task_type,
        task_id=cluster.task_index,
        rpc_layer="grpc",
    )
    try:
        with handling(signal.SIG_DFL):  # Python's handlers do not run while it waits in TensorFlow
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.UnknownError:
        raise UserError(f"TF_CONFIG: this worker cannot listen at {cluster.address}; is its port free?") from None
    except tf.errors.OpError as error:
        raise LostWorkerError(f"not all {cluster.num_workers} workers connected ({type(error).__name__})") from None
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(
            f"{argument('batch_size')} must be a multiple of {replicas}, the number of devices of all "
            f"{cluster.num_workers} workers. Received: {batch_size}"
        )
    return strategy


def require_unused() -> None:
    """Raises UserError if TensorFlow has done anything in this process: it could not connect workers any more."""
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(threads + 1)  # which it takes only before it starts
    except RuntimeError:
        raise UserError(
            "workers must connect before TensorFlow does anything else; start a new Python process for the training"
        ) from None
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def distribute(batches: tf.data.Dataset, strategy: tf.distribute.Strategy) -> Iterator:
    """Returns the iterator over batches, of which each device gets its part; GPUs prefetch the next one."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = batches.with_options(options)
    if strategy is tf.distribute.get_strategy() and tf.config.list_logical_devices("GPU"):
        # Strategies of several devices prefetch by themselves; that of a single one would copy during the step.
        return iter(batches.apply(tf.data.experimental.prefetch_to_device("/GPU:0")))
    return iter(strategy.experimental_distribute_dataset(batches))


def describe_devices(strategy: tf.distribute.Strategy) -> str:
    """Returns the human-readable names of the devices: "GPU:0, GPU:1"."""
    if isinstance(strategy, (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)):
        devices = [device.rpartition("device:")[2] for device in strategy.extended.worker_devices]
        workers = strategy.num_replicas_in_sync // len(devices)
        return ", ".join(devices) + (f" of {workers} workers each" if workers > 1 else "")
    return "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"


def uses_bfloat16(precision: PrecisionName, depthwise: bool = False) -> bool:
    """Returns whether layers compute in bfloat16: "bfloat16", or "auto" where all devices are faster in it.

    Those are GPUs that support it and, for networks without depthwise convolutions, processors that multiply in it.

    Args:
        precision: What the user wants.
        depthwise: Whether the network has depthwise convolutions, or may have some.
    """
    if precision == "auto":
        capabilities = [
            tf.config.experimental.get_device_details(device).get("compute_capability", (0, 0))
            for device in tf.config.list_physical_devices("GPU")
        ]
        if not capabilities:
            return has_bfloat16() and not depthwise
        return min(capabilities) >= _BFLOAT16_CAPABILITY
    return precision == "bfloat16"


def uses_xla(xla: SwitchName, strategy: tf.distribute.Strategy, steps: int) -> bool:
    """Returns whether XLA compiles the step: "on", or "auto" on a single GPU in a run of many steps.

    On a CPU it is slower, and across devices it does not support the sums of batch normalization.

    Raises:
        UserError: If it is "on" with several devices.
    """
    is_alone = strategy.num_replicas_in_sync == 1
    if xla == "on" and not is_alone:
        xla_on, one_device = argument("xla", "on"), argument("strategy", "none")
        raise UserError(f"{xla_on} works on one device only; add {one_device}, or leave {argument('xla')} out")
    pays = is_alone and steps >= XLA_STEPS and bool(tf.config.list_logical_devices("GPU"))
    return xla == "on" or (xla == "auto" and pays)


@contextlib.contextmanager
def layer_precision(bfloat16: bool) -> Iterator[None]:
    """Makes layers that are built in the block keep their weights in float32 and compute in bfloat16, or float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if bfloat16 else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
