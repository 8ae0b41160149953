"""Receptive fields against the reactions of networks with positive weights, and against published values."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_fcn import build_fcn
from keras_fcn.network.cost.receptive_field import WHOLE_IMAGE, Windows, receptive_fields, slide, spread, union
from keras_fcn.network.cost.trace import trace_model
from keras_fcn.network.layers import Enlarge


def make_positive(model):
    """Sets positive weights, so that a brighter pixel increases all features that depend on it, and black gives 0."""
    for weight in model.weights:
        *size, _, _ = weight.shape if len(weight.shape) == 4 else (1, 1, 1)
        inputs = 1 if "depthwise" in weight.path or len(weight.shape) < 4 else weight.shape[2]
        values = {"kernel": 1 / np.prod(size) / inputs, "gamma": 1, "moving_variance": 1}
        weight.assign(np.full(weight.shape, values.get(weight.name, 0), np.float32))


def reactions(model, size, rows):
    """Returns whether output rows react, [rows, H'], to each white row of a black image (axis 1: columns)."""
    images = np.zeros((len(rows), *size, 3), np.float32)
    for image, row in zip(images, rows):
        image[row] = 1
    return np.asarray(model(images)).max(axis=(2, 3)) > 0


def build(*chain, joined=()):
    """Builds a model of layers in a row; those of `joined` are another path, added at the end."""
    image = keras.Input((None, None, 3))
    ends = []
    for path in filter(None, (chain, joined)):
        x = image
        for layer in path:
            x = layer(x)
        ends.append(x)
    return keras.Model(image, layers.Add()(ends) if joined else ends[0])


def conv(size, stride=1, padding="same", **kwargs):
    return layers.Conv2D(3, size, stride, padding, **kwargs)


def up(size, stride, padding="same"):
    return layers.Conv2DTranspose(3, size, stride, padding)


SMALL = {
    "one": lambda: build(conv(3)),
    "strided, padded by Keras on even sizes": lambda: build(conv(3, 2), conv(3, 2), conv(3)),
    "strided, valid": lambda: build(conv(5, 2, "valid"), conv(3, 3, "valid")),
    "even kernels": lambda: build(conv(2), conv(4, 2), conv(2, 2, "valid")),
    "dilated": lambda: build(conv(3, dilation_rate=3), layers.MaxPooling2D(2), conv(3, dilation_rate=2)),
    "depthwise": lambda: build(
        layers.DepthwiseConv2D(5, 2, "same", name="depthwise1"), layers.DepthwiseConv2D(3, name="depthwise2")
    ),
    "pooling": lambda: build(layers.MaxPooling2D(3, 2), layers.AveragePooling2D(2, padding="same"), layers.ReLU(6)),
    "pooling with gaps": lambda: build(layers.MaxPooling2D(1, 2), conv(3)),
    "padded and cropped": lambda: build(
        layers.ZeroPadding2D(((2, 1), (0, 3))), conv(3, 2, "valid"), layers.Cropping2D(((1, 0), (0, 1)))
    ),
    "bilinear": lambda: build(conv(3, 2), conv(3, 2), up(8, 4)),
    "resized": lambda: build(conv(3, 2), Enlarge(2)),
    "resized by eight": lambda: build(conv(3, 4), Enlarge(8), layers.Cropping2D(((0, 1), (0, 0)))),
    "odd transposed": lambda: build(conv(3, 2), up(3, 2)),
    "valid transposed": lambda: build(conv(3, 2), up(4, 2, "valid"), conv(3)),
    "transposed with gaps": lambda: build(conv(5, 2), up(1, 2)),
    "transposed, then strided by another number": lambda: build(conv(3, 4), up(4, 2), conv(3, 3)),
    "two transposed": lambda: build(conv(3, 6), up(4, 2), up(6, 3)),
    "two paths": lambda: build(conv(3, 2), conv(7), joined=(layers.MaxPooling2D(2, padding="same"),)),
    "two paths beside each other": lambda: build(
        layers.ZeroPadding2D(((5, 0), (5, 0))), conv(3, 2, "valid"), conv(3, 1, "valid"), joined=(conv(1, 2),)
    ),
    "two paths of two strides": lambda: build(conv(3, 4), up(8, 4), joined=(conv(3, 2), up(2, 2))),
}
EVEN_ONLY = {"two paths beside each other", "two paths of two strides"}  # in others, both paths fit at odd sizes, too


@pytest.mark.parametrize(
    ("name", "size"), [(name, n) for name in SMALL for n in ([96] if name in EVEN_ONLY else [96, 97])]
)
def test_every_position_sees_exactly_its_window(name, size):
    model = SMALL[name]()
    make_positive(model)
    reacts = reactions(model, (size, 24), range(size))
    trace = trace_model(model, (size, 24))
    (output,) = trace.outputs.values()
    assert output.shape[1] == reacts.shape[1]
    windows, _ = receptive_fields(trace)[output]
    checked = 0
    for position in range(reacts.shape[1]):
        first, last = windows.bounds(position)
        if first == np.inf:
            assert not reacts[:, position].any()
        elif first >= 0 and last < size:
            seen = np.flatnonzero(reacts[:, position])
            assert (seen[0], seen[-1]) == (first, last)
            checked += 1
    assert checked > reacts.shape[1] // 3
    sizes = [last - first + 1 for first, last in map(windows.bounds, range(12))]
    assert windows.size == max(sizes)


@pytest.mark.parametrize(("backbone", "input_scale"), [("resnet18_v2", 1), ("mobilenet_v2", 1), ("mobilenet_v2", 0.8)])
def test_the_networks_see_exactly_their_windows(backbone, input_scale):
    network = build_fcn("fcn8s", backbone, num_classes=3, input_scale=input_scale)
    normalization = network.get_layer("normalization")
    normalization.scale, normalization.offset = 1.0, 0.0  # black is 0
    make_positive(network)
    trace = trace_model(network, (960, 32))
    fields = receptive_fields(trace)
    body = network.get_layer(backbone)
    for name in ("P3", "P4", "P5", "logits"):
        windows, _ = fields[trace.outputs[name]]
        position = trace.outputs[name].shape[1] // 2 + 1
        first, last = map(int, windows.bounds(position))
        assert 0 < first < last < 959
        model = network if name == "logits" else keras.Model(body.input, body.output[name])
        if input_scale != 1 and name != "logits":  # the backbone alone does not know of it
            continue
        reacts = reactions(model, (960, 32), [first - 1, first, last, last + 1])
        assert reacts[:, position].tolist() == [False, True, True, False]


PUBLISHED = {"VGG16": 212, "MobileNet": 315, "ResNet50": 483}
"""Araujo, Norris, Sim (Distill, 2019), table of receptive fields; VGG16's to its last pooling."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_receptive_fields(name):
    trace = trace_model(getattr(keras.applications, name)(include_top=False, weights=None), (224, 224))
    (output,) = trace.outputs.values()
    height, width = receptive_fields(trace)[output]
    assert height.size == width.size == PUBLISHED[name]
    assert height.stride == 32


def test_squeeze_and_excite_sees_the_whole_image_but_keeps_its_stride():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, 2, "same")(image)
    pooled = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(pooled)
    model = keras.Model(image, layers.Conv2D(8, 3, 2, "same")(layers.Multiply()([x, gate])))
    trace = trace_model(model, (33, 47))
    (output,) = trace.outputs.values()
    for windows in receptive_fields(trace)[output]:
        assert (windows.size, windows.stride) == (None, 4)


def test_windows_by_hand():
    # Stride 2, kernel 3, one pixel of padding: position n sees pixels 2n - 1 to 2n + 1.
    strided = slide(Windows(1, (0,), (0,)), 3, 2, 1)
    assert strided == Windows(2, (-1,), (1,))
    # Twice as many, kernel 4, one cut off: output 2n takes inputs n - 1 and n, output 2n + 1 takes n and n + 1.
    doubled = spread(strided, 4, 2, 1)
    assert doubled == Windows(2, (-3, -1), (1, 3))
    assert (doubled.size, doubled.stride, doubled.bounds(5)) == (5, 1, (3, 7))
    assert union([doubled, Windows(1, (-9,), (0,))]) == Windows(2, (-9, -8), (1, 3))
    assert union([WHOLE_IMAGE, strided]) == Windows(2, (-np.inf,), (np.inf,))
    with pytest.raises(ValueError, match="features of strides 2, 1 are joined"):
        union([strided, doubled])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.UpSampling2D(2, name="up"), "layer 'up' is of the unknown class UpSampling2D"),
        (layers.Conv2DTranspose(3, 3, dilation_rate=2, name="up"), "layer 'up' is a dilated Conv2DTranspose"),
    ],
)
def test_unknown_layers_are_named(layer, message):
    with pytest.raises(ValueError, match=message):
        receptive_fields(trace_model(build(layer), (8, 8)))


def test_rows_that_are_joined_are_refused():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Concatenate(1, name="rows")([image, image]))
    with pytest.raises(ValueError, match="layer 'rows' concatenates along axis 1"):
        receptive_fields(trace_model(model, (8, 8)))
