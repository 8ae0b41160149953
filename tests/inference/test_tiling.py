"""Variants of an image and tiles of it, against the network on the whole image and against NumPy."""

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from narrow import full_width

from keras_fcn import Predictor, build_fcn
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import image_size
from keras_fcn.inference.graphs import probability_function, segmenter
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.models import LABELS_FILE, SIGNATURE
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.tiling import Tiled
from keras_fcn.network.cost.receptive_field import receptive_fields
from keras_fcn.network.cost.trace import trace_model
from keras_fcn.system.files import write_json

CLASSES = ClassTable.numbered(4)


def local_probabilities(images):
    """Probabilities of each pixel alone, so that tiles must change nothing at all."""
    colors = tf.cast(tf.convert_to_tensor(images), tf.float32)
    return tf.nn.softmax(tf.concat([colors, tf.reduce_sum(colors, -1, keepdims=True) / 3], -1) / 40)


def cheap_predictor(probabilities=local_probabilities):
    return Predictor(lambda images: tf.cast(tf.argmax(probabilities(images), -1), tf.uint8), CLASSES, probabilities)


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def network():
    """A network whose classes compete everywhere, unlike those of a fresh one, where one wins by far."""
    tf.keras.utils.set_random_seed(1)
    with full_width():
        model = build_fcn("fcn8s", "resnet18_v2", classes=CLASSES)
    heads = [model.get_layer(name) for name in ("score_fr", "score_pool4", "score_pool3")]
    for head in heads:
        head.kernel.assign(np.random.default_rng(2).normal(0, 0.1, head.kernel.shape))
    logits = np.asarray(model(random_image(200, 200)[None].astype(np.float32)))
    for head in heads:
        head.kernel.assign(head.kernel / logits.std(axis=(0, 1, 2)))
    heads[0].bias.assign(-(logits / logits.std(axis=(0, 1, 2))).mean(axis=(0, 1, 2)))
    return model


@pytest.fixture(scope="module")
def predictor(network):
    return Predictor(segmenter(network), CLASSES, probability_function(network))


def test_probabilities_are_the_softmax_of_the_logits(network, predictor):
    image = random_image(45, 70)
    logits = np.asarray(network(image[None].astype(np.float32)), np.float64)[0]
    expected = np.exp(logits - logits.max(-1, keepdims=True))
    expected /= expected.sum(-1, keepdims=True)
    probabilities = predictor.probabilities(image)
    assert (probabilities.shape, probabilities.dtype) == ((45, 70, 4), np.float32)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_array_equal(predictor(image), expected.argmax(-1))
    assert len(np.unique(predictor(image))) > 1


def test_without_options_nothing_comes_between(predictor):
    assert predictor.using(InferenceOptions()) is predictor


@pytest.mark.parametrize(
    "options",
    [InferenceOptions(), InferenceOptions(flip=True, scales=(0.5, 1.0)), InferenceOptions(tile=(64, 96))],
    ids=["plain", "flip and scales", "tiles"],
)
@pytest.mark.parametrize("size", [(64, 96), (45, 70), (200, 96)])
def test_a_batch_of_no_images_has_no_masks(predictor, options, size):
    several, images = predictor.using(options), np.zeros((0, *size, 3), np.uint8)
    assert np.asarray(several.segment(images)).shape == (0, *size)
    assert np.asarray(several.score(images)).shape == (0, *size, 4)


