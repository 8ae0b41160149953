"""Warm-up requests, which TensorFlow Serving runs while it loads a model.

They are a TFRecord file of `tensorflow.serving.PredictionLog` messages. Their few fields are written here in protobuf's
wire format, because nothing else needs the package of the messages, tensorflow-serving-api.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from export.formats.graph.signatures import FILE_SIGNATURE
from keras_fcn.inference.models import PROBABILITIES_SIGNATURE, SIGNATURE

WARMUP_FILE = Path("assets.extra/tf_serving_warmup_requests")
"""TensorFlow Serving's path of the warm-up requests in a SavedModel."""

_SIZE = (320, 480)
# Numbers of fields in tensorflow_serving/apis/prediction_log.proto, predict.proto and model.proto.
_LOG_PREDICT, _PREDICT_REQUEST = 6, 1
_REQUEST_MODEL, _REQUEST_INPUTS, _MODEL_SIGNATURE, _ENTRY_KEY, _ENTRY_VALUE = 1, 2, 3, 1, 2


def write_warmup(folder: Path, channels: int = 3) -> None:
    """Writes one request for each signature with an input into the folder of a SavedModel.

    Args:
        folder: The folder.
        channels: The number of channels of images; files are for three.
    """
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(os.fsencode(path)) as writer:
        for signature, name, value in _requests(channels):
            writer.write(_prediction_log(signature, name, value))


def _requests(channels: int) -> Iterator[tuple[str, str, tf.compat.v1.TensorProto]]:
    image = tf.fill((*_SIZE, 3), tf.constant(128, tf.uint8))
    files = [tf.io.encode_jpeg(image).numpy(), tf.io.encode_png(image).numpy()]
    if channels == 3:
        yield FILE_SIGNATURE, "image_bytes", tf.make_tensor_proto(files)
    batch = tf.make_tensor_proto(128, tf.uint8, (1, *_SIZE, channels))  # one value stands for all
    yield SIGNATURE, "images", batch
    yield PROBABILITIES_SIGNATURE, "images", batch


def _prediction_log(signature: str, name: str, value: tf.compat.v1.TensorProto) -> bytes:
    """Returns a serialized PredictionLog of a request to a signature with one input."""
    entry = _field(_ENTRY_KEY, name.encode()) + _field(_ENTRY_VALUE, value.SerializeToString(deterministic=True))
    model = _field(_MODEL_SIGNATURE, signature.encode())  # without a name, it is the model that loads the file
    request = _field(_REQUEST_MODEL, model) + _field(_REQUEST_INPUTS, entry)
    return _field(_LOG_PREDICT, _field(_PREDICT_REQUEST, request))


def _field(number: int, content: bytes) -> bytes:
    """Returns a field of bytes, a string or a message: its number and wire type 2, the length, the content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Returns an integer in groups of seven bits, the lowest first, with the eighth bit set in all but the last."""
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
