"""The settings for TensorFlow Serving, read by its own messages where tensorflow-serving-api is installed."""

import re

import pytest
import yaml
from conftest import ROOT

SERVING = ROOT / "export/serving"


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
