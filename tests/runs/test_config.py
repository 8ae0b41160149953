import copy
import dataclasses
import functools
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import Call

from keras_fcn.commands.train import parse_train_options
from keras_fcn.errors import UserError
from keras_fcn.runs.config import RunOptions, TrainConfig
from keras_fcn.runs.config_files import as_begun, read_config, require_resumable
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.command_line import as_options
from keras_fcn.system.options import option

SETTINGS = TrainConfig(
    data="images",
    model="fcn16s",
    epochs=3,
    crop_size=(64, 96),
    learning_rate=1e-3,
    loss=("cross_entropy", "dice"),
    seed=7,
)


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", SETTINGS.to_dict()).root


def test_no_options_are_the_defaults():
    options = parse_train_options([])
    assert options.settings == TrainConfig()
    assert (options.run_dir, options.resume, options.config) == (None, None, None)


def test_options_become_settings():
    words = "--data images --model fcn16s --epochs 3 --crop-size 64 96 --learning-rate 1e-3"
    words += " --loss cross_entropy dice --seed 7 --run-dir a/b"
    options = parse_train_options(words.split())
    assert options.settings == SETTINGS
    assert options.run_dir == Path("a/b")


@pytest.mark.parametrize("settings", [SETTINGS, TrainConfig()], ids=["some", "defaults"])
def test_a_runs_settings_are_read_back(tmp_path, settings):
    run = RunFolder.create(tmp_path / "run", settings.to_dict())
    assert read_config(run.config) == settings


def test_options_win_over_a_config_file(run):
    options = parse_train_options(["--config", str(run / "config.json"), "--epochs", "9", "--crop-size", "32", "32"])
    assert options.settings.to_dict() == {**SETTINGS.to_dict(), "epochs": 9, "crop_size": (32, 32)}


def test_options_may_suit_the_settings_of_a_file_alone():
    """Features are cached of a frozen backbone, as the recipe has it."""
    assert parse_train_options(["--config", "small_dataset", "--cache-features", "0.5"]).settings.cache_features == 0.5


@pytest.mark.parametrize("written", ["epochs: 3", "minutes: 5"])
def test_epochs_and_minutes_of_the_command_line_win_over_those_of_a_file(tmp_path, written):
    (tmp_path / "recipe.yaml").write_text(written)
    for words, length in ((["--epochs", "8"], (8, None)), (["--minutes=7"], (8, 7.0))):
        run = parse_train_options(["--config", str(tmp_path / "recipe.yaml"), *words]).settings.run
        assert (run.epochs, run.minutes) == length


def test_a_run_to_start_from_takes_the_place_of_a_recipes_weights(tmp_path):
    network = parse_train_options(["--config", "small_dataset", "--init-from", "runs/first"]).settings.network
    assert (network.backbone, network.weights, network.init_from) == ("efficientnet_lite2", "none", Path("runs/first"))
    (tmp_path / "config.yaml").write_text("init_from: runs/first", encoding="utf-8")
    network = parse_train_options(["--config", str(tmp_path / "config.yaml"), "--weights=imagenet"]).settings.network
    assert (network.weights, network.init_from) == ("imagenet", None)
    with pytest.raises(UserError, match="--init-from and --weights exclude each other"):
        parse_train_options(["--config", "small_dataset", "--init-from", "runs/first", "--weights", "imagenet"])


def test_from_python_epochs_and_minutes_exclude_each_other():
    for make in (TrainConfig, functools.partial(dataclasses.replace, TrainConfig())):
        with pytest.raises(UserError, match="epochs and minutes exclude each other"):
            make(epochs=8, minutes=5)
        assert make(minutes=5).run.minutes == 5.0


