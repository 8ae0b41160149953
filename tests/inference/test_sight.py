"""How far networks see, against what a changed pixel changes, and what is said of tiles."""

import math

import numpy as np
import pytest

from keras_fcn import InferenceOptions, Predictor, build_fcn
from keras_fcn.inference.engines.sight import sight_of
from keras_fcn.inference.options import tile_note


def shaken(context):
    """Returns a network all of whose scores count."""
    model = build_fcn("fcn32s", "resnet18_v2", num_classes=2, context=context)
    for layer in model.layers:
        if layer.name.startswith("score"):
            layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))
    return model


@pytest.mark.parametrize("context", ["none", "aspp"])
def test_a_pixel_that_is_further_away_changes_nothing(context):
    model = shaken(context)
    sight = int(sight_of(model))
    assert sight < 600
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32 * math.ceil(sight / 16), 3)).astype(np.float32)
    other = image.copy()
    other[:, :, 0] = 255 - other[:, :, 0]
    (changed,) = np.nonzero(np.any(np.asarray(model(image)) != np.asarray(model(other)), axis=(0, 1, 3)))
    assert sight - 64 < changed.max() <= sight


def test_tiles_that_overlap_by_less_are_said():
    context = build_fcn("fcn8s", "resnet18_v2", num_classes=2, context="mean")
    tiles = InferenceOptions(tile=(640, 1024))
    note = Predictor(context).using(tiles).tile_note(tiles)
    assert note == (
        "the model: sees the whole image, and of a tile only the tile: masks are not those of the whole image"
    )
    assert Predictor(context).tile_note(InferenceOptions()) is None
    assert tile_note(320, tiles) is None
    assert tile_note(321.0, tiles) == (
        "sees 321 pixels to each side, and tiles overlap by 320: for the masks of the whole image take --tile 704 1024 "
        "--overlap 352"
    )
    assert "sees 640 pixels" in tile_note(320, InferenceOptions(tile=(640, 640), scales=(0.5, 1.0)))
    assert Predictor(lambda images: images[..., 0], context.get_layer("logits").classes).tile_note(tiles) is None
