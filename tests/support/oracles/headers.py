"""The size and fault of an image's header, read without TensorFlow, against those of an export's graph."""

import functools

from export.formats.file_limits import FileLimits
from export.server.model.files.header import BadImageError, read_header

LIMITS = FileLimits(10_000, max_scans=10, max_texts=1)


@functools.cache
def _in_graph():
    import tensorflow as tf

    from export.formats.graph import image_header

    signature = [tf.TensorSpec([], tf.string)]
    return tf.function(lambda data: image_header.read_header(data, LIMITS), input_signature=signature)


def require_agreement(data):
    """Compares size and fault with those of the graph; returns the (height, width) of an image without a fault."""
    right = _in_graph()(data)
    try:
        found, fault = read_header(data, LIMITS), ""
    except BadImageError as error:
        found, fault = None, str(error)
    assert fault == right.fault.numpy().decode()
    if found is not None:
        size = (int(right.height), int(right.width))
        assert found == (size if int(right.orientation) < 5 else size[::-1])
    return found
