import keras
import numpy as np
import pytest

from keras_fcn.network.initializers import Bilinear, bilinear_kernel


def half_pixel_resize(scores, stride):
    """Returns [H, W, C] resized bilinearly by `stride`, by definition: the input at the output's pixel centres."""
    for axis in (0, 1):
        size = scores.shape[axis]
        positions = (np.arange(size * stride) + 0.5) / stride - 0.5
        scores = np.apply_along_axis(lambda line, at=positions: np.interp(at, np.arange(len(line)), line), axis, scores)
    return scores


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
def test_transposed_convolution_is_half_pixel_resizing_inside_the_border(stride):
    scores = np.random.default_rng(stride).normal(size=(1, 5, 4, 3)).astype(np.float32)
    layer = keras.layers.Conv2DTranspose(
        3, 2 * stride, stride, "same", use_bias=False, kernel_initializer=Bilinear(stride)
    )
    upsampled = np.asarray(layer(scores))[0]
    assert upsampled.shape == (5 * stride, 4 * stride, 3)
    border = stride // 2
    inside = (slice(border, -border), slice(border, -border))
    np.testing.assert_allclose(upsampled[inside], half_pixel_resize(scores[0], stride)[inside], atol=1e-5)


def test_the_border_is_attenuated_by_the_zeros_around_it():
    layer = keras.layers.Conv2DTranspose(1, 64, 32, "same", use_bias=False, kernel_initializer=Bilinear(32))
    upsampled = np.asarray(layer(np.ones((1, 3, 3, 1), np.float32)))[0, :, :, 0]
    assert upsampled[0, 48] == pytest.approx(0.5 + 0.5 / 32)  # the tent, half a pixel beyond its half
    assert upsampled[48, 48] == pytest.approx(1)


@pytest.mark.parametrize(
    ("stride", "line"), [(1, [1.0]), (2, [0.25, 0.75, 0.75, 0.25]), (3, [1 / 3, 2 / 3, 1.0, 2 / 3, 1 / 3])]
)
def test_kernels_worked_out_by_hand(stride, line):
    kernel = bilinear_kernel(stride)
    np.testing.assert_allclose(kernel, np.outer(line, line), rtol=1e-6)
    assert kernel.sum() == pytest.approx(stride**2)


def test_classes_do_not_mix():
    kernel = np.asarray(Bilinear(2)((4, 4, 5, 5)))
    off_diagonal = ~np.eye(5, dtype=bool)
    assert (kernel[:, :, off_diagonal] == 0).all()
    assert (kernel[:, :, ~off_diagonal] > 0).all()


def test_survives_serialization():
    config = keras.initializers.serialize(Bilinear(8))
    restored = keras.initializers.deserialize(config)
    assert isinstance(restored, Bilinear)
    assert restored.stride == 8


def test_wrong_arguments_say_what_was_received():
    with pytest.raises(ValueError, match="stride=0"):
        bilinear_kernel(0)
    with pytest.raises(ValueError, match=r"kernels \[4, 4, channels, channels\]. Received: shape=\(3, 3, 5, 5\)"):
        Bilinear(2)((3, 3, 5, 5))
    with pytest.raises(ValueError, match="Received: shape"):
        Bilinear(2)((4, 4, 5, 6))