@pytest.mark.parametrize("options", [InferenceOptions(flip=True), InferenceOptions(flip=True, scales=(0.75, 1.0, 1.5))])
def test_the_flip_of_a_flipped_image_is_the_flip_of_the_mask(predictor, options):
    """Not so without the option: the network is not symmetric, and an uneven width is padded on the right."""
    image, flipping = random_image(64, 77), predictor.using(options)
    mirrored = flipping.probabilities(image[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(flipping.probabilities(image), mirrored, atol=2e-5)
    assert np.abs(predictor.probabilities(image) - predictor.probabilities(image[:, ::-1])[:, ::-1]).max() > 1e-3
    np.testing.assert_array_equal(flipping(image), flipping.probabilities(image).argmax(-1))


def test_flipping_is_the_mean_of_both(predictor):
    image = random_image(40, 52)
    both = predictor.probabilities(image), predictor.probabilities(image[:, ::-1].copy())[:, ::-1]
    np.testing.assert_allclose(
        predictor.using(InferenceOptions(flip=True)).probabilities(image), (both[0] + both[1]) / 2, atol=1e-6
    )


def bilinear(values, height, width):
    """Resizes [H, W, C] between the centres of pixels: a loop over NumPy, border values repeated beyond it."""
    result = np.empty((height, width, values.shape[-1]))
    for y, x in np.ndindex(height, width):
        row = np.clip((y + 0.5) * values.shape[0] / height - 0.5, 0, values.shape[0] - 1)
        column = np.clip((x + 0.5) * values.shape[1] / width - 0.5, 0, values.shape[1] - 1)
        top, left = int(row), int(column)
        bottom, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
        down, across = row - top, column - left
        upper = values[top, left] * (1 - across) + values[top, right] * across
        lower = values[bottom, left] * (1 - across) + values[bottom, right] * across
        result[y, x] = upper * (1 - down) + lower * down
    return result


def test_scales_are_the_mean_of_probabilities_resized_back(predictor):
    image, expected = random_image(30, 41), 0
    for scale, size in ((0.5, (15, 20)), (1, (30, 41)), (1.5, (45, 62))):
        variant = image if scale == 1 else np.rint(bilinear(image.astype(float), *size)).astype(np.uint8)
        expected = expected + bilinear(predictor.probabilities(variant).astype(float), 30, 41) / 3
    received = predictor.using(InferenceOptions(scales=(0.5, 1.0, 1.5))).probabilities(image)
    np.testing.assert_allclose(received, expected, atol=2e-3)  # a rounding to 8 bits may fall the other way
    assert np.abs(received - expected).mean() < 1e-5


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (63, 65), (64, 64), (65, 97), (200, 130), (160, 321)])
@pytest.mark.parametrize("overlap", [0, 32])
@pytest.mark.parametrize("tile", [(64, 96), (96, 64)])
def test_tiles_add_up_to_the_whole_at_every_pixel(size, overlap, tile):
    image = random_image(*size)
    tiled = cheap_predictor().using(InferenceOptions(tile=tile, overlap=overlap))
    np.testing.assert_allclose(tiled.probabilities(image), local_probabilities(image), atol=1e-6)
    np.testing.assert_array_equal(tiled(image), cheap_predictor()(image))


def test_tiles_of_one_color_are_predicted_once():
    image, seen = random_image(128, 320), []
    image[:, :200] = 7

    def probabilities(images):
        seen.append(images.shape)
        return local_probabilities(images)

    tiled = cheap_predictor(probabilities).using(InferenceOptions(tile=(64, 64), overlap=0))
    np.testing.assert_array_equal(tiled(image), cheap_predictor()(image))
    assert len(seen) == 2 * 2 + 1


@pytest.mark.parametrize("size", [(0, 40), (40, 0)])
def test_an_image_without_pixels_has_a_mask_without_pixels(size):
    tiled = cheap_predictor().using(InferenceOptions(tile=(32, 32), overlap=0))
    assert tiled(np.zeros((*size, 3), np.uint8)).shape == size


def test_options_keep_the_tiles_that_suit_the_input_scale():
    plain = cheap_predictor()
    plain.limits = WholeImages.of(4, input_scale=0.5)
    for options in (InferenceOptions(), InferenceOptions(flip=True), InferenceOptions(threshold=("class1=0.3",))):
        assert plain.using(options).tiles_of(9000, 9000).tile == (2048, 2048)


