"""A search of settings: what is tried next, what is hopeless, and that a search that was stopped goes on exactly."""

import contextlib
import dataclasses
import json
import sys

import numpy as np
import pytest
import yaml
from tiny_runs import exact_history, silent, tiny

from keras_fcn.commands.train import parse_train_options
from keras_fcn.errors import UnfitSettingsError, UserError
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import read_config
from keras_fcn.runs.history import EpochRow
from keras_fcn.training.tuning import tune as tuning
from keras_fcn.training.tuning.folder import TuningFolder
from keras_fcn.training.tuning.tune import tune

OVER = ["learning_rate=1e-4..1", "loss=cross_entropy,cross_entropy+dice"]
SETTINGS = {"epochs": 4, "learning_rate": 0.001}


class StandIn:
    """Stands for a training: each epoch comes nearer to a figure that is best at a rate of 0.05, with dice.

    Attributes:
        stop_at: The epoch of all trials together, from 1, before which it is stopped, as by Ctrl-C.
        trained: The settings of the trainings that began.
    """

    def __init__(self, stop_at=0):
        self.stop_at, self.epochs, self.trained, self.likes = stop_at, 0, [], []

    def __call__(self, config, run_dir, resume, report, callbacks, tracker=None, like=None):
        run = tuning.RunFolder(resume or run_dir)
        self.trained.append(config)
        self.likes.append(like and like.root.name)
        report(f"Rate     {config.optimization.peak_rate}")
        if config.optimization.peak_rate > 0.5:
            raise UnfitSettingsError("the loss became nan in step 3")
        if resume is None:
            run.create(run.root, config.to_dict())
        rows = run.read_history()
        for epoch in range(len(rows), config.epochs):
            for callback in callbacks:
                callback.on_epoch_begin(epoch)
            self.epochs += 1
            if self.epochs == self.stop_at:
                raise KeyboardInterrupt("resume that run")
            report(f"\nEpoch {epoch + 1}/{config.epochs}")
            rows.append(row(epoch + 1, figure(config) * (epoch + 1) / config.epochs))
            run.write_history(rows)
            run.checkpoints.mkdir(exist_ok=True)
        run.best_note.write_text(json.dumps({"epoch": config.epochs, "by": "mean IoU", "value": figure(config)}))


def figure(config):
    return 0.5 + 0.1 * ("dice" in config.loss) - 0.1 * abs(np.log10(config.optimization.peak_rate / 0.05))


def row(epoch, value):
    return EpochRow(epoch, 10 * epoch, 1.0, 0.1, 1.0, 1.0, 0.0, 0.9, 0.9, value, 0.9, {}, value)


@pytest.fixture
def stand_in(monkeypatch):
    def put(**options):
        monkeypatch.setattr(tuning, "run_training", trainer := StandIn(**options))
        monkeypatch.setattr(tuning, "_freed", contextlib.nullcontext)  # there is nothing to free, and it takes time
        return trainer

    return put


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_search_finds_what_is_better_and_leaves_a_recipe(stand_in, tmp_path):
    trainer, lines = stand_in(), []
    tuned = tune(20, over=OVER, run_dir=tmp_path / "s", report=lines.append, **SETTINGS)
    assert [trial.number for trial in tuned.trials] == list(range(1, 21))
    first = tuned.trials[0]
    assert (first.params, first.state) == ({"learning_rate": 0.001, "loss": "cross_entropy"}, "finished")
    assert first.values == pytest.approx([figure(trainer.trained[0]) * part / 4 for part in (1, 2, 3, 4)])
    assert tuned.best.value == max(trial.value for trial in tuned.trials if trial.state == "finished") > 0.55
    assert all(config.seed == 0 and config.epochs == 4 for config in trainer.trained)
    assert trainer.likes[1:] == [None] * 19  # the stand-in keeps no fingerprint
    # The recipe gives the very settings of the best trial.
    assert read_config(tuned.folder.recipe) == trainer.trained[tuned.best.number - 1] == tuned.config
    assert parse_train_options(["--config", str(tuned.folder.recipe)]).settings == tuned.config
    # Of those that are over, the best alone can be resumed.
    assert [path.parent.name for path in sorted(tmp_path.glob("s/*/checkpoints"))] == [tuned.run.root.name]
    table = lines[-1]
    assert table.split("\n")[3].split()[:2] == [str(tuned.best.number), f"{tuned.best.params['learning_rate']:.6g}"]
    assert f"Trial {tuned.best.number} is the best of 20: mean IoU {tuned.best.value:.1%}; 33.0%" in table
    assert f"--config {tuned.folder.recipe} --epochs N" in table


