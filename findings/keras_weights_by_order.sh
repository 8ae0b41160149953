#!/usr/bin/env bash
# Keras 3.15.1: `load_weights` goes by the order of layers, not by their names: two score layers are exchanged in silence.
#
# Guess: layers with names of their own get the weights that were saved under these names, or an error.
# Seen: files hold `conv2d`, `conv2d_1` ... in the order in which a walk from the output meets layers. `Add()([a, b])` written as
# `Add()([b, a])`, the same sum, turns that order round: score3 gets the weights of score4, if shapes agree, which score layers'
# do. So it is with .weights.h5, with a .keras file given to `load_weights`, and with `get_weights` and `set_weights`.
# Who is hurt: who tidies up the code of a network with skips or two heads and loads an earlier run: no error, other classes.
# `keras.models.load_model`, which builds the network from the file, is right.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check keras==3.15.1 jax==0.7.2 numpy==2.4.6
cd "$folder" && KERAS_BACKEND=jax venv/bin/python -W ignore - <<'PYTHON'
import keras
import numpy as np
from keras import layers


def network(order):
    """Returns an FCN of two stages, whose scores are added in an order, which changes no sum."""
    image = keras.Input((32, 32, 3))
    stage3 = layers.Conv2D(8, 3, padding="same", name="stage3")(image)
    stage4 = layers.Conv2D(8, 3, padding="same", name="stage4")(stage3)
    scores = {"score3": layers.Conv2D(2, 1, name="score3")(stage3), "score4": layers.Conv2D(2, 1, name="score4")(stage4)}
    return keras.Model(image, layers.Add()([scores[name] for name in order]))


keras.utils.set_random_seed(0)
saved = network(("score3", "score4"))
saved.save_weights("saved.weights.h5")
saved.save("saved.keras")
image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")


def source_of_score3(model):
    """Returns the layer of the saved network whose kernel score3 has now, and whether the ids are the saved network's."""
    kernel = model.get_layer("score3").kernel
    [name] = [name for name in ("score3", "score4") if np.array_equal(kernel, saved.get_layer(name).kernel)]
    return name, np.array_equal(np.argmax(model(image), -1), np.argmax(saved(image), -1))


ways = {
    ".weights.h5": lambda model: model.load_weights("saved.weights.h5"),
    ".keras": lambda model: model.load_weights("saved.keras"),
    "set_weights": lambda model: model.set_weights(saved.get_weights()),
}
for way, load in ways.items():
    for order in (("score3", "score4"), ("score4", "score3")):
        load(model := network(order))
        name, is_same = source_of_score3(model)
        print(f"keras {keras.__version__} {way}, Add of {' and '.join(order)}: score3 has the weights of {name}, "
              f"ids are {'the same' if is_same else 'others'}")
        assert (name, is_same) == (order[0], order[0] == "score3"), "this has changed"
assert source_of_score3(keras.models.load_model("saved.keras")) == ("score3", True)
PYTHON
