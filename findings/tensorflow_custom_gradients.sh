#!/usr/bin/env bash
# TensorFlow 2.21.0: a graph with a custom gradient stays in memory for good, with every constant in it.
#
# Guess: a `tf.function` whose last reference is gone is freed with its graph, as one without custom gradients is.
# Seen: each trace of `tf.custom_gradient` enters a function of its graph into a registry of the process, under a name of its
# own, and nothing takes it out: not `gc.collect()`, not `keras.backend.clear_session()`.
# Who is hurt: a process that trains one network after another (searches, folds, notebooks) keeps all of them.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import gc
import weakref

import keras
import tensorflow as tf


@tf.custom_gradient
def clipped(x):
    return tf.identity(x), lambda upstream: tf.clip_by_value(upstream, -1.0, 1.0)


def kept_graphs(layer, times=5):
    """Returns how many of several graphs are alive after the last reference to each is gone."""
    graphs = []
    for _ in range(times):
        function = tf.function(lambda x: layer(x) * 2.0)
        graphs.append(weakref.ref(function.get_concrete_function(tf.TensorSpec([4]))._func_graph))
        del function
    keras.backend.clear_session()
    gc.collect()
    return sum(graph() is not None for graph in graphs)


plain, custom = kept_graphs(tf.identity), kept_graphs(clipped)
print(f"tensorflow {tf.__version__}: {plain} of 5 graphs are kept without a custom gradient, {custom} of 5 with one")
assert plain <= 1 and custom == 5, "this has changed"
PYTHON
