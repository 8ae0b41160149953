"""Requests masks from TensorFlow Serving over gRPC; needs tensorflow-serving-api (requirements-extra.txt).

python -m export.serving.clients.grpc_client localhost:8500 photo.jpg other.png
"""

import sys
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

TIMEOUT_SECONDS = 60
MOST_BYTES = 64 << 20
"""The most bytes of one call; some images are larger than gRPC's default limit of 4 MB."""


def segment(address: str, files: list[bytes], model: str = "keras_fcn") -> list[tuple[bytes, list[float]]]:
    """Sends image files, of any sizes, in one call.

    Args:
        address: Host and port.
        files: JPEG and PNG files.
        model: The model's name on the server.

    Returns:
        For each file a PNG of class ids, and the fraction of pixels of each class.

    Raises:
        grpc.RpcError: If the server rejects the files (code INVALID_ARGUMENT) or does not answer.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(files))
    sizes = [("grpc.max_send_message_length", MOST_BYTES), ("grpc.max_receive_message_length", MOST_BYTES)]
    with grpc.insecure_channel(address, options=sizes) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        outputs = service.Predict(request, timeout=TIMEOUT_SECONDS).outputs
    masks, fractions = (tf.make_ndarray(outputs[name]) for name in ("mask_png_bytes", "class_shares"))
    return list(zip(masks.tolist(), fractions.tolist()))


def main(address: str, *names: str) -> None:
    """Writes the mask of photo.jpg to photo.mask.png, and so on."""
    paths = [Path(name) for name in names]
    for path, (mask, _) in zip(paths, segment(address, [path.read_bytes() for path in paths])):
        path.with_suffix(".mask.png").write_bytes(mask)


if __name__ == "__main__":
    main(*sys.argv[1:])
