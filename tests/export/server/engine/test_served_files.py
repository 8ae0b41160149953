"""`python -m export.serve` with files that need no TensorFlow: several models, labels, metadata, pages elsewhere."""

import base64
import importlib.util
import io
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import Call
from fragile_engine import DEADLY
from onnx_files import COLORS, NAMES, ids_of, write_onnx
from PIL import Image
from servers import PREDICT, b64, mask_of, needs_server, serving, wait_until

pytestmark = [
    needs_server,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")),
        reason="pip install -r requirements-formats.txt",
    ),
]
PHOTO = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
PHOTO[0, 0] = 0
LARGE = np.random.default_rng(1).integers(0, 256, (90, 100, 3), np.uint8)
ELSEWHERE = {"Origin": "https://example.org"}


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of an engine that dies of certain images, of three models in all."""
    folder = tmp_path_factory.mktemp("served")
    for version in ("3", "7"):
        write_onnx(folder / "first" / version / "model.onnx", both=True)
    write_onnx(folder / "second/model.onnx", texts={"class_names": json.dumps([*NAMES[:3], "other"])})
    file = write_onnx(folder / "third.onnx")
    options = ["--models", f"second={folder}/second", f"third={file}", "--label", "stable=3", "canary=7"]
    options += ["--cors", "https://example.org", "--tile", 64, 64, "--poll-seconds", 0.05]
    program = ("tests/support/served/fragile_engine.py",)
    with serving(folder / "first", *options, program=program) as running:
        running.folder = folder
        yield running


def ask(server, image, path=PREDICT):
    status, headers, body = server.ask("POST", path, json.dumps({"instances": [b64(png(image))]}))
    return status, headers, json.loads(body)


def test_files_are_served_without_tensorflow(server):
    for image in (PHOTO, LARGE):
        status, _, answer = ask(server, image)
        assert (status, mask_of(answer["predictions"][0])) == (200, ids_of(image).tolist())
    shares = answer["predictions"][0]["class_shares"]
    np.testing.assert_allclose(shares, np.bincount(ids_of(LARGE).ravel()) / LARGE[..., 0].size, atol=1e-6)
    maps = Path(f"/proc/{server.process.pid}/maps")
    if maps.exists():
        assert not any(name in maps.read_text() for name in ("tensorflow", "onnxruntime"))
    assert server.metric("keras_fcn_engine_cpu_seconds") > 0
    assert server.metric("keras_fcn_engine_resident_memory_bytes") > 1e7
    file = server.folder / "first/7/model.onnx"
    assert f"keras_fcn: version 7 is loaded from {file}, computed by ONNX Runtime\n" in server.log


def test_several_models_have_addresses_of_their_own(server):
    assert server.get("/v1/models") == {"models": ["keras_fcn", "second", "third"]}
    for name, last in (("keras_fcn", NAMES[-1]), ("second", "other"), ("third", NAMES[-1])):
        status, _, answer = ask(server, PHOTO, f"/v1/models/{name}:predict")
        assert (status, mask_of(answer["predictions"][0])) == (200, ids_of(PHOTO).tolist())
        model = server.get(f"/v2/models/{name}")
        assert (model["name"], model["platform"]) == (name, "onnx_onnxv1")
        assert (model["parameters"]["class_names"], model["parameters"]["class_colors"]) == ([*NAMES[:3], last], COLORS)
    assert server.metric('keras_fcn_served_version{model="keras_fcn"}') == 7
    assert server.metric('keras_fcn_served_version{model="third"}') == 1


def test_versions_and_labels(server):
    model = "/v1/models/keras_fcn"
    states = server.get(model)["model_version_status"]
    assert [(one["version"], one["state"]) for one in states] == [("7", "AVAILABLE"), ("3", "AVAILABLE")]
    for at, version in (("/versions/3", "3"), ("/labels/stable", "3"), ("/labels/canary", "7"), ("", "7")):
        assert server.get(f"{model}{at}/metadata")["model_spec"]["version"] == version
        assert ask(server, PHOTO, f"{model}{at}:predict")[0] == 200
    (state,) = server.get(f"{model}/labels/stable")["model_version_status"]
    assert state["version"] == "3"
    for path, line in [
        (f"{model}/labels/none", "keras_fcn has no label none; labels are stable, canary (--label)"),
        (f"{model}/versions/4/metadata", "version 4 of keras_fcn is not served; version 7, 3 is"),
        ("/v1/models/third/labels/stable", "third has no label stable; labels are none (--label)"),
        ("/v1/models/none", "model none is not served; keras_fcn, second, third is"),
    ]:
        status, _, body = server.ask("GET", path)
        assert (status, json.loads(body)) == (404, {"error": line})


def test_metadata_are_tensorflow_servings_message(server):
    """The JSON is read back by the protocol's own message, field by field."""
    reason = "pip install -r requirements-extra.txt"
    apis = pytest.importorskip("tensorflow_serving.apis.get_model_metadata_pb2", reason=reason)
    from google.protobuf.json_format import MessageToDict, ParseDict

    answer = server.get("/v1/models/third/metadata")
    spec = apis.GetModelMetadataResponse().model_spec
    ParseDict({**answer["model_spec"], "version": answer["model_spec"]["version"]}, spec)
    assert (spec.name, spec.version.value) == ("third", 1)
    as_json = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    assert answer["model_spec"] == MessageToDict(spec, **as_json)
    signatures = ParseDict(answer["metadata"]["signature_def"], apis.SignatureDefMap())
    assert answer["metadata"]["signature_def"] == MessageToDict(signatures, **as_json)
    assert answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"] == {
        "image_bytes": {
            "dtype": "DT_STRING",
            "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
            "name": "image_bytes:0",
        }
    }


