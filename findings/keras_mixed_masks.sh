#!/usr/bin/env bash
# Keras 3.15.1: AugMix blends class ids to fractions between them; MixUp returns masks of another shape.
#
# Guess: layers that take "segmentation_masks" return masks of the same shape and of ids that they were given (AugMix chains
# operations of colour and of place; where it blends images, a mask can only be chosen, or refused).
# Seen: AugMix averages the masks as it does the images: between classes 1 and 3 lies class 2 and every fraction, which an
# integer type cuts off to a class that is not there. MixUp's masks have as many channels as there are images in the batch,
# since it takes single numbers, not masks, from the flattened batch.
# Who is hurt: AugMix trains on classes that no image shows, in silence; of MixUp one sees it at the loss.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check keras==3.15.1 jax==0.7.2 numpy==2.4.6
KERAS_BACKEND=jax "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import keras
import numpy as np

columns = np.broadcast_to(np.arange(32), (4, 32, 32))
ids = np.where(columns < 16, 1, 3)[..., None].astype("float32")  # left 1, right 3: there is no class 2
images = np.repeat(ids, 3, -1) * 60


def masks_of(layer):
    return np.asarray(layer({"images": images, "segmentation_masks": ids}, training=True)["segmentation_masks"])


augmix = np.concatenate([masks_of(keras.layers.AugMix(seed=seed)) for seed in range(10)])
others = ~np.isin(augmix, [0, 1, 3])  # 0 is what moved in from outside
print(f"keras {keras.__version__} AugMix: ids 1 and 3 became {np.unique(augmix.round(2)).size} values; {others.mean():.0%} of pixels are neither")
print(f"as uint8: {np.unique(augmix.astype('uint8'))}")
assert others.any(), "this has changed"

mixup = masks_of(keras.layers.MixUp(seed=1))
print(f"keras {keras.__version__} MixUp: masks {ids.shape} became {mixup.shape}")
assert mixup.shape != ids.shape, "this has changed"
PYTHON