def test_tiles_begin_at_multiples_of_32_and_end_with_the_image():
    seen = []

    def probabilities(images):
        seen.append(images.shape[1:3])
        return local_probabilities(images)

    for _ in Tiled(probabilities, (128, 160), 64).blocks(random_image(300, 500)):
        pass
    tops, lefts = (0, 64, 128, 192), (0, 96, 192, 288, 384)
    assert seen == [(min(128, 300 - top), min(160, 500 - left)) for top in tops for left in lefts]


def test_weights_fall_linearly_over_the_middle_half_of_the_overlap():
    """Each call returns its number, so that what comes out shows how much of each tile is in it."""
    calls = []

    def probabilities(images):
        calls.append(None)
        return np.full((*images.shape[:3], 1), float(len(calls) - 1), np.float32)

    values = Tiled(probabilities, (64, 64), 32).probabilities(random_image(40, 96)[None])[0, :, :, 0]
    expected = np.concatenate([np.zeros(40), (np.arange(16) + 0.5) / 16, np.ones(40)])
    np.testing.assert_allclose(values, np.broadcast_to(expected, (40, 96)), atol=1e-6)
    calls.clear()
    values = Tiled(probabilities, (64, 64), 32).probabilities(random_image(96, 40)[None])[0, :, :, 0]
    np.testing.assert_allclose(values, np.broadcast_to(expected[:, None], (96, 40)), atol=1e-6)


def test_away_from_seams_tiles_change_nothing_where_overlaps_cover_the_receptive_field(network, predictor):
    """Tiles of 640 pixels side by side, the second one beginning at 640 - 288 = 352: seams are 352-639 and 704-991."""
    trace = trace_model(network, (256, 256))
    field = receptive_fields(trace)[trace.outputs["logits"]][1]
    before = max(position - field.bounds(position)[0] for position in range(len(field.first)))
    after = max(field.bounds(position)[1] - position for position in range(len(field.last)))
    assert max(before, after) <= 288
    image = random_image(70, 1250)
    whole = predictor.probabilities(image)

    def errors(width, overlap):
        tiled = Tiled(predictor.score, (640, width), overlap).probabilities(image[None])[0]
        return np.abs(tiled - whole).max(axis=(0, 2))

    error = errors(640, 288)
    away = np.concatenate([error[:352], error[640:704], error[992:]])
    assert away.max() < 1e-4
    assert error.max() > 1e-3  # at seams, tiles know less than the whole
    assert errors(620, 276)[620:680].max() > 1e-2  # tiles that begin anywhere have another grid of features


def test_the_mask_of_tiles_is_the_argmax_of_their_probabilities(predictor):
    image = random_image(150, 170)
    tiled = predictor.using(InferenceOptions(flip=True, tile=(96, 128), overlap=32))
    probabilities = tiled.probabilities(image)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(tiled(image), probabilities.argmax(-1))
    batch = tiled.segment(tf.constant(np.stack([image[::-1], image])))
    np.testing.assert_array_equal(batch[1], tiled(image))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": ()}, "scales must be one or more factors greater than 0. Received: none"),
        ({"scales": (1.0, 0.0)}, "scales must be .* Received: 1.0 0.0"),
        ({"scales": (float("nan"),)}, "scales must be .* Received: nan"),
        ({"tile": (1000, 1024)}, "tile takes multiples of 32, the networks' stride, such as 992 1024"),
        ({"tile": (0, 512)}, "tile takes multiples of 32, .* such as 32 512. Received: 0 512"),
        ({"tile": (512, 512), "overlap": 100}, "overlap takes multiples of 32, .* such as 96. Received: 100"),
        ({"tile": (512, 256), "overlap": 160}, "overlap must be at most half of the tile, here 128. Received: 160"),
        ({"overlap": 64}, "overlap needs tile. Received: 64"),
    ],
)
def test_options_out_of_range_are_one_line(options, message):
    with pytest.raises(UserError, match=message) as caught:
        InferenceOptions(**options)
    assert "\n" not in str(caught.value)


