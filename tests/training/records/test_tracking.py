"""Values of a run go to an experiment tracker, a resumed run goes on there, and no tracker stops a training."""

import importlib.machinery
import importlib.util
import json
import sys
import types

import keras
import pytest

from keras_fcn.commands.train import parse_train_options
from keras_fcn.errors import UserError
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.names import TRACKERS
from keras_fcn.training.records.tracking import tracked, tracker_of

SETTINGS = TrainConfig(epochs=2).to_dict()
ROW = {"epoch": 1, "step": 7, "loss": 0.5, "val_mean_iou": 0.25, "val_iou/cat": float("nan"), "val_iou/dog": None}


class Recorder:
    """Stands for the packages of all trackers, as their documentation has them; keeps what is called."""

    def __init__(self):
        self.calls = []

    def module(self, name):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__getattr__ = lambda function: self._function(function)
        return module

    def _function(self, name):
        def call(*arguments, **options):
            self.calls.append((name, arguments, options))
            key = options.get("run_id") or options.get("id") or "key of it"
            return types.SimpleNamespace(
                id=key, info=types.SimpleNamespace(run_id=key), log=self._function("log"),
                finish=self._function("finish"), save=self._function("save"),
            )  # fmt: skip

        return call

    def of(self, name):
        return [(arguments, options) for called, arguments, options in self.calls if called == name]


@pytest.fixture
def run(tmp_path):
    root = tmp_path / "first"
    root.mkdir()
    (root / "metrics.json").write_text("{}")
    return RunFolder(root)


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    for name in TRACKERS:
        monkeypatch.setitem(sys.modules, name, recorder.module(name))
    return recorder


def train(run, tracker, lines, is_stopped=False):
    with tracked(run, tracker, SETTINGS, lines.append) as callbacks:
        listeners = keras.callbacks.CallbackList(callbacks)
        listeners.on_train_begin()
        listeners.on_epoch_begin(0)
        listeners.on_epoch_end(0, ROW)
        if is_stopped:
            raise KeyboardInterrupt
        listeners.on_train_end()


@pytest.mark.parametrize("tracker", TRACKERS)
def test_values_of_epochs_are_sent_and_a_resumed_run_goes_on(run, recorder, tracker):
    lines = []
    with pytest.raises(KeyboardInterrupt):
        train(run, tracker, lines, is_stopped=True)
    assert lines == [f"Tracker  {tracker}, as first"]
    (sent,) = recorder.of("log_metrics") + recorder.of("log")
    assert sent[0][0] == {"loss": 0.5, "val_mean_iou": 0.25}
    assert (sent[1]["step"], type(sent[1]["step"])) == (7, int)  # Keras hands callbacks floats
    assert (recorder.of("log_params") or [((recorder.of("init")[0][1]["config"],), {})])[0][0][0] == SETTINGS
    kept = json.loads(run.tracking.read_text())
    assert kept["tracker"] == tracker
    recorder.calls.clear()
    train(run, tracker_of(run, None), lines)
    assert lines[-1] == f"Tracker  {tracker}, as first (continued)"
    options = (recorder.of("start_run") or recorder.of("init"))[0][1]
    assert kept["key"] in options.values()
    ended = {"mlflow": (("FINISHED",), {}), "wandb": ((), {"exit_code": 0}), "trackio": ((), {})}[tracker]
    assert (recorder.of("end_run") or recorder.of("finish")) == [ended]


@pytest.mark.parametrize("broken", ["start_run", "log_metrics", "end_run"])
def test_a_tracker_that_fails_is_a_line_and_the_training_goes_on(run, recorder, monkeypatch, broken):
    def fail(*_, **__):
        raise ConnectionError("no route to host\nand much more")

    vars(sys.modules["mlflow"])[broken] = fail
    lines = []
    train(run, "mlflow", lines)
    (warning,) = [line for line in lines if line.startswith("Warning")]
    assert warning == "Warning  mlflow: no route to host; training goes on, and nothing more is sent there"


def test_wrong_calls_are_one_line(run):
    with pytest.raises(UserError, match=r"tracker must be one of|invalid choice|--tracker"):
        parse_train_options(["--tracker", "other"])
    run.tracking.write_text('{"tracker": "wandb", "key": "a"}')
    with pytest.raises(
        UserError, match=r"tracking.json: the run began in wandb; leave tracker out, .*tracker='mlflow'"
    ):
        tracker_of(run, "mlflow")
    run.tracking.write_text("{")
    with pytest.raises(UserError, match=r"tracking.json: is damaged; remove it"):
        tracker_of(run, None)
    run.tracking.unlink()
    assert tracker_of(run, None) is None
    missing = next((name for name in TRACKERS if importlib.util.find_spec(name) is None), None)
    if missing:
        with pytest.raises(UserError, match=rf"tracker='{missing}': needs {missing}, .*requirements-trackers.txt"):
            tracker_of(run, missing)


def test_mlflows_own_store_has_the_values(run, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    lines = []
    with pytest.raises(KeyboardInterrupt):
        train(run, "mlflow", lines, is_stopped=True)
    train(run, "mlflow", lines)
    (found,) = mlflow.search_runs(experiment_names=["keras-fcn"], output_format="list")
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert found.data.metrics == {"loss": 0.5, "val_mean_iou": 0.25}
    assert found.data.params["epochs"] == "2"
