"""Exported files where a run could stand: the same masks, without TensorFlow, and one line for what cannot be."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, Call
from PIL import Image

from keras_fcn import ClassTable, Predictor, UserError, build_fcn, evaluate, open_pairs, write_pairs
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.engines import opening
from keras_fcn.inference.engines.engine import Opened, engine_of_file
from keras_fcn.inference.engines.facts import Facts
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.runs.names import ENGINES

CLASSES = ClassTable(("floor", "red shirt", "帽子"), ((1, 2, 3), (200, 0, 0), (0, 0, 99)), (9, 9, 9))
NAMES = ("onnx", "openvino", "litert")
LEAST_SAME = 0.999
"""The least share of pixels with the class that Keras gives: engines add in another order."""


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    model, rng = build_fcn("fcn8s", "resnet18_v2", classes=CLASSES), np.random.default_rng(0)
    for name in ("score_fr", "score_pool4", "score_pool3"):
        kernel = model.get_layer(name).kernel
        kernel.assign(kernel + rng.normal(0, 0.3, kernel.shape))
    return model


@pytest.fixture(scope="module")
def live(network):
    return Predictor(network)


@pytest.fixture(scope="module")
def written(network, tmp_path_factory):
    """A function that exports the network once in each way that is asked for, without comparing it."""
    from export.formats.conversion import quiet
    from export.formats.graph.class_graph import class_graph
    from export.litert import LITERT
    from export.onnx import ONNX
    from export.openvino import OPENVINO

    formats, files = dict(zip(NAMES, (ONNX, OPENVINO, LITERT))), {}

    def write(name, size=None, output="ids"):
        for module in ENGINES[name].modules:
            pytest.importorskip(module, reason="pip install -r requirements-formats.txt")
        if (name, size, output) not in files:
            path = tmp_path_factory.mktemp(name) / f"model{ENGINES[name].suffixes[0]}"
            with quiet():
                graph = class_graph(network, size, formats[name].classes_first, output)
                formats[name].write(graph, path, network, None)
            files[name, size, output] = path
        return files[name, size, output]

    return write


def photo(height=61, width=95):
    """An image with structure: noise alone is grey to a network."""
    squares = np.random.default_rng(0).integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return squares.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_the_masks_of_its_network(written, live, name):
    predictor = Predictor(written(name))
    assert predictor.classes == CLASSES
    assert predictor.program == ENGINES[name].title
    for size in ((61, 95), (32, 64), (1, 1)):
        mask, expected = predictor(photo(*size)), live(photo(*size))
        assert (mask.shape, mask.dtype) == (size, np.uint8)
        assert np.mean(mask == expected) >= LEAST_SAME
    several = predictor.segment(np.stack([photo(), photo()[::-1]]))
    np.testing.assert_array_equal(several[0], predictor(photo()))
    assert predictor.segment(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 32, 32)


def test_a_file_of_a_fixed_batch_takes_any_number_of_images():
    sizes = []

    def run(images, output):
        sizes.append(images.shape)
        return images[..., 0]

    opened = Opened("a program", "export.litert", Facts("network", CLASSES), run, (3, 4, 5, 3), frozenset({"classes"}))
    images = np.random.default_rng(0).integers(0, 3, (7, 4, 5, 3), np.uint8)
    engine = engine_of_file(Path("a.tflite"), opened)
    assert engine.batch == 3
    for number in (7, 3, 1):
        np.testing.assert_array_equal(engine.segment(images[:number]), images[:number, ..., 0])
    assert sizes == [(3, 4, 5, 3)] * (3 + 1 + 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_class_ids_says_how_to_get_probabilities(written, name):
    line = f"returns classes without probabilities, .*: python -m export.{name} RUN DIR --output both$"
    with pytest.raises(UserError, match=line):
        Predictor.open(written(name), InferenceOptions(flip=True))


@pytest.mark.parametrize(("name", "output"), [*((name, "both") for name in NAMES), ("litert", "probabilities")])
def test_flips_scales_tiles_and_thresholds_work_on_probabilities(written, live, name, output):
    predictor = Predictor(written(name, None, output))
    image = photo(160, 230)
    found, expected = predictor.probabilities(image), live.probabilities(image)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.mean(predictor(image) == live(image)) >= LEAST_SAME
    assert predictor.score(np.zeros((1, 0, 5, 3), np.uint8)).shape == (1, 0, 5, 3)
    assert predictor.limits == live.limits
    small = InferenceOptions(tile=(64, 64))
    of_file, of_network = (one.tile_note(small).partition(": ")[2] for one in (predictor, live))
    assert of_file == of_network != ""
    options = InferenceOptions(flip=True, scales=(0.75, 1.0, 1.25), tile=(96, 96), temperature=2.0)
    found, expected = (one.using(options).probabilities(image) for one in (predictor, live))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    options = InferenceOptions(flip=True, threshold=("red shirt=0.3",))
    masks = [one.using(options, Decision(0.4))(image) for one in (predictor, live)]
    assert np.mean(masks[0] == masks[1]) >= LEAST_SAME
    assert len(np.unique(masks[1])) > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_one_size_says_so(written, tmp_path, name):
    path = written(name, (32, 64))
    assert Predictor(path)(photo(32, 64)).shape == (32, 64)
    with pytest.raises(UserError, match=r"takes images of 32 x 64 pixels alone, .* --size 32 64; .*Received: 61 x 95$"):
        Predictor(path)(photo())
    folder = tmp_path / "in"
    folder.mkdir()
    for index, size in enumerate(((32, 64), (61, 95))):
        Image.fromarray(photo(*size)).save(folder / f"{index}.png")
    call = Call("predict.py", path, folder, "--out", tmp_path / "out", "--write", "masks")
    assert call.status == 1
    assert call.err.startswith(f"error: {folder}/1.png: {path}: takes images of 32 x 64 pixels alone")
    assert (tmp_path / "out/masks/0.png").is_file()


WITHOUT = """
import sys
for module in {hidden!r}:
    sys.modules[module] = None
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
HIDDEN = ["tensorflow", "keras", "matplotlib", "wrapt", "ml_dtypes", "ray"]


