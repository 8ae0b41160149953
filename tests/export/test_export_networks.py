"""SavedModels of every network and number of classes; each export compares itself with the live model."""

import io

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call
from kinds_of_files import write_photo
from PIL import Image
from tiny_runs import silent, tiny

from export.saved_model import export_saved_model
from export.server.model.engine.network import LargeImages
from export.server.model.engine.worker import open_network
from export.server.model.files.header import BadImageError
from export.server.model.servable import Servable
from keras_fcn import ClassTable, build_fcn
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.runs.names import BACKBONES, NETWORKS
from keras_fcn.training.train import run_training as train


@pytest.mark.parametrize("num_classes", [2, 150, pytest.param(254, marks=pytest.mark.slow)])
def test_the_last_of_many_classes_reaches_the_mask(num_classes, tmp_path):
    model = build_fcn("fcn8s", "resnet18_v2", classes=ClassTable.numbered(num_classes))
    score = model.get_layer("score_fr")
    score.bias.assign(100.0 * np.eye(num_classes)[-1])
    version, _ = export_saved_model(model, tmp_path / "out")
    signatures = tf.saved_model.load(str(version)).signatures
    file = write_photo(tmp_path, "plain.jpg")
    answer = signatures["serving_default"](image_bytes=tf.constant([file.read_bytes()]))
    mask = np.asarray(Image.open(io.BytesIO(answer["mask_png_bytes"].numpy()[0])))
    assert mask.shape == Image.open(file).size[::-1]
    assert (mask == num_classes - 1).all()
    assert answer["class_shares"].numpy()[0].tolist() == np.eye(num_classes)[-1].tolist()
    one_pixel = signatures["images"](images=tf.zeros((1, 1, 1, 3), tf.uint8))["classes"].numpy()
    assert one_pixel.tolist() == [[[num_classes - 1]]]


def test_a_network_with_context_is_exported(tmp_path):
    """Context is of means over an image: another image in the batch must not change it, and there are no tiles."""
    model = build_fcn("fcn8s", "resnet18_v2", num_classes=3, context="pyramid")
    for layer in model.layers:
        if layer.name.startswith(("score_fr", "score_context")):
            layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))
    version, _ = export_saved_model(model, tmp_path / "out")
    score = tf.saved_model.load(str(version)).signatures["probabilities"]
    images = np.random.default_rng(1).integers(0, 256, (2, 40, 70, 3), np.uint8)
    images[1] //= 4
    together = score(images=tf.constant(images))["probabilities"].numpy()
    for number in range(2):
        alone = score(images=tf.constant(images[number : number + 1]))["probabilities"].numpy()
        np.testing.assert_allclose(together[number], alone[0], atol=1e-4)
    large = LargeImages(InferenceOptions(tile=(64, 64)), max_whole_pixels=10_000)
    servable = Servable(open_network(version, large), "1", large)
    assert (servable.max_pixels, servable.goes_in_tiles(10_000)) == (10_000, False)
    with pytest.raises(BadImageError, match=r"claims 73 x 137 pixels; the limit is 10000 pixels for this network"):
        servable.read_header(tf.io.encode_png(np.zeros((73, 137, 3), np.uint8)).numpy())


@pytest.mark.parametrize(
    "backbone",
    [
        # It has swish, whose custom gradient cannot be saved, and weights of depthwise convolutions.
        name if name == "efficientnet_v2_b0" else pytest.param(name, marks=pytest.mark.slow)
        for name in BACKBONES
    ],
)
def test_every_backbone_is_exported(backbone, tmp_path):
    _, comparisons = export_saved_model(build_fcn("fcn8s", backbone, num_classes=3), tmp_path / "out")
    assert {comparison.signature for comparison in comparisons} == {"images", "probabilities", "serving_default"}


@pytest.fixture(scope="module")
def lite(toy, tmp_path_factory):
    """Returns a run of a network that is made for int8."""
    config = tiny(
        toy, backbone="efficientnet_lite0", weights="imagenet", epochs=25, optimizer="adamw", learning_rate=0.004
    )
    return train(config, tmp_path_factory.mktemp("lite") / "run", report=silent).root


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "openvino", "litert"])
def test_efficientnet_lite_is_as_good_in_int8(toy, lite, tmp_path, name):
    size = ["--size", 64, 96] if name == "litert" else []
    words = ["--int8", "--calibrate", toy, "--photographs", 8, *size]
    call = Call(f"export/{name}.py", lite, tmp_path / "out", *words)
    assert call.status == 0, call.err
    ious = [float(line.split()[-1]) for line in call.out.splitlines()[-3:-1]]
    assert ious[0] > 8
    assert abs(ious[0] - ious[1]) < 3


@pytest.mark.slow
@pytest.mark.parametrize("model", NETWORKS)
def test_every_stride_is_exported(model, tmp_path):
    _, comparisons = export_saved_model(build_fcn(model, "resnet18_v2", num_classes=3), tmp_path / "out")
    assert max(comparison.difference for comparison in comparisons) < 1e-3