def test_pages_of_named_origins_may_ask(server):
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    status, headers, _ = server.ask("OPTIONS", PREDICT, headers={**ELSEWHERE, **asks})
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://example.org")
    assert "POST" in headers["Access-Control-Allow-Methods"]
    for path, status in (("/v1/models", 200), ("/nothing", 404)):
        found, headers, _ = server.ask("GET", path, headers=ELSEWHERE)
        assert (found, headers["Access-Control-Allow-Origin"]) == (status, "https://example.org")
    headers = server.ask("GET", "/v1/models", headers={"Origin": "https://other.org"})[1]
    assert headers["Access-Control-Allow-Origin"] is None
    assert server.ask("OPTIONS", PREDICT, headers={"Origin": "https://other.org", **asks})[0] == 400


def test_an_image_that_ends_the_engine_fails_alone(server):
    deadly = PHOTO.copy()
    deadly[0, 0] = DEADLY
    before = server.metric("keras_fcn_engine_deaths_total")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda image: ask(server, image), [PHOTO, deadly, PHOTO, PHOTO]))
    assert [status for status, *_ in answers] == [200, 503, 200, 200]
    _, headers, answer = answers[1]
    assert (headers["Retry-After"], answer["error"].count("\n")) == ("1", 0)
    assert "the process of the engine ended by signal 9 while it computed this" in answer["error"]
    assert server.metric("keras_fcn_engine_deaths_total") > before
    assert ask(server, PHOTO)[0] == 200


def test_a_newer_version_may_bring_another_size(server):
    path = server.folder / "second/9/model.onnx"
    write_onnx(server.folder / "new.onnx", size=(40, 56))
    path.parent.mkdir()
    (server.folder / "new.onnx").rename(path)
    wait_until(lambda: server.metric('keras_fcn_served_version{model="second"}') == 9)
    assert ask(server, PHOTO, "/v1/models/second:predict")[0] == 200
    status, _, answer = ask(server, LARGE, "/v1/models/second:predict")
    line = "image_bytes[0] has 90 x 100 pixels, but the model takes 40 x 56 alone, as it was exported with --size"
    assert (status, answer["error"]) == (400, f"{line}; resize it")


def test_base64_as_people_send_it(server):
    data = png(PHOTO)
    lines = base64.encodebytes(data).decode()
    texts = [
        lines,
        lines.replace("\n", "\r\n"),
        "data:image/jpeg;base64," + lines,
        base64.urlsafe_b64encode(data).decode(),
    ]
    bodies = [json.dumps({"instances": [{"b64": text} for text in texts]}), f'{{"instances": [{{"b64": "{lines}"}}]}}']
    for body in bodies:
        status, _, content = server.ask("POST", PREDICT, body)
        assert status == 200
        assert all(mask_of(row) == ids_of(PHOTO).tolist() for row in json.loads(content)["predictions"])


def test_a_precision_that_an_engine_has_not_is_one_line(tmp_path):
    file = write_onnx(tmp_path / "model.onnx")
    call = Call("export/serve.py", file, "--port", 0, "--precision", "bfloat16")
    line = f"{file}: ONNX Runtime computes in float32 alone; leave --precision out\n"
    assert (call.status, call.err) == (2, f"error: {line}")


def test_it_ends_well_and_its_engines_with_it(tmp_path):
    write_onnx(tmp_path / "model.onnx")
    with serving(tmp_path / "model.onnx", "--engine", "onnx", "--name", "other") as server:
        assert ask(server, PHOTO, "/v1/models/other:predict")[0] == 200
        assert server.ask("GET", "/v1/models", headers=ELSEWHERE)[1]["Access-Control-Allow-Origin"] is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert server.log[-1] == "ended: all requests are answered\n"
