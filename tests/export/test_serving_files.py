"""Settings for clusters and for TensorFlow Serving, the latter read by its own messages where those are installed."""

import dataclasses
import json
import re

import pytest
import yaml
from conftest import ROOT

from export.server.options import GRACE_SECONDS, ServeOptions
from keras_fcn.inference.engines.engine import IDS
from keras_fcn.runs.names import ENGINES
from keras_fcn.system.command_line import parse_options

SERVING = ROOT / "export/serving"
SCRIPTS = re.findall(r"^(keras-fcn-\w+) =", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_models_config_is_one_that_tensorflow_serving_reads():
    reason = "pip install -r requirements-extra.txt"
    settings = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2", reason=reason)
    from google.protobuf import text_format

    text = (SERVING / "models.config").read_text()
    (model,) = text_format.Parse(text, settings.ModelServerConfig()).model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("keras_fcn", "/models/keras_fcn", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_the_compose_file_mounts_what_the_settings_name():
    (service,) = yaml.safe_load((SERVING / "compose.yaml").read_text())["services"].values()
    places = dict(volume.removesuffix(":ro").rsplit(":", 1)[::-1] for volume in service["volumes"])
    (settings,) = (word.partition("=")[2] for word in service["command"] if word.startswith("--model_config_file="))
    assert (SERVING / places[settings]).is_file()
    (base_path,) = re.findall(r'base_path: "(.*)"', (SERVING / "models.config").read_text())
    assert base_path in places


def test_the_inference_service_is_of_the_shape_that_kserve_documents():
    service = yaml.safe_load((SERVING / "inference_service.yaml").read_text())
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    predictor = service["spec"]["predictor"]
    assert 1 <= predictor["minReplicas"] <= predictor["maxReplicas"]
    assert predictor["model"]["modelFormat"] == {"name": "tensorflow", "version": "2"}
    assert predictor["model"]["storageUri"].startswith("pvc://")


def test_the_deployment_starts_our_server_and_asks_what_it_answers():
    deployment, service, scaler = yaml.safe_load_all((SERVING / "deployment.yaml").read_text())
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    program, *words = container["command"]
    assert program in SCRIPTS
    options = parse_options(ServeOptions, words)
    assert options.host == "0.0.0.0"
    stop = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["spec"]["terminationGracePeriodSeconds"] > stop + options.timeout + GRACE_SECONDS
    limits = {field.name for field in dataclasses.fields(options) if field.name.startswith(("max_", "min_", "read_"))}
    given = {word.split("=")[0].removeprefix("--").replace("-", "_") for word in words}
    assert limits - given == {"max_batch", "max_delay_ms"}  # what is no limit of requests
    usual = ServeOptions(options.directory)
    assert [getattr(options, name) for name in limits] == [getattr(usual, name) for name in limits]
    models, temporary = container["volumeMounts"]
    assert options.directory.is_relative_to(models["mountPath"])
    assert (temporary["mountPath"], container["securityContext"]["readOnlyRootFilesystem"]) == ("/tmp", True)
    assert {models["name"], temporary["name"]} == {volume["name"] for volume in pod["spec"]["volumes"]}
    (port,) = container["ports"]
    assert port["containerPort"] == options.port
    addresses = (ROOT / "export/server/app.py").read_text()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert f'"{asked["path"]}"' in addresses
        assert asked["port"] == service["spec"]["ports"][0]["targetPort"] == port["name"]
    labels = pod["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    scaled = scaler["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == (deployment["kind"], deployment["metadata"]["name"])
    assert 1 <= scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]


def steps_of(file):
    """The steps of a Dockerfile, whose copies are of what there is, and whose program is ours."""
    steps = re.findall(r"^([A-Z]+) (.+)$", (SERVING / file).read_text(), re.MULTILINE)
    for name, rest in steps:
        if name == "COPY":
            assert all((ROOT / source).exists() for source in rest.split()[:-1]), rest
    assert json.loads(steps[-1][1])[0] in SCRIPTS
    assert (SERVING / f"{file}.dockerignore").is_file()
    return steps


def test_the_image_without_tensorflow_takes_any_engine():
    steps = dict(steps_of("Dockerfile.runtime"))
    engines = [entry.modules[0].replace("_", "-") for entry in ENGINES.values() if "tensorflow" not in entry.modules]
    engine = steps["ARG"].removeprefix("ENGINE=")
    assert engine in engines
    lines = (ROOT / "requirements-runtime.txt").read_text().splitlines()
    assert len([line for line in lines if line.startswith(engine)]) == 1  # which the build replaces
    assert "ai-edge-litert ..., or openvino" in (SERVING / "Dockerfile.runtime").read_text()
    assert {"ai-edge-litert", "openvino"} == {*engines} - {engine}


def test_triton_is_told_of_the_tensors_of_an_onnx_file():
    text = re.sub(r"#.*", "", (SERVING / "config.pbtxt").read_text())
    tensors = re.findall(r'(input|output) \[\s*\{\s*name: "(\w+)"\s*data_type: TYPE_UINT8\s*dims: \[ (.*) \]', text)
    assert tensors == [("input", "images", "-1, -1, 3"), ("output", IDS, "-1, -1")]  # without the number of images
    assert text.count("{") == text.count("}")
    assert f"models/{re.findall('name: .(keras_fcn)', text)[0]}/1/model.onnx" in (SERVING / "config.pbtxt").read_text()


def test_the_image_copies_what_there_is_and_starts_our_server():
    steps = steps_of("Dockerfile")
    (_, *words) = json.loads(steps[-1][1])
    assert str(parse_options(ServeOptions, words).port) in dict(steps)["EXPOSE"]