def test_hopeless_trials_are_those_below_the_median_and_diverging_ones_have_failed(stand_in, tmp_path):
    stand_in()
    trials = tune(20, over=OVER, run_dir=tmp_path / "s", report=silent, **SETTINGS).trials
    assert {trial.state for trial in trials} == {"finished", "pruned", "failed"}
    for trial in trials:
        others = [other for other in trials[: trial.number - 1] if other.state == "finished"]
        assert (trial.state == "failed") == (trial.params["learning_rate"] > 0.5)
        if trial.state == "pruned":  # of 4 epochs, the first third is over after the second
            medians = [np.median([other.values[epoch] for other in others]) for epoch in range(4)]
            epoch = len(trial.values)
            assert (len(others) >= 4, epoch >= 2, trial.value < medians[epoch - 1]) == (True, True, True)
            assert not any(max(trial.values[:few]) < medians[few - 1] for few in range(2, epoch))
    failed = next(trial for trial in trials if trial.state == "failed")
    assert failed.note == "the loss became nan in step 3"


def test_a_search_that_is_stopped_anywhere_goes_on_to_the_same_bits(stand_in, tmp_path):
    stand_in()
    tune(8, over=OVER, run_dir=tmp_path / "whole" / "s", report=silent, **SETTINGS)
    whole = files_of(tmp_path / "whole" / "s")
    for stop_at in (1, 5, 18):
        folder = tmp_path / str(stop_at) / "s"
        stand_in(stop_at=stop_at)
        with pytest.raises(KeyboardInterrupt, match=rf"^resume with python train.py --resume {folder}$"):
            tune(8, over=OVER, run_dir=folder, report=silent, **SETTINGS)
        stand_in()
        tune(resume=folder, report=silent)
        found = {name: content.replace(bytes(folder), bytes(tmp_path / "whole" / "s")) for name, content in
                 files_of(folder).items()}  # fmt: skip
        assert found == whole


def test_more_trials_continue_a_search_as_if_there_had_been_as_many(stand_in, tmp_path):
    stand_in()
    few = tune(5, over=OVER, run_dir=tmp_path / "few", report=silent, **SETTINGS)
    more = tune(9, resume=few.folder.root, report=silent)
    assert more.trials == tune(9, over=OVER, run_dir=tmp_path / "more", report=silent, **SETTINGS).trials
    assert more.trials[:5] == few.trials
    recipe = more.folder.recipe.read_text()
    more.folder.recipe.unlink()  # as if killed before it was written
    assert tune(resume=more.folder.root, report=silent).trials == more.trials
    assert more.folder.recipe.read_text() == recipe


def test_minutes_are_measured_once(stand_in, tmp_path, monkeypatch):
    trainer = stand_in()

    def measured(config, *arguments, **options):
        if config.run.minutes:
            config = dataclasses.replace(config, minutes=None, epochs=3)
        return trainer(config, *arguments, **options)

    monkeypatch.setattr(tuning, "run_training", measured)
    tuned = tune(3, over=OVER, run_dir=tmp_path / "s", minutes=5, report=silent)
    assert [config.epochs for config in trainer.trained] == [3, 3, 3]
    assert yaml.safe_load(tuned.folder.recipe.read_text())["epochs"] == 3
    assert len(tune(4, resume=tuned.folder.root, report=silent).trials) == 4


