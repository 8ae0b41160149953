import keras
import pytest

from keras_fcn.network.fcn import build_fcn
from keras_fcn.network.parts import Parts
from keras_fcn.runs.names import HEADS, NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parts_are_the_layers_that_the_network_calls(name):
    """Against the network's own graph, without layer names."""
    network = build_fcn(name, "mobilenet_v2", num_classes=3, context=True, auxiliary=True)
    network = keras.Model(network.input, network.output, name="renamed")
    parts = Parts(network)
    assert (parts.network, parts.backbone.name) == (name, "mobilenet_v2")
    assert parts.heads[0].strides[0] == NETWORKS[name]
    assert parts.heads[1].size == (16, 16)
    for head, logits in zip(parts.heads, network.outputs, strict=True):
        scores, _ = logits._keras_history.operation.input
        assert scores._keras_history.operation is head
    assert {tensor.shape[-1] for tensor in parts.levels.values()} <= {144, 192, 576, 1280}
    assert all(tensor._keras_history.operation is parts.backbone for tensor in parts.levels.values())
    weights = [id(weight) for layer in parts.decoder.values() for weight in layer.weights]
    assert sorted(weights + [id(weight) for weight in parts.backbone.weights]) == sorted(map(id, network.weights))


@pytest.mark.parametrize("name", HEADS)
def test_other_heads_have_the_same_parts(name):
    network = build_fcn(name, "resnet18_v1", num_classes=3, output_stride=16, auxiliary=True)
    parts = Parts(network)
    assert (parts.network, parts.backbone.name, parts.output_stride) == (name, "resnet18_v1", 16)
    assert [head.size[0] for head in parts.heads] == [8 if name == "lraspp" else 16, 16]
    assert {level: tensor.shape[-1] for level, tensor in parts.levels.items()} == {
        "P5": 512, "P4": 256, **({"P3": 128} if name == "lraspp" else {})
    }  # fmt: skip
    image = keras.random.uniform((1, 40, 50, 3), 0, 255, seed=0)
    features = parts.features(image)
    inputs = {"image": image, "features": [features[level] for level in parts.levels]}
    found = [keras.tree.flatten(parts.scorer(start)(given))[0] for start, given in inputs.items()]
    assert float(keras.ops.max(keras.ops.abs(found[0] - found[1]))) < 1e-5


@pytest.mark.parametrize(("stride", "shapes"), [(16, [(8, 12), (4, 6), (4, 6)]), (8, [(8, 12), (8, 12), (8, 12)])])
def test_dilated_features_are_finer(stride, shapes):
    """FCN-8s over them adds the same levels, and scores at stride 8."""
    parts = Parts(build_fcn("fcn8s", "resnet18_v1", num_classes=3, output_stride=stride))
    assert (parts.network, parts.output_stride, parts.heads[0].name) == ("fcn8s", stride, "upscore8")
    features = parts.backbone.compute_output_shape((1, 64, 96, 3))
    assert [tuple(features[level][1:3]) for level in ("P3", "P4", "P5")] == shapes
    assert parts.scorer().compute_output_shape((1, 64, 96, 3)) == [(1, 8, 12, 3)]


def test_each_part_of_the_network_leads_to_the_same_scores():
    network = build_fcn("fcn8s", "mobilenet_v2", num_classes=3)
    parts, image = Parts(network), keras.random.uniform((1, 40, 50, 3), 0, 255, seed=0)
    features = parts.features(image)
    inputs = {
        "image": image,
        "normalized": parts.normalize(image),
        "features": [features[level] for level in parts.levels],
    }
    found = [keras.tree.flatten(parts.scorer(start)(given))[0] for start, given in inputs.items()]
    assert found[0].shape == (1, 8, 8, 3)
    for scores in found[1:]:
        assert float(keras.ops.max(keras.ops.abs(scores - found[0]))) < 1e-5
