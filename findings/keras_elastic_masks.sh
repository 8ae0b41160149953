#!/usr/bin/env bash
# Keras 3.15.1: RandomElasticTransform moves a mask by other waves than its image.
#
# Guess: given {"images": ..., "segmentation_masks": ...}, a layer moves both alike, as RandomRotation, RandomShear and the
# others do. The image below carries the mask's ids as its pixels and both are read at the nearest pixel, so they stay equal.
# Seen: they differ. Images and masks each draw noise from the layer's seed generator, which has moved on between the two.
# Who is hurt: a network trains on outlines that are pixels away from where they lie; nothing says so.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check keras==3.15.1 jax==0.7.2 numpy==2.4.6
KERAS_BACKEND=jax "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import keras
import numpy as np

rows, columns = np.mgrid[:32, :32]
ids = (rows // 8 * 4 + columns // 8 + 1)[None, ..., None].astype("float32")  # 16 squares, 1 to 16


def moved_alike(layer):
    """Returns the share of pixels whose image and mask still agree, and of those that moved."""
    found = layer({"images": np.repeat(ids, 3, -1), "segmentation_masks": ids}, training=True)
    image, mask = (np.asarray(found[name])[..., :1] for name in ("images", "segmentation_masks"))
    return (image == mask).mean(), (mask != ids).mean()


layers = keras.layers
elastic = layers.RandomElasticTransform((1.0, 1.0), (1.0, 1.0), interpolation="nearest", seed=1)
shear = layers.RandomShear(0.5, 0.5, interpolation="nearest", seed=1)
for layer in (shear, elastic):
    agreed, moved = moved_alike(layer)
    print(f"keras {keras.__version__} {type(layer).__name__}: {moved:.0%} moved; image and mask agree in {agreed:.1%}")
    assert moved > 0.02
    assert (agreed == 1) == (layer is shear), "this has changed"
PYTHON
