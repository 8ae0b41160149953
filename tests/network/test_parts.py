import keras
import pytest

from keras_fcn.network.fcn import build_fcn
from keras_fcn.network.parts import Parts
from keras_fcn.runs.names import NETWORKS


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
    assert {tensor.shape[-1] for tensor in parts.levels.values()} <= {192, 576, 1280}
    assert all(tensor._keras_history.operation is parts.backbone for tensor in parts.levels.values())
    weights = [id(weight) for layer in parts.decoder.values() for weight in layer.weights]
    assert sorted(weights + [id(weight) for weight in parts.backbone.weights]) == sorted(map(id, network.weights))


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
