import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call
from kinds_of_files import write_photo
from PIL import Image

from export.saved_model import ExportOptions, export_saved_model
from export.server.model.engine.network import LargeImages
from export.server.model.engine.worker import open_network
from export.server.model.servable import Servable
from export.server.protocols.v2 import model_metadata
from keras_fcn import ClassTable, Predictor, build_fcn, read_image
from keras_fcn.errors import UserError
from keras_fcn.inference.models import load_model
from keras_fcn.inference.options import InferenceOptions


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported / "1"))


@pytest.fixture(scope="module")
def tiny():
    """A network with logits as large as a trained one's; those of a fresh one are nearly equal."""
    model = build_fcn("fcn32s", "resnet18_v2", num_classes=5)
    kernel = model.get_layer("score_fr").kernel
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3)).astype(np.float32)
    kernel.assign(kernel / np.std(model(images)))
    return model


def argmax(model, images):
    return np.asarray(model(images.astype(np.float32))).argmax(axis=-1)


@pytest.mark.parametrize("shape", [(1, 33, 33, 3), (3, 97, 131, 3), (2, 32, 64, 3), (1, 1, 1, 3)])
def test_images_are_the_live_model_at_any_size(trained, loaded, shape):
    images = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    output = loaded.signatures["images"](images=tf.constant(images))
    assert list(output) == ["classes"]
    assert output["classes"].dtype == tf.uint8
    np.testing.assert_array_equal(output["classes"], argmax(load_model(trained / "best.keras"), images))


@pytest.mark.parametrize("shape", [(0, 64, 96), (0, 33, 131), (2, 0, 96), (1, 40, 0)])
def test_a_batch_without_images_or_pixels_has_a_mask_without(loaded, shape):
    images = tf.zeros((*shape, 3), tf.uint8)
    assert loaded.signatures["images"](images=images)["classes"].shape == shape
    assert loaded.signatures["probabilities"](images=images)["probabilities"].shape == (*shape, 21)
    masks = loaded.signatures["serving_default"](image_bytes=tf.zeros([0], tf.string))
    assert (masks["mask_png_bytes"].shape, masks["class_shares"].shape) == (0, (0, 21))


def test_files_of_mixed_kinds_and_sizes_become_masks_of_their_own_sizes(trained, loaded, tmp_path):
    """One call for images that Pillow decodes, against the live model on the same pixels."""
    paths = [write_photo(tmp_path, name) for name in ("plain.jpg", "turned 6.jpg", "rgba.PNG")]
    Image.new("RGB", (1, 1), (90, 120, 30)).save(tmp_path / "pixel.png")
    paths.append(tmp_path / "pixel.png")
    output = loaded.signatures["serving_default"](image_bytes=tf.constant([path.read_bytes() for path in paths]))
    assert set(output) == {"mask_png_bytes", "class_shares"}
    predict = Predictor.open(trained)
    for path, png, fractions in zip(paths, output["mask_png_bytes"].numpy(), output["class_shares"].numpy()):
        mask = Image.open(io.BytesIO(png))
        assert mask.mode == "L"
        ids = predict(read_image(path))
        np.testing.assert_array_equal(np.asarray(mask), ids)
        np.testing.assert_allclose(fractions, np.bincount(ids.ravel(), minlength=21) / ids.size, atol=1e-6)


def test_signatures_are_typed_and_of_dynamic_size(loaded):
    inputs = {
        name: [
            (spec.name, spec.dtype, spec.shape.as_list()) for spec in function.structured_input_signature[1].values()
        ]
        for name, function in loaded.signatures.items()
    }
    images = [("images", tf.uint8, [None, None, None, 3])]
    assert inputs == {
        "serving_default": [("image_bytes", tf.string, [None])],
        "images": images,
        "probabilities": images,
        "metadata": [],
    }


