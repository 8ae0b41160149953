#!/usr/bin/env bash
# TensorFlow 2.21.0: a process that made a MirroredStrategy of some devices has none of another number any more.
#
# Guess: strategies are objects of their own; one over two devices, then one over four, each add up their own replicas.
# Seen: each numbers its groups of devices from 1, and the runtime keeps a group by its number for good: the second one fails
# with InternalError or CancelledError ("Function was cancelled before it was started"), and so does the first from then on.
# Who is hurt: tests and notebooks that compare numbers of devices in one process. Of one number any many strategies work.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)


def summed(count):
    """Returns the sum of ones over so many replicas, or the type of the error."""
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(count)])
    add = tf.function(lambda: tf.distribute.get_replica_context().all_reduce("SUM", tf.constant(1.0)))
    try:
        return float(strategy.experimental_local_results(strategy.run(add))[0])
    except tf.errors.OpError as error:
        return type(error).__name__


same, other = [summed(2) for _ in range(3)], [summed(4), summed(2)]
print(f"tensorflow {tf.__version__}: over 2 devices {same}, then over 4 {other[0]}, then over 2 {other[1]}")
assert same == [2.0] * 3 and all(name in ("InternalError", "CancelledError") for name in other), "this has changed"
PYTHON
