"""The clients in export/serving/clients: each asks an exported model for a mask, which is then the live model's."""

import base64
import contextlib
import http.server
import importlib
import json
import shutil
import subprocess
import threading
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from kinds_of_files import shown, write_photo
from PIL import Image

from keras_fcn import Predictor, read_image

LIBRARIES = Path(tf.__file__).parent


@pytest.fixture(scope="module")
def segment(tmp_path_factory):
    """The client in C, compiled against the C API in TensorFlow's wheel."""
    compiler = shutil.which("cc")
    libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]
    if compiler is None or not all((LIBRARIES / name).is_file() for name in libraries):
        pytest.skip("needs a C compiler cc, and TensorFlow's libraries as its wheel for Linux has them")
    program = tmp_path_factory.mktemp("clients") / "segment"
    words = [
        compiler,
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I",
        LIBRARIES / "include",
        ROOT / "export/serving/clients/segment.c",
    ]
    words += ["-L", LIBRARIES, *(f"-l:{name}" for name in libraries), f"-Wl,-rpath,{LIBRARIES}", "-o", program]
    subprocess.run(words, check=True)
    return program


def test_the_client_in_c_writes_the_live_models_mask(segment, trained, exported, tmp_path):
    photo = write_photo(tmp_path, "turned 3, in XMP 6.png")
    call = subprocess.run([segment, exported / "1", photo, tmp_path / "mask.png"], capture_output=True, text=True)
    assert call.returncode == 0, call.stderr
    expected = Predictor.open(trained)(shown(photo))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), expected)


def test_the_client_in_c_says_what_is_wrong(segment, exported, tmp_path):
    (tmp_path / "photo.gif").write_bytes(b"GIF89a")
    model, mask = exported / "1", tmp_path / "mask.png"
    for words, message in [
        ([model, tmp_path / "photo.gif", mask], "image_bytes[0] is a GIF; send a JPEG or PNG"),
        ([model, tmp_path / "none", mask], "none: cannot be read"),
        ([tmp_path, tmp_path / "photo.gif", mask], "Could not find SavedModel"),
        ([], "give SAVED_MODEL PHOTO MASK.png"),
    ]:
        call = subprocess.run([segment, *words], capture_output=True, text=True)
        assert call.returncode == 2
        assert message in call.stderr
    assert not mask.exists()


class Rest(http.server.BaseHTTPRequestHandler):
    """Answers as TensorFlow Serving's documentation of its REST API says, through the model in `self.server`."""

    def do_POST(self):
        assert self.path == "/v1/models/keras_fcn:predict"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        files = [base64.b64decode(instance["b64"], validate=True) for instance in body["instances"]]
        try:
            output = self.server.model.signatures["serving_default"](image_bytes=tf.constant(files))
        except tf.errors.InvalidArgumentError as error:
            return self.reply(400, {"error": error.message})
        names, values = zip(*((name, value.numpy().tolist()) for name, value in output.items()))
        rows = [dict(zip(names, row)) for row in zip(*values)]
        for row in rows:
            row["mask_png_bytes"] = {"b64": base64.b64encode(row["mask_png_bytes"]).decode()}
        return self.reply(200, {"predictions": rows})

    def reply(self, status, content):
        body = json.dumps(content, indent=4).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported / "1"))


@pytest.fixture(scope="module")
def url(loaded):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rest) as server:
        server.model = loaded
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/models/keras_fcn"
        server.shutdown()


@pytest.fixture
def photos(tmp_path):
    return [write_photo(tmp_path, name) for name in ("plain.jpg", "turned 6.jpg")]


def require_live_masks(trained, photos, masks):
    predict = Predictor.open(trained)
    for photo, mask in zip(photos, masks, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(mask)), predict(read_image(photo)))


def test_the_client_in_python_writes_masks(url, trained, photos, tmp_path):
    rest = importlib.import_module("export.serving.clients.rest")
    rest.main(url, *map(str, photos))
    require_live_masks(trained, photos, [photo.with_suffix(".mask.png") for photo in photos])
    with pytest.raises(ValueError, match=r"image_bytes\[1\] is neither a JPEG nor a PNG"):
        rest.segment(url, [photos[0].read_bytes(), b"words"])


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_client_by_curl_writes_a_mask(url, trained, photos, tmp_path):
    script = ROOT / "export/serving/clients/segment.sh"
    subprocess.run([script, photos[1], tmp_path / "mask.png", url], check=True)
    require_live_masks(trained, photos[1:], [tmp_path / "mask.png"])
    call = subprocess.run([script, script, tmp_path / "no.png", url], capture_output=True, text=True)
    assert call.returncode == 2
    assert "image_bytes[0] is neither a JPEG nor a PNG" in call.stderr
    assert not (tmp_path / "no.png").exists()


@contextlib.contextmanager
def grpc_server(loaded):
    """TensorFlow Serving's own service and messages, over the model; gives its address."""
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
            try:
                output = loaded.signatures[request.model_spec.signature_name or "serving_default"](**inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            return predict_pb2.PredictResponse(outputs={n: tf.make_tensor_proto(v) for n, v in output.items()})

    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def test_the_client_over_grpc_writes_masks(loaded, trained, photos):
    pytest.importorskip("tensorflow_serving", reason="pip install -r requirements-extra.txt")
    client = importlib.import_module("export.serving.clients.grpc_client")
    with grpc_server(loaded) as address:
        client.main(address, *map(str, photos))
        require_live_masks(trained, photos, [photo.with_suffix(".mask.png") for photo in photos])
        with pytest.raises(client.grpc.RpcError) as caught:
            client.segment(address, [b""])
    assert caught.value.code() == client.grpc.StatusCode.INVALID_ARGUMENT
    assert "image_bytes[0] is empty" in caught.value.details()