def test_metadata_says_what_the_model_is(loaded):
    said = {name: np.asarray(value).tolist() for name, value in loaded.signatures["metadata"]().items()}
    assert [name.decode() for name in said["class_names"]] == list(ClassTable.voc().names)
    assert [tuple(color) for color in said["class_colors"]] == list(ClassTable.voc().colors)
    assert (said["model_name"], said["version"], said["max_pixels"]) == (b"fcn32s_resnet18_v2", 1, 2**24)


def test_saved_model_cli_runs_it(trained, exported, tmp_path):
    command = Path(sys.executable).with_name("saved_model_cli")
    words = ["run", "--dir", exported / "1", "--tag_set", "serve", "--signature_def", "images"]
    images = np.random.default_rng(2).integers(0, 256, (2, 37, 50, 3), np.uint8)
    np.save(tmp_path / "images.npy", images)
    words += ["--inputs", f"images={tmp_path}/images.npy", "--outdir", tmp_path]
    subprocess.run([command, *words], check=True, capture_output=True)
    expected = argmax(load_model(trained / "best.keras"), images)
    np.testing.assert_array_equal(np.load(tmp_path / "classes.npy"), expected)


def test_weights_are_written_once_and_not_into_the_graph(trained, exported):
    """TensorFlow keeps some twenty-five copies of what is in the graph, and one of what is a variable."""
    weights = load_model(trained / "best.keras").count_params() * 4
    variables, graph = exported / "1/variables/variables.data-00000-of-00001", exported / "1/saved_model.pb"
    assert 0.95 * weights < variables.stat().st_size < 1.05 * weights
    assert graph.stat().st_size < 1 << 20


def test_versions_count_on(tmp_path):
    classes = ClassTable(("floor", "shirt"), ((0, 0, 0), (255, 0, 0)))
    model = build_fcn("fcn32s", "mobilenet_v2", classes=classes)
    (tmp_path / "out/7").mkdir(parents=True)
    version, compared = export_saved_model(model, tmp_path / "out", max_pixels=10_000)
    assert version == tmp_path / "out/8"
    assert {found.signature for found in compared} == {"serving_default", "images", "probabilities"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["7", "8"]
    signatures = tf.saved_model.load(str(version)).signatures
    assert signatures["metadata"]()["version"] == 8
    photo = io.BytesIO()
    Image.new("RGB", (100, 101)).save(photo, format="PNG")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[0\] claims 101 x 100 pixels; .* 10000"):
        signatures["serving_default"](image_bytes=tf.constant([photo.getvalue()]))


WRONG = {
    "images": lambda output: {"classes": (output["classes"] + 1) % 5},
    "probabilities": lambda output: {"probabilities": output["probabilities"] ** 1.1},
    "serving_default": lambda output: {**output, "class_shares": tf.roll(output["class_shares"], 1, 1)},
    "metadata": lambda output: {**output, "version": output["version"] + 1},
}


@pytest.mark.parametrize("signature", WRONG)
def test_an_export_that_differs_from_the_live_model_is_not_left_behind(tmp_path, monkeypatch, tiny, signature):
    """One signature is replaced by another that is wrong."""
    save = tf.saved_model.save

    def save_other(module, folder, signatures, **options):
        right = signatures[signature]
        wrong = tf.function(lambda *inputs: WRONG[signature](right(*inputs)), input_signature=right.input_signature)
        save(module, folder, {**signatures, signature: wrong}, **options)

    monkeypatch.setattr(tf.saved_model, "save", save_other)
    with pytest.raises(UserError, match=f"the signature {signature} .*; nothing was exported"):
        export_saved_model(tiny, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_warmup_requests_are_ones_that_the_model_answers(exported, loaded):
    requests = list(tf.data.TFRecordDataset(str(exported / "1/assets.extra/tf_serving_warmup_requests")))
    assert len(requests) == 3
    logs = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="pip install -r requirements-extra.txt"
    )
    asked = set()
    for record in requests:
        log = logs.PredictionLog.FromString(record.numpy())
        assert log.SerializeToString(deterministic=True) == record.numpy()
        request = log.predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        asked.add(request.model_spec.signature_name)
        loaded.signatures[request.model_spec.signature_name](**inputs)
    assert asked == set(loaded.signatures) - {"metadata"}


def test_the_command_says_what_it_did_and_its_thresholds_decide(trained, tmp_path):
    image = np.random.default_rng(4).integers(0, 256, (130, 70, 3), np.uint8)
    plain = Predictor(trained)
    probabilities = plain.probabilities(image)
    chosen = 1 + int(probabilities[..., 1:].mean((0, 1)).argsort()[-2])
    name, least = plain.classes.names[chosen], round(float(np.median(probabilities[..., chosen])), 4)
    call = Call("export/saved_model.py", trained, tmp_path / "out", "--threshold", f"{name}={least}")
    assert (call.status, call.err) == (0, "")

    saved = tmp_path / "out/1"
    others = np.where(np.arange(21) == chosen, -1, probabilities).argmax(-1)
    expected = np.where(probabilities[..., chosen] >= np.float32(least), chosen, others)
    assert (expected != plain(image)).any()
    exported = Predictor(saved)
    assert np.mean(exported(image) == expected) > 0.999
    assert np.mean(exported.using(InferenceOptions(threshold=("none",)))(image) == plain(image)) > 0.999
    assert json.loads((saved / "assets.extra/labels.json").read_text())["thresholds"] == {name: least}
    large = LargeImages(InferenceOptions(tile=(64, 64)))
    servable = Servable(open_network(saved, large), "1", large)
    assert servable.facts.thresholds == {name: least}
    *_, ids = servable.segment_in_tiles(image)
    np.testing.assert_array_equal(ids, exported.using(InferenceOptions(tile=(64, 64)))(image))
    assert model_metadata("model", servable)["parameters"]["class_thresholds"] == {name: least}
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG")
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(servable.segment_file(png.getvalue()).png))), exported(image)
    )
    assert f"{tmp_path}/out/1: " in call.out
    assert {line.split()[0] for line in call.out.splitlines()[2:-2]} == {"images", "probabilities", "serving_default"}
    assert f"saved_model_cli run --dir {tmp_path}/out/1" in call.out