def test_a_resumed_run_keeps_its_settings(run):
    assert (
        parse_train_options(["--resume", str(run), "--minutes", "9"]).settings.run.minutes == 9.0
    )  # said, then unused

    assert parse_train_options(["--resume", str(run)]).settings == SETTINGS
    more = parse_train_options(["--resume", str(run), "--epochs", "5", "--data", "moved", "--seed", "7"])
    assert more.settings.to_dict() == {**SETTINGS.to_dict(), "epochs": 5, "data": "moved"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--crop-size", "0", "32"], "--crop-size takes a height and a width of at least 1, .* Received: 0 32"),
        (["--crop-size", "99999", "99999"], "and 1073741824 pixels at most. Received: 99999 99999"),
        (["--crop-size", "32"], "--crop-size takes two whole numbers. Received: 32; see "),
        (["--epochs", "0"], "--epochs must be greater than 0. Received: 0"),
        (["--epochs", "many"], "--epochs takes a whole number. Received: many; see "),
        (["--seed", "3", "--tune=1.5"], "--tune takes a whole number. Received: 1.5; see "),
        (["--scale", "a", "b", "--seed", "3"], "--scale takes two numbers. Received: a b; see "),
        (["--seed", "3", "--epochs"], "--epochs takes a whole number. Received: none; see "),
        (["--batch-size", "-1"], "--batch-size must be greater than 0"),
        (["--learning-rate", "nan"], "--learning-rate must be greater than 0. Received: nan"),
        (["--loss", "dice", "dice"], "--loss takes one or more losses, each once. Received: dice dice"),
        (["--loss", "focal"], "focal"),
        (["--label-smoothing", "1"], "--label-smoothing must be at least 0 and less than 1. Received: 1.0"),
        (["--ohem", "0"], "--ohem must be greater than 0 and at most 1. Received: 0.0"),
        (["--loss", "dice", "--ohem", "0.3"], "--ohem is for the cross-entropy, .* Received: --ohem 0.3 --loss dice"),
        (["--loss", "dice", "--balance", "weights"], "--balance is for the cross-entropy, which --loss leaves out"),
        (["--weight-decay", "-0.1"], "--weight-decay must not be negative"),
        (["--seed", "-1"], "--seed must be in 0 to 2147483647. Received: -1"),
        (["--model", "fcn2s"], r"invalid choice 'fcn2s' for argument '--model'. Expected one of .*fcn8s"),
        (["--epcohs", "3"], r"Unrecognized options: --epcohs \(did you mean --epochs\?\), 3; see "),
        (["--resume", "nowhere"], r"nowhere/config.json: no such file, so nowhere is not a run to resume"),
        (["--config", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--config", "a", "--resume", "b"], "--config and --resume exclude each other"),
        (["--minutes", "0"], "--minutes must be greater than 0 and at most 525600, a year. Received: 0.0"),
        (["--minutes", "nan"], "--minutes must be greater than 0 and at most 525600, a year. Received: nan"),
        (["--minutes", "soon"], "--minutes takes a number. Received: soon; see "),
        (["--minutes", "5", "--epochs=8"], "epochs and minutes exclude each other"),
    ],
)
def test_wrong_options_are_one_line_each(words, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_train_options(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["--model", "fcn8s"], ["--crop-size", "64", "64"], ["--seed", "0"]])
def test_a_run_cannot_be_resumed_as_another(run, words):
    with pytest.raises(UserError) as caught:
        parse_train_options(["--resume", str(run), *words])
    wanted = (
        rf"{words[0]} is .* in {run}/config.json. Received: {' '.join(words[1:])}; leave it out to resume, or start"
    )
    assert re.match(wanted, as_options(caught.value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is neither YAML nor JSON"),
        ("[1]", "holds no settings"),
        (json.dumps({"epochs": 3, "momentum": 0.9}), "holds momentum, which train.py does not know"),
        (json.dumps({"epochs": -3}), "--epochs must be greater than 0. Received: -3"),
        (json.dumps({"model": "unet"}), "invalid choice 'unet'"),
        ("epoch: 3", r"holds epoch \(did you mean epochs\?\), which train.py does not know; train.py --help lists"),
        ("batch-size: 4", r"holds batch-size \(did you mean batch_size\?\), which "),
        ("seed: 1\nepochs: 3\nseed: 2", "seed stands in lines 1 and 3; leave one of them"),
        ('{"seed": 1, "seed": 2}', "seed stands in lines 1 and 1"),
        ("epochs: 3\nseed:", "seed in line 2 takes a value or a list of values, such as 0"),
        ("crop_size: [[32, 32]]", "crop_size in line 1 takes a value or a list of values$"),
        ("optimizer: {name: sgd}", "optimizer in line 1 takes a value or a list of values, such as sgd"),
        ("[seed]: 1", "is neither YAML nor JSON|holds no settings"),
        ("epochs: 3\nminutes: 5", "epochs and minutes exclude each other"),
        ("own: 5", "own in line 1 names no parts of one's own"),
        ("own: {[a]: b}", "own in line 1 names no parts of one's own"),
        ("seed: " + "[" * 5000, "is neither YAML nor JSON"),
        ("seed: !!python/object/apply:os.getcwd []", "seed"),  # a text like any other: nothing is made of it
        ("seed: !!python/name:os.getcwd", "seed"),
        ("flip: maybe", "flip must be one of none, horizontal, vertical, both, turns. Received: maybe"),
        ("#" * 262_145, "has more than 256 KiB, so it is no file of settings; give another"),
        ("model: lraspp\ncontext: mean", "--context and --upscore-init are for fcn32s, .* Received: --model lraspp"),
    ],
)
def test_a_wrong_config_file_is_named(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=f"^{tmp_path}/config.json: (?!/).*{message}"):
        parse_train_options(["--config", str(tmp_path / "config.json")])


TYPED = [
    ("xla: on", "xla", "on"), ("data: yes", "data", "yes"), ("seed: 010", "seed", 10), ("data: 007", "data", "007"),
    ("data: 12:30", "data", "12:30"), ("data: 2024-01-02", "data", "2024-01-02"), ("flip: no", "flip", "none"),
    ("flip: 'Off'", "flip", "none"), ("flip: true", "flip", "horizontal"), ("flip: turns", "flip", "turns"),
    ("context: true", "context", "mean"), ('{"context": false}', "context", "none"),
    ("loss: dice", "loss", ("dice",)), ("crop_size: ~", "crop_size", None), ("rotate: 5", "rotate", 5.0),
    ("learning_rate: 1e-3", "learning_rate", 0.001), ("weights: none", "weights", "none"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "value"), TYPED)
def test_a_setting_in_a_file_is_what_stands_there(tmp_path, text, name, value):
    """YAML 1.1 reads `on` as true, 010 as 8 and 12:30 as 750."""
    (tmp_path / "recipe.yaml").write_text(text)
    assert repr(getattr(read_config(tmp_path / "recipe.yaml"), name)) == repr(value)


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("crop_size", [64, 96], (64, 96)),
        ("epochs", np.int64(3), 3),
        ("learning_rate", 1, 1.0),
        ("scale", (1, np.float32(2)), (1.0, 2.0)),
        ("flip", np.False_, "none"),
        ("context", np.True_, "mean"),
        ("data", Path("images"), "images"),
        ("init_from", "runs/a", Path("runs/a")),
        ("loss", "dice", ("dice",)),
    ],
)
def test_values_from_python_are_normalized_as_the_command_line_does(name, given, value):
    assert repr(getattr(TrainConfig(**{name: given}), name)) == repr(value)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("context", "all", "context must be one of none, mean, pyramid, aspp. Received: all"),
        ("flip", "left", "flip must be one of none, horizontal, vertical, both, turns. Received: left"),
        ("epochs", 3.0, "epochs must be a whole number. Received: 3.0"),
        ("epochs", True, "epochs must be a whole number. Received: True"),
        ("learning_rate", "1e-3", "learning_rate must be a number, or None. Received: '1e-3'"),
        ("crop_size", "64 96", "crop_size must be two whole numbers, or None. Received: '64 96'"),
        ("crop_size", (64, 96, 3), "crop_size must be two whole numbers, or None. Received: (64, 96, 3)"),
        ("data", None, "data must be text. Received: None"),
        ("xla", True, "xla must be one of auto, on, off. Received: True"),
        ("loss", 3, "loss must be some of cross_entropy, dice, lovasz. Received: 3"),
    ],
)
def test_values_of_another_type_are_one_line(name, value, line):
    with pytest.raises(UserError) as caught:
        TrainConfig(**{name: value})
    assert str(caught.value) == line


