"""Images too large to be evaluated as a whole."""

import numpy as np
import pytest
import tensorflow as tf

from keras_fcn import Predictor, build_fcn
from keras_fcn.errors import UserError
from keras_fcn.inference.large import WholeImages, within_memory
from keras_fcn.inference.options import InferenceOptions


@pytest.mark.parametrize(
    ("num_classes", "input_scale", "tile", "most_pixels"),
    [(2, 1.0, 1024, 2048**2), (21, 1.0, 1024, 2048**2), (150, 1.0, 1024, 1024**2), (7, 0.8, 1280, 2560**2),
     (2, 0.25, 2048, 4096**2), (21, 2.0, 512, 1024**2)],
)  # fmt: skip
def test_a_stated_size_is_predicted_as_a_whole(num_classes, input_scale, tile, most_pixels):
    assert WholeImages.of(num_classes, input_scale) == WholeImages(tile, most_pixels)


def test_larger_images_become_what_tiles_of_that_size_make_of_them():
    predictor = Predictor(build_fcn("fcn32s", "resnet18_v2", num_classes=3))
    predictor.limits = WholeImages(tile=96, most_pixels=96 * 128)
    image = np.random.default_rng(0).integers(0, 256, (1, 128, 160, 3), np.uint8)
    tiled, segment = predictor.using(InferenceOptions(tile=(96, 96))), predictor.segment_any_size
    np.testing.assert_array_equal(segment(tf.constant(image)), tiled.segment(image))
    np.testing.assert_array_equal(segment(image[:, :96, :128]), predictor.segment(image[:, :96, :128]))


def test_they_are_counted_in_a_line():
    limits, sizes = WholeImages.of(2), np.array([(2048, 2048), (2048, 2049), (3000, 4000)])
    assert limits.describe(sizes[:1]) is None
    assert limits.describe(sizes) == (
        "2 of 3 evaluated images are larger than 4.2 megapixels: they become what predict.py --tile 1024 1024 makes of "
        "them, not to run out of memory"
    )


@pytest.mark.parametrize(
    ("error", "device"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor on /device:GPU:0"), "GPU"),
        (tf.errors.InternalError(None, None, "Failed copying: Dst tensor is not initialized."), "device"),
    ],
)
def test_a_full_memory_is_one_line(error, device):
    with pytest.raises(UserError) as caught, within_memory("step 3", "take less"):
        raise error
    assert str(caught.value) == f"step 3: the memory of the {device} does not suffice; take less"
    with pytest.raises(tf.errors.InvalidArgumentError), within_memory("step 3", "take less"):
        raise tf.errors.InvalidArgumentError(None, None, "another")