def test_a_served_saved_model_computes_in_bfloat16_where_it_is_told(exported, loaded):
    images = np.random.default_rng(0).integers(0, 256, (1, 12, 16, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    network = open_network(exported / "1", LargeImages(InferenceOptions(tile=(64, 64))), "bfloat16")
    assert network.facts.program == "TensorFlow, bfloat16"
    ids = loaded.signatures["images"](images=tf.constant(images))["classes"]
    assert np.mean(network.segment(images) == ids) > 0.9


def test_what_cannot_be_exported_is_one_line(tmp_path, exported, tiny):
    (tmp_path / "file").write_text("")
    shutil.copytree(exported, tmp_path / "saved")
    for model, target, message in [
        (tmp_path / "none", tmp_path / "out", "none: no such file or folder"),
        (tmp_path / "saved", tmp_path / "out", "saved/1: no such file; give a run folder or a .keras file"),
    ]:
        call = Call("export/saved_model.py", model, target)
        assert call.status == 2
        assert message in call.err
        assert len(call.err.splitlines()) == 1
    with pytest.raises(UserError, match="file: is a file; give a folder to export to"):
        export_saved_model(tiny, tmp_path / "file")
    call = Call("export/onnx.py", tmp_path / "model.keras", tmp_path / "out", "--threshold", "floor=2")
    assert (call.status, call.err.count("\n")) == (2, 1)
    with pytest.raises(UserError, match=r"max_pixels must be at least 10000\. Received: 9999"):
        ExportOptions(tmp_path, tmp_path, max_pixels=9999)


def test_a_full_disk_is_named_and_leaves_nothing(tiny, tmp_path, monkeypatch):
    def save(_module, folder, *_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, f"{folder}/saved_model.pb; No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", save)
    with pytest.raises(UserError, match=r"model/1: cannot be written \(.*No space left on device\); free disk space"):
        export_saved_model(tiny, tmp_path / "model")
    assert not list((tmp_path / "model").iterdir())