def test_the_overlap_that_is_not_given_fits_the_tile():
    assert InferenceOptions().tile_overlap == 0
    assert InferenceOptions(tile=(1024, 2048)).tile_overlap == 320
    assert InferenceOptions(tile=(224, 512)).tile_overlap == 96
    assert InferenceOptions(tile=(1024, 1024), overlap=0).tile_overlap == 0


def test_a_model_without_probabilities_says_how_to_get_them():
    predictor = Predictor(lambda images: images[..., 0], CLASSES, name="exported/1")
    assert predictor(random_image(3, 4)).shape == (3, 4)
    for use in (lambda: predictor.probabilities(random_image(3, 4)), lambda: predictor.using(InferenceOptions(True))):
        with pytest.raises(UserError, match=r"exported/1: returns classes without prob.*python -m export.saved_model"):
            use()


def test_a_saved_model_from_before_still_gives_classes(tmp_path):
    module = tf.Module()
    module.images = tf.function(
        lambda images: {"classes": images[..., 0] % 4},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")],
    )
    tf.saved_model.save(module, str(tmp_path / "1"), {SIGNATURE: module.images})
    write_json(tmp_path / "1" / LABELS_FILE, CLASSES.to_dict())
    image = random_image(20, 30)
    np.testing.assert_array_equal(Predictor.open(tmp_path)(image), image[..., 0] % 4)
    with pytest.raises(UserError, match=f"{tmp_path}/1: returns classes without probabilities"):
        Predictor.open(tmp_path, InferenceOptions(flip=True))


def test_a_saved_model_has_probabilities(trained, exported):
    image, options = random_image(32, 64), InferenceOptions(flip=True, scales=(0.5, 1.0))
    live, loaded = (Predictor.open(path) for path in (trained, exported))
    for first, second in ((live, loaded), (live.using(options), loaded.using(options))):
        # A graph of constants rounds elsewhere than a live network: by 3e-5 of a probability on one processor.
        np.testing.assert_allclose(second.probabilities(image), first.probabilities(image), rtol=1e-4, atol=1e-5)
        assert (second(image) == first(image)).mean() > 0.999


PROGRAM = """
import resource, sys
from keras_fcn.system.startup import start_tensorflow
start_tensorflow()
import tensorflow as tf
from keras_fcn import ClassTable, Predictor, read_image, write_label
from keras_fcn.inference.options import InferenceOptions

def probabilities(images):  # the cheapest network there is that has a stride of 32 and 21 classes
    means = tf.nn.avg_pool2d(tf.cast(images, tf.float32), 32, 32, "SAME")
    return tf.nn.softmax(tf.image.resize(tf.repeat(means, 7, axis=-1) / 32, tf.shape(images)[1:3]))

predictor = Predictor(None, ClassTable.voc(), probabilities).using(InferenceOptions(tile=(1024, 1024)))
ids = predictor(read_image(sys.argv[1]))
write_label(sys.argv[2], ids, predictor.classes)
print(ids.shape, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_an_image_of_400_megapixels_takes_less_than_4_gb(tmp_path):
    """All of a process: TensorFlow, the decoded image, the network, the mask and its file."""
    deflate = zlib.compressobj(1)
    rows = [bytes(1) + bytes([shade]) * 60_000 for shade in range(256)]
    pixels = b"".join([*(deflate.compress(rows[row % 256]) for row in range(20_000)), deflate.flush()])
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    with (tmp_path / "aerial.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    words = [sys.executable, "-c", PROGRAM, tmp_path / "aerial.png", tmp_path / "mask.png"]
    finished = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout.startswith("(20000, 20000) ")
    peak = int(finished.stdout.split()[-1])
    print(f"peak memory {peak / 1e9:.2f} GB")
    assert peak < 4e9
    assert image_size(tmp_path / "mask.png") == (20_000, 20_000)
