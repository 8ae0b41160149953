#!/usr/bin/env bash
# Keras 3.15.1, TensorFlow 2.21.0: two layers of the same seed, for image and mask, part in a parallel Dataset.map.
#
# Guess: `RandomFlip(seed=42)` for the image and another for the mask flip alike, as tutorials on segmentation have it; Keras'
# preprocessing layers are meant for tf.data, and `num_parallel_calls` changes the speed only.
# Seen: each layer counts its calls, and draws by the count. Where files take different times to read, calls of other pairs come
# between, in another order for images than for masks: with eight threads, half of 300 masks are flipped otherwise than their
# images, as if by chance. One pair after the other, or with one layer for both ("images", "segmentation_masks"), none is.
# Who is hurt: who speeds up a working pipeline by `num_parallel_calls`: the loss falls more slowly, and no error tells why. How
# many pairs part depends on threads and times of reading: between none and 44% where files are decoded in memory.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import time

import keras
import numpy as np
import tensorflow as tf

COLUMNS = np.broadcast_to(np.arange(8, dtype=np.float32)[None, :, None], (4, 8, 1)).copy()
"""An image and its mask: the number of its column is the value of each pixel."""


def read(number, slow):
    """Reads an image or a mask, which takes longer for every third, as large files and slow disks do."""
    time.sleep(0.004 * (number % 3 == slow))
    return COLUMNS


def read_both(number):
    """Returns an image and a mask, which are slow to read for other pairs."""
    return (tf.ensure_shape(tf.numpy_function(read, [number, slow], tf.float32), COLUMNS.shape) for slow in (0, 1))


def apart(kind, parallel, pairs=300):
    """Returns how many of so many pairs are flipped otherwise in the mask than in the image, and how many images are."""
    first, second = (keras.layers.RandomFlip("horizontal", seed=42) for _ in range(2))

    def load(number):
        image, mask = read_both(number)
        if kind == "two layers":
            return first(image, training=True), second(mask, training=True)
        both = first({"images": image, "segmentation_masks": mask}, training=True)
        return both["images"], both["segmentation_masks"]

    options = tf.data.Options()
    options.threading.private_threadpool_size = 8  # as on a machine of eight cores
    dataset = tf.data.Dataset.range(pairs).map(load, num_parallel_calls=parallel).with_options(options)
    found = list(dataset.as_numpy_iterator())
    return sum(not np.array_equal(*pair) for pair in found), sum(not np.array_equal(image, COLUMNS) for image, _ in found)


for kind in ("two layers", "one layer"):
    for parallel in (None, 8):
        wrong, flipped = apart(kind, parallel)
        print(f"keras {keras.__version__}, {kind} of seed 42, num_parallel_calls={parallel}: of 300 pairs, {flipped} images are "
              f"flipped, and {wrong} masks otherwise than their images")
        assert 100 < flipped < 200
        assert (wrong > 0) == (kind == "two layers" and parallel == 8), "this has changed"
PYTHON
