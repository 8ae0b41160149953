"""How the folder of a run is opened, and what a run writes as it begins, without a training."""

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf
from begun import CONFIG, DATA, refused

from keras_fcn.errors import argument
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.fingerprint import Fingerprint
from keras_fcn.runs.folder import RunFolder
from keras_fcn.training import opening
from keras_fcn.training.opening import Opening
from keras_fcn.training.records.beginning import describe_machine
from keras_fcn.training.step.own import OwnParts


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", CONFIG.to_dict())


@pytest.fixture
def lines():
    return []


class Training:
    """What `Opening.run` asks of a training."""

    def __init__(self, is_chief=True):
        self.asked, self.step, self.precision = [], 17, "float32"
        self.workers = SimpleNamespace(is_chief=is_chief, require_alike=lambda *words: self.asked.append(words))

    def restore(self, run, report):
        self.asked.append(("restore", run.root))
        self.step = 18

    def require_best_model(self, run, report):
        self.asked.append(("best", run.root))


class Images(SimpleNamespace):
    fingerprint, contents = DATA, ["digest"]
    pairs = SimpleNamespace(images=(Path("d/x.jpg"),), reading="greys", mask_notes=("n",))
    validation = SimpleNamespace(images=(Path("d/y.jpg"),))


def begun(config=CONFIG, own=None, run_dir=None, resume=None, training=None, lines=None, like=None):
    """Returns the opening, the run and the training, after it has begun."""
    found, training = Opening(config, own or OwnParts(), run_dir, resume, like), training or Training()
    with found.locked():
        run = found.run(training, Images(), tf.distribute.get_strategy(), [].append if lines is None else lines.append)
    return found, run, training


def augment(image, seed):
    return image


def test_a_new_run_is_written(tmp_path, lines):
    own = OwnParts(augment=augment)
    found, run, training = begun(own=own, run_dir=tmp_path / "new", lines=lines)
    assert (run.root, found.root, found.reading, found.has_checkpoint) == (
        tmp_path / "new",
        tmp_path / "new",
        "",
        False,
    )
    assert json.loads(run.config.read_text()) == json.loads(
        json.dumps(CONFIG.to_dict() | {"own": {"augment": "augment"}})
    )
    assert (run.root / "training_images.txt").read_text() == "d/x.jpg\n"
    assert (run.root / "held_out_images.txt").read_text() == "d/y.jpg\n"
    assert (run.root / "training_contents.txt").read_text() == "digest\n"
    assert run.reading == "greys"
    kept, machine = Fingerprint.read(run.fingerprint)
    assert (kept, machine) == (DATA, describe_machine(tf.distribute.get_strategy(), "float32"))
    assert run.checked_files.is_file()
    assert training.asked == [
        ("17", f"{run.root}: the workers see different checkpoints there; keep runs where all see them"),
        ("best", run.root),
        (
            "float32",
            f"the workers' processors compute in different precisions; give {argument('precision', 'float32')}",
        ),
    ]
    assert not lines


def test_a_default_folder_is_named_by_the_time_the_model_and_the_backbone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for own, backbone in ((OwnParts(), "vgg16"), (OwnParts(backbone=SimpleNamespace(name="plain")), "plain")):
        config = TrainConfig(data="data", model="fcn16s", backbone="vgg16")
        found, run, _ = begun(config, own)
        assert run.root.parent == Path("runs")
        assert run.root.name[15:] == f"-fcn16s-{backbone}"
        assert found.root is None


def test_a_run_is_resumed_by_the_same_command_and_by_its_folder(run, lines):
    run.keep_reading("ids", ())
    for given in ({"run_dir": run.root}, {"resume": run.root}):
        found, again, training = begun(**given, lines=lines)
        assert (found.reading, again, found.root) == ("ids", run, run.root)
        assert training.asked[0] == ("restore", run.root)
        assert training.asked[1][0] == "18"  # after it is restored
        assert not found.has_checkpoint
        assert json.loads(run.config.read_text()) == json.loads(
            json.dumps(CONFIG.to_dict())
        )  # without parts of one's own
    assert run.reading == "ids"
    assert not [line for line in lines if "watch" in line]
    begun(dataclasses.replace(CONFIG, run=dataclasses.replace(CONFIG.run, epochs=7)), resume=run.root)
    assert json.loads(run.config.read_text())["epochs"] == 7
    (run.checkpoints).mkdir()
    (run.checkpoints / "ckpt-1.index").touch()
    assert begun(resume=run.root)[0].has_checkpoint
    assert begun(run_dir=run.root.with_name("b"), like=run)[0].reading == "ids"


