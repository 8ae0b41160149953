"""torchvision's networks that segment compute here what they compute there, read from files as torchvision has them.

`torchvision_segmentation.npz` was made by the script beside it; the weights are drawn from the names of the tensors.
"""

import json

import numpy as np
import pytest
from conftest import ROOT
from safetensors.numpy import save_file
from tiny_runs import silent, tiny
from torch_files import draw_image, draw_weights, state_dict, zip_file

from keras_fcn import ClassTable, build_fcn
from keras_fcn.errors import UserError
from keras_fcn.inference.models import load_model
from keras_fcn.network.backbones import build_backbone
from keras_fcn.network.parts import Parts
from keras_fcn.training.inputs import initial_weights
from keras_fcn.training.inputs.initial_weights import load_backbone_weights, load_matching_layers
from keras_fcn.training.train import run_training as train

ORIGINAL = dict(np.load(ROOT / "tests/fixtures/weights/torchvision_segmentation.npz"))
NETS = {
    "lraspp_mobilenet_v3_large": ("lraspp", "mobilenet_v3_large", 16),
    "deeplabv3_mobilenet_v3_large": ("deeplabv3", "mobilenet_v3_large", 16),
    "fcn_resnet50": ("fcn", "resnet50_v1b", 8),
    "fcn_resnet101": ("fcn", "resnet101_v1b", 8),
    "deeplabv3_resnet50": ("deeplabv3", "resnet50_v1b", 8),
}
CHOOSE = "choose model='lraspp', backbone='mobilenet_v3_large' and output_stride=16$"
SMALLEST = "lraspp_mobilenet_v3_large"


def tensors_of(name):
    return draw_weights(json.loads(str(ORIGINAL[f"{name} shapes"])))


@pytest.fixture(scope="module")
def lraspp(tmp_path_factory):
    """Returns the path of a file of LR-ASPP."""
    path = tmp_path_factory.mktemp("lraspp") / "lraspp_mobilenet_v3_large-d234d4ea.pth"
    path.write_bytes(zip_file(state_dict(tensors_of(SMALLEST))))
    return path


@pytest.fixture(scope="module")
def network(lraspp):
    """Returns LR-ASPP; tests do not change it."""
    return load_model(lraspp)


@pytest.mark.parametrize("name", [SMALLEST, *(pytest.param(name, marks=pytest.mark.slow) for name in list(NETS)[1:])])
def test_logits_equal_torchvisions(name, network, tmp_path):
    if name != SMALLEST:
        (tmp_path / "net.pth").write_bytes(zip_file(state_dict(tensors_of(name))))
        network = load_model(tmp_path / "net.pth")
    parts = Parts(network)
    assert (parts.network, parts.backbone.name, parts.output_stride) == NETS[name]
    assert parts.logits.classes == ClassTable.voc()
    found = np.asarray(network(draw_image()[None].astype(np.float32)))[0, ::5, ::7]
    scale = np.abs(ORIGINAL[name]).max()
    assert len(np.unique(ORIGINAL[name].argmax(-1))) > 2
    np.testing.assert_allclose(found, ORIGINAL[name], rtol=0, atol=1e-4 * scale)


def test_classes_of_the_same_name_keep_their_scores(lraspp, network, monkeypatch):
    monkeypatch.setattr(initial_weights, "load_model", lambda path: network)
    classes = ClassTable.named(["background", "person", "lamp", "cat"])
    model = build_fcn("lraspp", "mobilenet_v3_large", classes=classes, output_stride=16)
    loaded = load_matching_layers(model, lraspp)
    assert loaded.description.endswith(
        "-d234d4ea.pth: mobilenet_v3_large, head_conv, head_bn, scale_conv, score_fr, score_low; scores are kept for "
        "background, person, cat, and start at 0 for lamp"
    )
    image = draw_image()[None].astype(np.float32)
    ours, theirs = np.asarray(model(image)), np.asarray(network(image))
    np.testing.assert_allclose(ours[..., [0, 1, 3]], theirs[..., [0, 15, 8]], rtol=0, atol=1e-5 * np.abs(theirs).max())
    assert not np.any(ours[..., 2])


