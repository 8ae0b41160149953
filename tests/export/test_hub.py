"""The folder for a model hub: all that a stranger needs, and nothing about the machine."""

import json
import shutil

import numpy as np
import pytest
import yaml
from conftest import Call

from export.hub import write_hub_folder
from keras_fcn.errors import UserError
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.inference.models import keep_temperature, keep_thresholds
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import read_config
from keras_fcn.runs.fingerprint import Fingerprint

NAMES = ("background", "cat | dog", "crack")


@pytest.fixture
def run(tmp_path):
    """A run folder as training leaves it; its model is any file."""
    root = tmp_path / "run"
    root.mkdir()
    config = TrainConfig(data="/home/anna/farm", weights="/home/anna/w.npz", unlabelled="/home/anna/more", epochs=3)
    (root / "config.json").write_text(json.dumps(config.to_dict()))
    matrix = np.array([[60, 10, 0], [20, 10, 0], [0, 0, 0]])
    evaluation = Evaluation(NAMES, 4, matrix, {"anna_at_home": 0.5, "b": 0.25})
    (root / "metrics.json").write_text(json.dumps(evaluation.to_json()))
    pairs = [("images/anna_at_home.jpg", "11", "22"), ("images/b.jpg", "33", "44")]
    Fingerprint({"names": list(NAMES)}, pairs[:1], pairs[1:], {}).write(root / "fingerprint.json", {})
    (root / "best.keras").write_bytes(b"weights")
    (root / "curves.png").write_bytes(b"curves")
    return root


def test_the_card_has_the_figures_and_hubs_read_its_metadata(run, tmp_path):
    write_hub_folder(run, tmp_path / "farm animals", license_id="cc-by-4.0")
    card = (tmp_path / "farm animals/README.md").read_text()
    _, head, text = card.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["license"] == "cc-by-4.0"
    (model,) = metadata["model-index"]
    (result,) = model["results"]
    assert (model["name"], result["dataset"]["name"]) == ("farm animals", "farm")
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {"mean_iou": pytest.approx(100 * (60 / 90 + 10 / 40) / 2, abs=0.01), "accuracy": 70.0}
    assert "# farm animals" in text
    assert "Of the 4 whole images of the split val, in percent" in text
    assert "all settings: 3 epochs, batches of 8" in text
    assert "| background | 66.7 | 75.0 | 85.7 |" in text
    assert r"| cat \| dog | 25.0 | 50.0 | 33.3 |" in text
    assert "| crack | - | - | - |" in text


def test_what_was_kept_after_training_is_told(run, trained, tmp_path):
    model = run / "best.keras"
    shutil.copyfile(trained / "best.keras", model)
    write_hub_folder(run, tmp_path / "plain")
    assert "kept in the model" not in (tmp_path / "plain/README.md").read_text()
    keep_temperature(model, 1.4142)
    keep_thresholds(model, {"cat": 0.3, "dog": 0.45})
    write_hub_folder(run, tmp_path / "kept")
    card = (tmp_path / "kept/README.md").read_text()
    assert "logits are divided by 1.41 where they become probabilities" in card
    assert "by its probability, a pixel is cat from 0.3 on, dog from 0.45 on. The results below are of before" in card


def test_nothing_tells_of_the_machine_or_of_names_of_images(run, tmp_path):
    write_hub_folder(run, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md", "best.keras", "config.json", "curves.png", "metrics.json"
    ]  # fmt: skip
    assert (tmp_path / "out/best.keras").read_bytes() == b"weights"
    for path in (tmp_path / "out").iterdir():
        assert b"anna" not in path.read_bytes(), path
    config = read_config(tmp_path / "out/config.json")
    assert (config.data, config.weights, config.unlabelled, config.epochs) == ("farm", "w.npz", "more", 3)


def test_folds_groups_and_parts_of_ones_own_are_told_as_they_are(run, tmp_path):
    settings = json.loads((run / "config.json").read_text()) | {"folds": 5, "fold": 2, "group_by": "{group}/*"}
    (run / "config.json").write_text(json.dumps(settings | {"own": {"backbone": "plain", "loss": "focal"}}))
    write_hub_folder(run, tmp_path / "one")
    card = (tmp_path / "one/README.md").read_text()
    assert "Of the 4 whole images of fold 2 of 5, in percent" in card
    assert "fcn8s over plain" in card
    assert "Parts of its author's own: backbone plain, loss focal." in card
    assert read_config(tmp_path / "one/config.json").group_by == "{group}/*"
    (run / "config.json").write_text(json.dumps(settings | {"group_by": "/home/anna/scenes.csv:scene"}))
    write_hub_folder(run, tmp_path / "two")
    assert read_config(tmp_path / "two/config.json").group_by == "scenes.csv:scene"


def test_the_digest_is_of_contents_and_not_of_names(run, tmp_path):
    write_hub_folder(run, tmp_path / "one", "name")
    fingerprint = (run / "fingerprint.json").read_text()
    (run / "fingerprint.json").write_text(fingerprint.replace("anna_at_home", "moved"))
    write_hub_folder(run, tmp_path / "two", "name")
    (run / "fingerprint.json").write_text(fingerprint.replace("33", "55"))
    write_hub_folder(run, tmp_path / "three", "name")
    one, two, three = ((tmp_path / name / "README.md").read_text() for name in ("one", "two", "three"))
    assert one == two != three


@pytest.mark.parametrize("missing", ["config.json", "best.keras", "metrics.json"])
def test_a_run_without_what_is_needed_leaves_nothing(run, tmp_path, missing):
    (run / missing).unlink()
    with pytest.raises(UserError, match=missing):
        write_hub_folder(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_wrote_and_keeps_what_is_there(run, tmp_path):
    call = Call("export/hub.py", run, tmp_path / "out")
    assert (call.status, call.err) == (0, f"{tmp_path / 'out/README.md'}: names no licence; --license adds one\n")
    assert "nothing was pushed" in call.out
    again = Call("export/hub.py", run, tmp_path / "out")
    assert (again.status, again.out) == (2, "")
    assert again.err == f"error: {tmp_path / 'out'}: already exists; choose another folder, and copy it into your " \
        "repository\n"  # fmt: skip
    wrong = Call("export/hub.py", run, tmp_path / "x", "--license", "My Own")
    assert "--license takes an identifier such as apache-2.0, cc-by-4.0 or other. Received: My Own" in wrong.err