def run_without(hidden, *words):
    """Runs a script where some packages are not: a module that is None in sys.modules cannot be imported."""
    command = [sys.executable, "-c", WITHOUT.format(hidden=hidden), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_predicts_where_neither_tensorflow_nor_keras_nor_matplotlib_is(written, live, tmp_path, name):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    done = run_without(HIDDEN, "predict.py", written(name), tmp_path / "photo.png", "--out", tmp_path / "out")
    fonts = "Fonts    letters that are not Latin need matplotlib, which is not installed: pictures show boxes there\n"
    assert (done.returncode, done.stderr) == (0, fonts), done.stderr
    mask = np.asarray(Image.open(tmp_path / "out/masks/photo.png"))
    assert np.mean(mask == live(photo())) >= LEAST_SAME
    assert (tmp_path / "out/overlays/photo.jpg").is_file()


def test_the_command_evaluates_without_tensorflow_as_with_it(written, live, tmp_path):
    """Beside a run, tf.data reads JPEGs and masks; here Pillow does, to the same counts."""
    rng, jpegs = np.random.default_rng(0), []
    for quality, size in ((75, (61, 95)), (95, (40, 33))):
        jpegs.append(io.BytesIO())
        Image.fromarray(photo(*size)).save(jpegs[-1], "JPEG", quality=quality)
    labels = [rng.choice(np.array([0, 1, 2, 255], np.uint8), size) for size in ((61, 95), (40, 33))]
    pairs = list(zip((jpeg.getvalue() for jpeg in jpegs), labels))
    data = write_pairs(tmp_path / "data", {"train": pairs[:1], "val": pairs}, CLASSES)
    words = [written("onnx"), written("litert"), "--data", data, "--json", tmp_path / "m.json"]
    done = run_without(HIDDEN[:2], "evaluate.py", *words)
    assert done.returncode == 0, done.stderr
    models = json.loads((tmp_path / "m.json").read_text())["models"]
    assert [model["cost"]["program"] for model in models] == ["ONNX Runtime", "LiteRT"]
    beside = evaluate(Predictor(written("onnx")).segment, open_pairs(data, "val"), trimap_width=5)
    assert json.loads(json.dumps(beside.to_json())) == {key: models[0][key] for key in beside.to_json()}


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_cut_off_or_of_others_are_one_line(written, tmp_path, name):
    whole = written(name)
    cut = tmp_path / whole.name
    for path in whole.parent.iterdir():
        shutil.copy(path, tmp_path)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    kinds = f"cannot be opened by {ENGINES[name].title}|has no class names at its end"
    with pytest.raises(UserError, match=f"^{cut}: ({kinds}).*python -m export.{name}|export your run") as raised:
        Predictor(cut)
    assert "\n" not in str(raised.value)
    cut.write_bytes(b"\x00\x01 something else")
    with pytest.raises(UserError, match=f"^{cut}: ") as raised:
        Predictor(cut)
    assert "\n" not in str(raised.value)


def test_a_run_without_tensorflow_is_one_line(tmp_path):
    (tmp_path / "model.keras").touch()
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    done = run_without(
        HIDDEN, "predict.py", tmp_path / "model.keras", tmp_path / "photo.png", "--out", tmp_path / "out"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: TensorFlow is not installed: pip install -r requirements.txt; without it, ")
    assert len(done.stderr.splitlines()) == 1


def test_drawings_without_matplotlib_are_one_line(tmp_path):
    done = run_without(HIDDEN, "evaluate.py", "model.onnx", "--data", tmp_path, "--out", tmp_path / "out")
    line = "error: --out draws by Matplotlib, which is not installed: pip install matplotlib\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_weights_of_openvino_must_lie_beside(written, tmp_path):
    whole = written("openvino")
    shutil.copy(whole, tmp_path)
    with pytest.raises(UserError, match=r"model.bin: no such file; the weights of model.xml must lie beside it$"):
        Predictor(tmp_path / "model.xml")
    (tmp_path / "model.bin").write_bytes(whole.with_suffix(".bin").read_bytes()[:1000])
    with pytest.raises(UserError, match=r"model.xml: (cannot be opened by|fails in) OpenVINO"):
        Predictor(tmp_path / "model.xml")(photo())
    with pytest.raises(UserError, match=r"model.bin: holds the weights of model.xml; give that file$"):
        Predictor(tmp_path / "model.bin")


def test_an_onnx_file_of_another_program_is_named(written, tmp_path):
    onnx = pytest.importorskip("onnx", reason="pip install -r requirements-formats.txt")
    model = onnx.load(written("onnx"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"holds no class names and colours, so it is no file of .* export\.onnx;"):
        Predictor(tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_that_is_not_installed_is_named_with_what_installs_it(monkeypatch, tmp_path, name):
    entry = ENGINES[name]
    path = tmp_path / f"model{entry.suffixes[0] if entry.suffixes else ''}"
    path.touch() if entry.suffixes else path.mkdir()
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=f": needs {entry.title}, which is not installed: {entry.install}$"):
        opening.open_engine(path)


def test_files_of_earlier_versions_have_fewer_facts(written, tmp_path):
    """LiteRT's colours lay beside the file then."""
    path = tmp_path / "model.tflite"
    content = written("litert").read_bytes()
    with zipfile.ZipFile(written("litert")) as archive:
        path.write_bytes(content[: archive.infolist()[0].header_offset])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "".join(f"{name}\n" for name in CLASSES.names))
    assert Predictor(path).classes == ClassTable.named(CLASSES.names)
    (tmp_path / "labels.json").write_text(json.dumps(CLASSES.to_dict()))
    assert Predictor(path).classes == CLASSES


def test_texts_in_a_file_are_bounded(tmp_path):
    for name, content in (("labels.txt", "a\n" * (1 << 20)), ("metadata.json", "[" * 100_000)):
        with zipfile.ZipFile(tmp_path / "model.tflite", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        with pytest.raises(UserError, match=r"model.tflite: has (more than 1 MiB of texts|no class names) at its end"):
            Predictor(tmp_path / "model.tflite")


def test_an_exported_file_is_no_run(written, tmp_path):
    call = Call("export/onnx.py", written("onnx"), tmp_path / "out")
    assert call.status == 2
    assert "is an exported file, which only predicts; give its run folder or .keras file" in call.err


@pytest.mark.parametrize("name", NAMES)
def test_exported_files_compute_in_bfloat16_if_their_program_can(written, live, name):
    path, options = written(name), InferenceOptions(precision="bfloat16")
    if name != "openvino":
        with pytest.raises(UserError, match="computes in float32 alone; leave precision out"):
            Predictor.open(path, options)
        return
    predictor = Predictor.open(path, options)
    assert predictor.program == "OpenVINO, bfloat16"
    assert (predictor(photo()) == live(photo())).mean() > 0.9