def test_what_all_trials_say_is_said_once(stand_in, tmp_path):
    lines = []
    stand_in()
    tune(3, over=["loss=cross_entropy,dice"], run_dir=tmp_path / "s", report=lines.append, **SETTINGS)
    assert lines.count("Rate     0.001") == 1
    assert lines.count("\nEpoch 1/4") == 3


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"trials": 0}, "tune must be at least 1, the number of trials. Received: 0"),
        ({"over": ["learning_rte=1..2"]}, r"tune_over='learning_rte=1\.\.2': .*learning_rte \(did you mean"),
        ({"over": ["seed=1,2"]}, "tune_over='seed=1,2': seed is the same in all trials"),
        ({"over": ["batch_size=4,8"]}, "tune_over='batch_size=4,8': batch_size is the same in all trials"),
        ({"over": ["loss=1..2"]}, r"'loss=1\.\.2': loss has no range from LOW to HIGH; .* loss=cross_entropy,\.\.\."),
        ({"over": ["learning_rate=low..high"]}, r"learning_rate=low.*takes a number, \.\. and a greater one"),
        ({"over": ["warmup_steps=1..2.5"]}, r"warmup_steps=1.*takes a whole number, \.\. and a greater one"),
        ({"over": ["learning_rate=0.1..0.01"]}, r"the first end of a range is the less; write learning_rate=0.01..0.1"),
        ({"over": ["learning_rate=-1..1"]}, r"'learning_rate=-1..1': learning_rate must be greater than 0"),
        ({"over": ["learning_rate"]}, r"takes NAME=LOW..HIGH or NAME=A,B, such as learning_rate=1e-4..1e-2"),
        ({"over": ["loss=dice"]}, r"'loss=dice': is a single choice; give more, or leave it out and give loss itself"),
        ({"over": ["loss=dice,dice"]}, r"names a choice twice"),
        ({"over": ["loss=dice,focal"]}, r"tune_over='loss=dice,focal': .*focal"),
        ({"over": ["flip=none,both", "flip=none,turns"]}, "a second range of flip"),
        ({"over": ["loss=dice,lovasz"], "label_smoothing": 0.1}, "'loss=dice,lovasz': label_smoothing is for"),
        ({"folds": 5, "fold": 1}, "tune and folds=5 exclude each other"),
    ],
)  # fmt: skip
def test_wrong_input_is_a_line_and_leaves_nothing(stand_in, tmp_path, options, line):
    trainer = stand_in()
    with pytest.raises(UserError, match=line) as error:
        tune(**{"trials": 3, **options}, run_dir=tmp_path / "s", report=silent)
    assert "\n" not in str(error.value)
    assert not trainer.trained
    assert not (tmp_path / "s").exists()


def test_folders_that_are_no_search_or_another_one_are_refused(stand_in, tmp_path):
    stand_in()
    (tmp_path / "s").mkdir()
    (tmp_path / "s/mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"s: already exists and is not a search; choose another run_dir"):
        tune(2, run_dir=tmp_path / "s", report=silent)
    with pytest.raises(UserError, match=r"s: is no search to resume"):
        tune(2, resume=tmp_path / "s", report=silent)
    root = tune(2, over=OVER, run_dir=tmp_path / "t", report=silent, **SETTINGS).folder.root
    with pytest.raises(UserError, match=r"t: the search began with another flip; leave it out to resume"):
        tune(2, resume=root, flip="none", report=silent)
    with pytest.raises(UserError, match=r"t: the search began over learning_rate=0.0001..1.0 loss=.*leave tune_over"):
        tune(2, resume=root, over=["flip=none,both"], report=silent)
    TuningFolder(root).trials.write_text("{")
    with pytest.raises(UserError, match=r"trials.json: is damaged"):
        tune(2, resume=root, report=silent)


def test_a_fault_of_the_data_ends_the_search_and_leaves_no_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        tune(2, data=str(tmp_path / "nowhere"), run_dir=tmp_path / "s", report=silent)
    assert not (tmp_path / "s").exists()


def test_without_optuna_it_is_a_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"tune: needs optuna, .*pip install -r requirements-tune.txt"):
        tune(2, run_dir=tmp_path / "s", report=silent)


def test_the_usual_space_is_around_the_settings_and_holds_the_usual_recipes():
    plain = {text.split("=")[0]: text for text in tuning.Space.usual(TrainConfig()).texts}
    assert list(plain) == ["learning_rate", "scale", "input_scale", "loss"]
    assert plain["learning_rate"] == "learning_rate=0.005..0.5"
    assert plain["input_scale"] == "input_scale=0.5..1.0"
    space = tuning.Space.usual(TrainConfig(weights="imagenet", input_scale=0.25, scale=(0.5, 2), optimizer="adamw"))
    assert space.texts == [
        "learning_rate=0.0001..0.01", "scale=0.5+2.0,1.0+1.0,0.75+1.5,0.5+1.5", "input_scale=0.125..0.5",
        "loss=cross_entropy,cross_entropy+dice,cross_entropy+lovasz", "backbone_rate=0.02..1.0",
    ]  # fmt: skip
    assert space.own() == {
        "learning_rate": 0.001, "scale": "0.5+2.0", "input_scale": 0.25, "loss": "cross_entropy", "backbone_rate": 1.0
    }  # fmt: skip


def test_a_real_search_is_made_of_ordinary_runs(toy, tmp_path, eager, no_pictures):
    config = tiny(toy, epochs=1)
    tuned = tune(2, config, over=["flip=horizontal,none"], run_dir=tmp_path / "s", report=silent)
    first, second = (tuned.folder.run(number) for number in (1, 2))
    assert read_config(first.config) == config
    assert [row["step"] for row in exact_history(second)] == [3]
    assert first.fingerprint.read_text() == second.fingerprint.read_text()
    assert tuned.model.count_params() > 0
