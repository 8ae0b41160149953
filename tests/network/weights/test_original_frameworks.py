"""Weights written by MXNet and torchvision give the same features in our backbones as there.

The files in `fixtures` were made by the scripts beside them; MXNet and torchvision are not needed here.
"""

import dataclasses
import functools

import numpy as np
import pytest
from conftest import ROOT

from keras_fcn.network.backbones import build_backbone, find_backbone
from keras_fcn.training.inputs.initial_weights import load_backbone_weights

FIXTURES = ROOT / "tests/fixtures/weights"
WIDTH = 2


def narrow_backbone(name):
    """Returns a backbone of `build_backbone`, but with as few channels as the fixtures' networks."""
    entry = find_backbone(name)
    return build_backbone(dataclasses.replace(entry, build=functools.partial(entry.build, width=WIDTH)))


@pytest.mark.parametrize(
    ("name", "weights", "features"),
    [
        ("resnet18_v2", "gluon/gluon_resnet18_v2.params", "gluon/gluon_resnet18_v2.npz"),
        ("resnet18_v2", "gluon/gluon_resnet18_v2_counted.params", "gluon/gluon_resnet18_v2.npz"),
        ("resnet18_v2", "gluon/gluon_resnet18_v2_exported.params", "gluon/gluon_resnet18_v2.npz"),
        ("resnet18_v2", "gluon/gluon_resnet18_v2_numpy_shapes.params", "gluon/gluon_resnet18_v2.npz"),
        ("resnet18_v1", "torchvision_resnet18.safetensors", "torchvision_resnet18.npz"),
        ("resnet50_v1b", "torchvision_resnet50.safetensors", "torchvision_resnet50.npz"),
    ],
)
def test_features_equal_those_of_the_original(name, weights, features):
    backbone = narrow_backbone(name)
    load_backbone_weights(backbone, str(FIXTURES / weights))
    with np.load(FIXTURES / features) as original:
        image, *expected = (original[key].transpose(0, 2, 3, 1) for key in ("image", "P3", "P4", "P5"))
    found = backbone(image.astype(np.float32), training=False)
    for level, theirs in zip(("P3", "P4", "P5"), expected, strict=True):
        assert (theirs.max((0, 1, 2)) > 0.1).mean() > 0.5, "most channels should be active"
        np.testing.assert_allclose(found[level], theirs, rtol=0, atol=1e-4 * theirs.max(), err_msg=level)
