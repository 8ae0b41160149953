import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call

from export.saved_model import export_saved_model
from keras_fcn import ClassTable, build_fcn
from keras_fcn.errors import UserError
from keras_fcn.inference import load_model


def argmax(model, images):
    return np.asarray(model(images.astype(np.float32))).argmax(axis=-1)


@pytest.mark.parametrize("shape", [(1, 33, 33, 3), (3, 97, 131, 3), (2, 32, 64, 3), (1, 1, 1, 3)])
@pytest.mark.parametrize("signature", ["images", "serving_default"])
def test_signatures_are_the_live_model_at_any_size(trained, exported, shape, signature):
    images = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    loaded = tf.saved_model.load(str(exported / "1"))
    output = loaded.signatures[signature](images=tf.constant(images))
    assert list(output) == ["classes"]
    assert output["classes"].dtype == tf.uint8
    np.testing.assert_array_equal(output["classes"], argmax(load_model(trained / "best.keras"), images))


def test_signatures_are_typed_and_of_dynamic_size(exported):
    loaded = tf.saved_model.load(str(exported / "1"))
    assert set(loaded.signatures) == {"images", "serving_default", "probabilities"}
    for signature in loaded.signatures.values():
        (spec,) = signature.structured_input_signature[1].values()
        assert (spec.name, spec.dtype, spec.shape.as_list()) == ("images", tf.uint8, [None, None, None, 3])


def test_saved_model_cli_runs_it(trained, exported, tmp_path):
    command = Path(sys.executable).with_name("saved_model_cli")
    words = ["run", "--dir", exported / "1", "--tag_set", "serve", "--signature_def", "images"]
    images = np.random.default_rng(2).integers(0, 256, (2, 37, 50, 3), np.uint8)
    np.save(tmp_path / "images.npy", images)
    words += ["--inputs", f"images={tmp_path}/images.npy", "--outdir", tmp_path]
    subprocess.run([command, *words], check=True, capture_output=True)
    expected = argmax(load_model(trained / "best.keras"), images)
    np.testing.assert_array_equal(np.load(tmp_path / "classes.npy"), expected)


def test_weights_are_written_once(trained, exported):
    weights = load_model(trained / "best.keras").count_params() * 4
    size = sum(path.stat().st_size for path in (exported / "1").rglob("*") if path.is_file())
    assert weights < size < 1.2 * weights


def test_versions_count_on(tmp_path):
    classes = ClassTable(("floor", "shirt"), ((0, 0, 0), (255, 0, 0)))
    model = build_fcn("fcn32s", "resnet18_v2", classes=classes)
    (tmp_path / "out/7").mkdir(parents=True)
    assert export_saved_model(model, tmp_path / "out") == tmp_path / "out/8"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["7", "8"]


def test_an_export_that_differs_from_the_live_model_is_not_left_behind(tmp_path, monkeypatch):
    """Another network is written in place of the one that is compared with."""
    model, other = (build_fcn("fcn32s", "resnet18_v2", num_classes=5) for _ in range(2))
    for network in (model, other):  # random scores of a fresh network hardly differ: make them differ
        network.get_layer("score_fr").bias.assign(np.random.default_rng(id(network) % 1000).normal(size=5) * 100)
    save = tf.saved_model.save

    def save_other(module, folder, signatures):
        wrong = tf.Module()
        wrong.model = other
        classes = tf.function(
            lambda images: {"classes": tf.cast(tf.ones(tf.shape(images)[:3]), tf.uint8) * 9},
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")],
        )
        wrong.images = classes
        save(wrong, folder, {"images": classes, "serving_default": classes})

    monkeypatch.setattr(tf.saved_model, "save", save_other)
    with pytest.raises(UserError, match="classes differ from the live model's on images"):
        export_saved_model(model, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_export_with_other_probabilities_is_not_left_behind(tmp_path, monkeypatch):
    save = tf.saved_model.save

    def save_other(module, folder, signatures):
        score = module.probabilities
        module.probabilities = tf.function(
            lambda images: {"probabilities": score(images)["probabilities"] ** 1.1},
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")],
        )
        save(module, folder, {**signatures, "probabilities": module.probabilities})

    monkeypatch.setattr(tf.saved_model, "save", save_other)
    with pytest.raises(UserError, match="probabilities differ from the live model's on images"):
        export_saved_model(build_fcn("fcn32s", "mobilenet_v2", num_classes=5), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_says_what_it_did(trained, tmp_path):
    call = Call("export/saved_model.py", trained, tmp_path / "out")
    assert (call.status, call.err) == (0, "")
    assert f"{tmp_path}/out/1: " in call.out
    assert f"saved_model_cli run --dir {tmp_path}/out/1" in call.out


def test_what_cannot_be_exported_is_one_line(tmp_path, exported):
    (tmp_path / "file").write_text("")
    shutil.copytree(exported, tmp_path / "saved")
    for model, target, complaint in [
        (tmp_path / "none", tmp_path / "out", "none: no such file or folder"),
        (tmp_path / "saved", tmp_path / "out", "saved/1: no such file; give a run folder or a .keras file"),
    ]:
        call = Call("export/saved_model.py", model, target)
        assert call.status == 2
        assert complaint in call.err
        assert len(call.err.splitlines()) == 1
    model = build_fcn("fcn32s", "resnet18_v2", num_classes=2)
    with pytest.raises(UserError, match="file: is a file; give a folder to export to"):
        export_saved_model(model, tmp_path / "file")