def test_option_names():
    assert option("crop_size") == "--crop-size"


def test_settings_are_grouped_and_flat():
    config = TrainConfig(crop_size=(64, 96), run=RunOptions(epochs=3), seed=5)
    assert (config.crop_size, config.augmentation.crop_size) == ((64, 96), (64, 96))
    assert (config.run, config.epochs) == (RunOptions(epochs=3, seed=5), 3)
    assert list(config.to_dict()) == [field.name for group in dataclasses.fields(config) for field in
                                      dataclasses.fields(group.default)]  # fmt: skip
    assert dataclasses.replace(config, epochs=4) == TrainConfig(crop_size=(64, 96), epochs=4, seed=5)
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config
    with pytest.raises(TypeError, match=r"no setting crop_siz \(did you mean crop_size\?\); there are data, "):
        TrainConfig(crop_siz=3)
    with pytest.raises(AttributeError, match="crop"):
        _ = config.crop


def test_each_setting_has_one_group():
    names = [field.name for group in dataclasses.fields(TrainConfig) for field in dataclasses.fields(group.default)]
    assert len(names) == len(set(names)) > 50
    assert not set(names) & {group.name for group in dataclasses.fields(TrainConfig)}


def test_help_shows_the_groups_and_every_option():
    text = Call("train.py", "--help").out
    titles = re.findall(r"^\W+ ((?:[a-z]+ )?options) \W+$", text, re.MULTILINE)
    groups = ("data", "network", "augmentation", "optimizer", "loss", "devices", "run")
    assert titles == ["options", *(f"{name} options" for name in groups)]
    assert all(re.search(rf"^\W {option(name)}\b", text, re.MULTILINE) for name in TrainConfig().to_dict())


def test_a_run_older_than_watch_is_resumed_with_what_it_keeps(tmp_path):
    settings = TrainConfig().to_dict()
    del settings["watch"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    for watch in ("auto", "mean_iou"):
        require_resumable(tmp_path, config_with(watch))
        assert as_begun(tmp_path / "config.json", config_with(watch)).run.watch == "mean_iou"
    with pytest.raises(UserError, match=r"watch is mean_iou in .*config\.json\. Received: iou:cat; "):
        require_resumable(tmp_path, config_with("iou:cat"))


def config_with(watch):
    return dataclasses.replace(TrainConfig(), run=dataclasses.replace(TrainConfig().run, watch=watch))