def test_another_head_or_stride_takes_the_backbone_and_says_so(lraspp, network, monkeypatch):
    monkeypatch.setattr(initial_weights, "load_model", lambda path: network)
    model = build_fcn("fcn16s", "mobilenet_v3_large", num_classes=21)
    loaded = load_matching_layers(model, lraspp)
    assert loaded.description.endswith(
        ".pth: mobilenet_v3_large; score_fr, upscore2, score_pool4, upscore16 start anew; trained with an "
        "output stride of 16"
    )
    theirs = Parts(network).backbone.get_weights()
    for weight, expected in zip(Parts(model).backbone.get_weights(), theirs, strict=True):
        np.testing.assert_array_equal(weight, expected)
    with pytest.raises(
        UserError, match=r"pth: is lraspp_mobilenet_v3_large, without the backbone resnet18_v1; " + CHOOSE
    ):
        load_matching_layers(build_fcn("fcn", "resnet18_v1", num_classes=21), lraspp)


def test_the_backbone_alone_is_read_from_torchvisions_classifier(network, tmp_path):
    tensors = {
        name.replace("backbone.", "features."): tensor
        for name, tensor in tensors_of(SMALLEST).items()
        if name.startswith("backbone.")
    }
    save_file({**tensors, "classifier.0.weight": np.ones((2, 2), "f")}, tmp_path / "mobilenet.safetensors")
    backbone = build_backbone("mobilenet_v3_large", output_stride=16)
    load_backbone_weights(backbone, str(tmp_path / "mobilenet.safetensors"))
    expected = Parts(network).backbone.get_weights()
    for weight, other in zip(backbone.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifier.low_classifier.weight": None}, "holds none of torchvision's networks that segment: fcn or deep"),
        ({"backbone.0.0.weight": None}, "holds none of torchvision's networks that segment"),
        (
            {"classifier.high_classifier.weight": None},
            "lacks classifier.high_classifier.weight of torchvision's lraspp",
        ),
        ({"classifier.high_classifier.weight": np.ones((5, 128, 1, 1), "f")}, "has 5 classes whose names are not told"),
        ({"classifier.cbr.1.bias": None}, "lacks classifier.cbr.1.bias of lraspp_mobilenet_v3_large$"),
        ({"classifier.more": np.ones(1, "f")}, "holds classifier.more, which lraspp_mobilenet_v3_large does not have$"),
        (
            {"backbone.4.block.2.fc1.bias": np.ones(3, "f")},
            r"fc1.bias, for the bias of block4_squeeze, is 3 of float32",
        ),
    ],
)
def test_another_network_is_named(tmp_path, changes, message):
    tensors = {name: value for name, value in {**tensors_of(SMALLEST), **changes}.items() if value is not None}
    save_file(tensors, tmp_path / "net.pth")
    with pytest.raises(UserError, match=message) as caught:
        load_model(tmp_path / "net.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'net.pth'}: ")


def test_a_whole_network_is_no_backbone(tmp_path):
    save_file({"backbone.0.0.weight": np.ones(1, "f"), "classifier.4.weight": np.ones(1, "f")}, tmp_path / "net.pth")
    with pytest.raises(UserError, match=r"net.pth: holds a whole network of torchvision, .*; init_from takes it$"):
        load_backbone_weights(build_backbone("mobilenet_v3_large"), str(tmp_path / "net.pth"))


def test_only_some_backbones_have_other_output_strides():
    message = r"^output_stride=8 is for resnet18_v1, .*resnet152_v1b. Received: backbone='mobilenet_v3_large'$"
    with pytest.raises(UserError, match=message):
        build_fcn("lraspp", "mobilenet_v3_large", num_classes=2, output_stride=8)


@pytest.mark.slow
def test_a_training_starts_from_it_and_its_run_is_resumed(toy, lraspp, tmp_path):
    """With an auxiliary head, which torchvision's network does not have."""
    network = {"model": "lraspp", "backbone": "mobilenet_v3_large", "output_stride": 16, "auxiliary": 0.4}
    lines = []
    run = train(tiny(toy, **network, init_from=lraspp, epochs=1), tmp_path / "run", report=lines.append)
    assert any(
        f"Weights  {lraspp}: mobilenet_v3_large, head_conv, head_bn, scale_conv, score_fr" in line for line in lines
    )
    longer = train(tiny(toy, **network, init_from=lraspp, epochs=2), resume=run.root, report=silent)
    assert [row.epoch for row in longer.read_history()] == [1, 2]
    assert Parts(load_model(longer.best_model)).network == "lraspp"
