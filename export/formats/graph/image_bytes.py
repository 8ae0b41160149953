"""The graph from the bytes of image files to masks as PNG files."""

from __future__ import annotations

import tensorflow as tf

from export.formats.file_limits import FileLimits
from export.formats.graph.image_header import ImageHeader, read_header
from keras_fcn.inference.arrays import Segment

IMAGE_BYTES = tf.TensorSpec([None], tf.string, name="image_bytes")
"""The input of the signature: JPEG and PNG files of any sizes."""


def segment_files(
    image_bytes: tf.Tensor, segment: Segment, num_classes: int, limits: FileLimits
) -> dict[str, tf.Tensor]:
    """Segments image files one after the other, each at its own size.

    Args:
        image_bytes: string [N], JPEG and PNG files. Their EXIF orientation is applied.
        segment: From images uint8 [1, H, W, 3] to class ids uint8 [1, H, W].
        num_classes: C.
        limits: The limits of a file.

    Returns:
        "mask_png_bytes": string [N], 8-bit grey PNGs of class ids, as large as the (upright) images;
        "class_shares": float32 [N, C], the fraction of the image's pixels of each class.

    Raises:
        tf.errors.InvalidArgumentError: When run, if a file is empty, neither JPEG nor PNG, has no readable size or
            exceeds a limit: the message names each such file by its index in the batch, before any file is decoded.
            Also if the pixels of a file cannot be decoded to their end. The other files then have no result.
    """
    headers = tf.map_fn(
        lambda data: read_header(data, limits),
        image_bytes,
        fn_output_signature=ImageHeader(
            *(tf.TensorSpec([], kind) for kind in (tf.bool, tf.int32, tf.int32, tf.int32, tf.string))
        ),
    )
    with tf.control_dependencies([_require_sound(headers.fault)]):
        files = (tf.identity(image_bytes), headers.is_png, headers.orientation)

    def segment_one(file: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        return encode_mask(segment(decode_file(*file)[None])[0], num_classes)

    kinds = (tf.TensorSpec([], tf.string), tf.TensorSpec([num_classes], tf.float32))
    # One at a time: each image has all cores, and memory holds one image.
    masks, fractions = tf.map_fn(segment_one, files, fn_output_signature=kinds, parallel_iterations=1)
    return {"mask_png_bytes": masks, "class_shares": fractions}


def _require_sound(faults: tf.Tensor) -> tf.Operation:
    """Returns the assertion that fails with the faults [N] of all files that have one."""
    names = tf.strings.join(["image_bytes[", tf.as_string(tf.range(tf.size(faults))), "] ", faults])
    message = tf.strings.reduce_join(tf.boolean_mask(names, faults != ""), separator="; ")
    return tf.debugging.Assert(tf.reduce_all(faults == ""), [message], name="require_sound_images")


def decode_file(data: tf.Tensor, is_png: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Decodes an image file whose header was read by `read_header`.

    Args:
        data: The file's bytes, a string scalar.
        is_png: Whether it is a PNG; else it is a JPEG.
        orientation: Its EXIF orientation, 1 to 8.

    Returns:
        The upright image, uint8 [H, W, 3].

    Raises:
        tf.errors.InvalidArgumentError: When run, if the pixels cannot be decoded to their end.
    """
    image = tf.cond(
        is_png,
        lambda: tf.io.decode_png(data, channels=3),
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
    )
    return tf.cond(orientation == 1, lambda: image, lambda: _upright(image, orientation))


def encode_mask(ids: tf.Tensor, num_classes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Encodes class ids uint8 [H, W].

    Args:
        ids: Class ids uint8 [H, W].
        num_classes: C.

    Returns:
        A grey PNG of them, a string scalar, and the fraction of pixels of each class, float32 [C].
    """
    counts = tf.math.bincount(tf.cast(ids, tf.int32), minlength=num_classes, maxlength=num_classes)
    return tf.io.encode_png(ids[..., None]), tf.cast(counts, tf.float32) / tf.cast(tf.size(ids), tf.float32)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns an image [H, W, 3] rotated and flipped by an EXIF orientation, 1 to 8 (Exif 2.32, 4.6.4)."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    is_flipped = [_is_one_of(orientation, (3, 4, 7, 8)), _is_one_of(orientation, (2, 3, 6, 7))]
    return tf.reverse(image, tf.boolean_mask([0, 1], is_flipped))


def _is_one_of(value: tf.Tensor, values: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(tf.equal(value, values))