def test_a_run_older_than_watch_says_so(run, lines):
    settings = json.loads(run.config.read_text())
    del settings["watch"]
    run.config.write_text(json.dumps(settings))
    found, _, _ = begun(resume=run.root, lines=lines)
    assert [line for line in lines if "watch" in line] == [
        "This run is older than --watch: it keeps the best mean IoU, as it did before"
    ]
    assert found.config.run.watch == "mean_iou"


def test_another_worker_than_the_chief_writes_nothing(tmp_path, run):
    _, _, training = begun(run_dir=tmp_path / "new", training=Training(is_chief=False))
    assert not (tmp_path / "new").exists()
    assert training.asked[1] == ("best", tmp_path / "new")
    before = {path.name for path in run.root.iterdir()}
    begun(resume=run.root, training=Training(is_chief=False))
    assert {path.name for path in run.root.iterdir()} == before


def test_the_chief_of_a_cluster_waits_for_the_one_before_it(tmp_path, run, monkeypatch):
    patience = []
    locked = RunFolder.locked
    monkeypatch.setattr(RunFolder, "locked", lambda self, seconds: [patience.append(seconds), locked(self, seconds)][1])
    begun(run_dir=tmp_path / "a")
    begun(resume=run.root)
    assert patience == [0.0, 0.0]
    patience.clear()
    for is_chief, new in ((True, "b"), (False, "c")):
        cluster = SimpleNamespace(is_chief=is_chief)
        monkeypatch.setattr(opening, "joined_cluster", lambda strategy, cluster=cluster: cluster)
        begun(resume=run.root, training=Training(is_chief))
        begun(run_dir=tmp_path / new, training=Training(is_chief))
    assert patience == [60.0, 60.0]
    asked = []
    monkeypatch.setattr(opening, "joined_cluster", asked.append)
    begun(run_dir=tmp_path / "d")
    assert asked == [CONFIG.strategy]


def test_the_lock_is_kept_while_it_trains(tmp_path, run):
    for given in ({"run_dir": tmp_path / "new", "resume": None}, {"run_dir": None, "resume": run.root}):
        found = Opening(CONFIG, OwnParts(), **given)
        root = given["run_dir"] or given["resume"]
        with found.locked():
            found.run(Training(), Images(), tf.distribute.get_strategy(), [].append)
            message = refused(Opening(CONFIG, OwnParts(), None, root).locked().__enter__)
            assert message.startswith(f"process {os.getpid()} on ")
        assert not (root / "lock").exists()


def test_a_folder_of_anything_else_is_refused(tmp_path, run):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").touch()
    other = lambda **settings: TrainConfig(data="data", epochs=2, **settings)  # noqa: E731
    assert refused(Opening, CONFIG, OwnParts(), tmp_path / "other", None) == (
        f"{tmp_path}/other: already exists and is not a run; choose another run_dir"
    )
    assert refused(Opening, other(seed=1, model="fcn16s"), OwnParts(), run.root, None) == (
        f"{run.root}: already exists, with another model, seed; choose another run_dir, or resume it with "
        f"resume='{run.root}'"
    )
    assert refused(Opening, CONFIG, OwnParts(augment=augment), run.root, None) == (
        f"{run.config}: the run began with no parts of one's own; hand in the same. Received: augment=augment"
    )
    begun(own=OwnParts(augment=augment, loss=("dice",)), run_dir=tmp_path / "own")
    for given in ((tmp_path / "own", None), (None, tmp_path / "own")):
        assert refused(Opening, CONFIG, OwnParts(), *given) == (
            f"{tmp_path}/own/config.json: the run began with loss=dice, augment=augment of one's own; hand in the "
            "same. Received: none"
        )


def test_a_run_that_lost_its_checkpoints_is_not_begun_anew(run):
    end = f"but {run.checkpoints} holds no checkpoint to resume from; put it back, or start a new run"
    weights = f" from its weights with init_from='{run.root}'"
    with Opening(CONFIG, OwnParts(), None, run.root).locked():
        pass  # it was stopped before its first checkpoint
    opened = Opening(CONFIG, OwnParts(), run.root, None)
    run.best_model.touch()
    assert refused(opened.locked().__enter__) == f"{run.best_model} exists, {end}{weights}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "read_history", lambda self: [1, 2])
        assert refused(opened.locked().__enter__) == f"{run.history} tells of 2 finished epochs, {end}{weights}"
        run.best_model.unlink()
        assert refused(opened.locked().__enter__) == f"{run.history} tells of 2 finished epochs, {end}"
    with opened.locked():
        assert not opened.has_checkpoint
