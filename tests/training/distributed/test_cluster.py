import json

import pytest
import yaml
from conftest import ROOT

from keras_fcn.commands.train import parse_train_options
from keras_fcn.errors import UserError
from keras_fcn.training.distributed.cluster import Cluster, joined_cluster, parse_cluster

KUBEFLOW = {
    "cluster": {"worker": ["fcn-worker-0.team.svc:2222", "fcn-worker-1.team.svc:2222"]},
    "task": {"type": "worker", "index": 1},
    "environment": "cloud",
}
VERTEX = {
    "cluster": {
        "chief": ["cmle-training-workerpool0-ab-0:2222"],
        "worker": ["cmle-training-workerpool1-ab-0:2222", "cmle-training-workerpool1-ab-1:2222"],
        "evaluator": ["cmle-training-workerpool3-ab-0:2222"],
    },
    "task": {"type": "worker", "index": 0},
    "job": "{}",
    "environment": "cloud",
}
RAY = {"cluster": {"worker": ["10.0.0.1:40001", "10.0.0.1:40002"]}, "task": {"type": "worker", "index": 0}}
WORKERS = {"worker": ["a:1", "b:1"]}


def changed(config, **task):
    return {**config, "task": {**config["task"], **task}}


@pytest.mark.parametrize(
    ("config", "num_workers", "index", "address"),
    [
        (KUBEFLOW, 2, 1, "fcn-worker-1.team.svc:2222"),
        (VERTEX, 3, 1, "cmle-training-workerpool1-ab-0:2222"),
        (changed(VERTEX, type="chief"), 3, 0, "cmle-training-workerpool0-ab-0:2222"),
        (changed(VERTEX, index="1"), 3, 2, "cmle-training-workerpool1-ab-1:2222"),
        (RAY, 2, 0, "10.0.0.1:40001"),
        (
            {"cluster": {"worker": ["[::1]:1", "b:1"], "ps": []}, "task": {"type": "worker", "index": 0}},
            2,
            0,
            "[::1]:1",
        ),
    ],
)
def test_clusters_as_schedulers_name_them(config, num_workers, index, address):
    cluster = parse_cluster(json.dumps(config))
    assert (cluster.num_workers, cluster.index, cluster.address) == (num_workers, index, address)
    assert cluster.is_chief == (index == 0)
    assert set(cluster.addresses) <= {"chief", "worker"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "TF_CONFIG: is not JSON"),
        ("[1]", "TF_CONFIG: must be such as"),
        ('"cluster"', "TF_CONFIG: must be such as"),
        ({"cluster": [1], "task": {}}, "cluster must map chief, worker, ps, evaluator to addresses"),
        ({"cluster": {"master": ["a:1"]}, "task": {}}, "cluster must map chief, worker, ps, evaluator to addresses"),
        (
            {"cluster": {"worker": "a:1"}, "task": {}},
            r"cluster.worker must be a list of \"host:port\". Received: 'a:1'",
        ),
        ({"cluster": {"worker": {"0": "a:1"}}, "task": {}}, "cluster.worker must be a list"),
        ({"cluster": {"worker": ["a"]}, "task": {}}, "cluster.worker must be a list"),
        ({"cluster": {"worker": ["a:0"]}, "task": {}}, "cluster.worker must be a list"),
        ({"cluster": {"worker": ["a:1", 2]}, "task": {}}, "cluster.worker must be a list"),
        ({"cluster": {"ps": ["a:1"]}, "task": {}}, "cluster must have at most one chief, and workers"),
        ({"cluster": {"chief": ["a:1", "b:1"]}, "task": {}}, "cluster must have at most one chief"),
        ({"cluster": {"worker": ["a:1", "a:1"]}, "task": {}}, "each at another address"),
        ({"cluster": WORKERS}, "task must have a type of the cluster and an index .* Received: None"),
        ({"cluster": WORKERS, "task": {"type": "chief", "index": 0}}, "task must have a type of the cluster"),
        ({"cluster": WORKERS, "task": {"type": "worker", "index": 2}}, "index below the number of such processes"),
        ({"cluster": WORKERS, "task": {"type": "worker", "index": -1}}, "index below the number of such processes"),
        ({"cluster": WORKERS, "task": {"type": "worker"}}, "task must have a type of the cluster"),
        ({"cluster": WORKERS, "task": {"type": ["worker"], "index": 0}}, "task must have a type of the cluster"),
        (
            {"cluster": WORKERS, "task": {"type": "evaluator", "index": 0}},
            "the task 'evaluator' is not used",
        ),
        ({"cluster": WORKERS, "task": {"type": "ps", "index": 0}}, "the task 'ps' is not used"),
    ],
)
def test_a_wrong_cluster_is_one_line(config, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_cluster(config if isinstance(config, str) else json.dumps(config))
    assert "\n" not in str(caught.value)


def test_the_strategy_says_whether_to_join_the_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert joined_cluster("auto") is None
    with pytest.raises(UserError, match="strategy='multiworker' needs the environment variable TF_CONFIG"):
        joined_cluster("multiworker")
    for nothing in ("", "{}", '{"task": {"type": "worker", "index": 0}}'):
        monkeypatch.setenv("TF_CONFIG", nothing)
        assert joined_cluster("auto") is None
    alone = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(alone))
    assert joined_cluster("auto") is None
    assert joined_cluster("multiworker") == Cluster({"worker": ("a:1",)}, "worker", 0)
    monkeypatch.setenv("TF_CONFIG", json.dumps(KUBEFLOW))
    assert joined_cluster("auto") == joined_cluster("multiworker") == parse_cluster(json.dumps(KUBEFLOW))
    assert joined_cluster("none") is joined_cluster("mirrored") is None


def test_the_job_for_kubernetes_is_one():
    job = yaml.safe_load((ROOT / "docs/tfjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    ((task, workers),) = job["spec"]["tfReplicaSpecs"].items()
    assert (task, workers["replicas"], workers["restartPolicy"]) == ("Worker", 2, "ExitCode")
    (container,) = workers["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow"  # by which the operator finds it
    python, script, *words = container["command"]
    assert (python, script) == ("python", "train.py")
    assert (ROOT / script).is_file()
    options = parse_train_options(words)
    assert options.settings.strategy in ("auto", "multiworker")
    assert options.settings.batch_size % workers["replicas"] == 0
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    for path in (options.settings.data, options.run_dir):
        assert any(str(path).startswith(f"{mount}/") for mount in mounts)
    volumes = {volume["name"] for volume in workers["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
