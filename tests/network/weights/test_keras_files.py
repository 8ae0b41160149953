"""A .keras file of a stranger: what it names is looked at before Keras makes anything of it."""

import inspect
import io
import json
import re
import sys
import types
import zipfile

import h5py
import keras
import numpy as np
import pytest
from conftest import ROOT
from keras import layers

import keras_fcn
from keras_fcn.errors import UserError
from keras_fcn.inference.models import load_model
from keras_fcn.network.backbones import Backbone
from keras_fcn.network.initializers import Bilinear
from keras_fcn.network.parts import Parts
from keras_fcn.network.weights import admission, hdf5, keras_files
from keras_fcn.training.inputs.initial_weights import load_backbone_weights


def built(*further):
    """Returns a network over a backbone of one's own: three convolutions, and further layers."""

    def build(image):
        features = []
        for stage, stride in enumerate((8, 2, 2)):
            image = layers.Conv2D(4, 3, stride, padding="same", name=f"conv{stage}")(image)
            for layer in further if stage == 2 else ():
                image = layer(image)
            features.append(image)
        return features

    return keras_fcn.build_fcn("fcn32s", Backbone(build, name="own"), num_classes=2)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The members of a network's file, by name."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    built().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def change(saved, tmp_path):
    """Writes the network's file, with changes to its config, its first convolution and its other members."""

    def write(config=lambda config: None, layer=lambda layer: None, **members):
        content = json.loads(saved["config.json"])
        (body,) = (one for one in content["config"]["layers"] if one["class_name"] == "Functional")
        layer(next(one for one in body["config"]["layers"] if one["class_name"] == "Conv2D"))
        config(content)
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, value in (saved | {"config.json": json.dumps(content)} | members).items():
                archive.writestr(name, value)
        return path

    return write


def refused(path):
    """Returns the line with which a file is refused, after Keras would have made nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.models, "load_model", lambda *arguments, **options: pytest.fail("Keras has opened it"))
        with pytest.raises(UserError) as caught:
            load_model(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ").removesuffix("; copy it again, or give its run folder")


def test_what_was_changed_in_nothing_is_loaded(change):
    assert load_model(change()).name == "fcn32s_own"


def test_a_layer_that_runs_code_is_refused(tmp_path):
    """It returns its input."""
    built(layers.Lambda(lambda image: image)).save(tmp_path / "model.keras")
    line = refused(tmp_path / "model.keras")
    assert line.startswith(
        "holds a layer Lambda of keras.layers, which runs code of its own; build its network without"
    )


@pytest.mark.parametrize("name", ["Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"])
@pytest.mark.parametrize("registered", [None, "keras_fcn>PadToMultiple"])
def test_layers_of_other_programs_are_refused(change, name, registered):
    entry = {"class_name": name, "registered_name": registered}
    assert refused(change(layer=lambda layer: layer.update(entry))).startswith(f"holds a layer {name} of keras.layers")


PLACES = {
    "an initializer": lambda layer, entry: layer["config"].update(kernel_initializer=entry),
    "an activation": lambda layer, entry: layer["config"].update(activation=entry),
    "an argument": lambda layer, entry: layer["inbound_nodes"][0]["kwargs"].update(mask=[{"deep": entry}]),
    "a setting": lambda layer, entry: layer["config"].update(unknown=entry),
    "a shape": lambda layer, entry: layer.update(build_config=entry),
    "a dtype": lambda layer, entry: layer["config"].update(dtype=entry),
}
ENTRIES = {
    "a function of Python": (
        {"module": "math", "class_name": "function", "config": "floor", "registered_name": "floor"},
        "holds floor of math, which is not known here; load it in the Python program that registers it, or, if it is "
        "of an installed library, within keras.saving.custom_object_scope",
    ),
    "a builtin": (
        {"module": "builtins", "class_name": "function", "config": "abs", "registered_name": "abs"},
        "holds abs of builtins, which is not known here",
    ),
    "a function of Keras": (
        {"module": "keras.ops", "class_name": "function", "config": "abs", "registered_name": "abs"},
        "holds abs of keras.ops, which is none of the layers that are loaded: these only compute; build its network",
    ),
    "a layer with a file": (
        {"module": "keras.layers", "class_name": "StringLookup", "config": {}, "registered_name": None},
        "holds StringLookup of keras.layers, which is none of",
    ),
    "a class in Keras": (
        {"module": "keras.src.layers.core.dense", "class_name": "Dense", "config": {}, "registered_name": None},
        "holds Dense of keras.src.layers.core.dense, which is none of",
    ),
    "a class of another package": (
        {"module": "keras_hub.layers", "class_name": "Dense", "config": {}, "registered_name": "keras_hub>Dense"},
        "holds Dense of keras_hub.layers, which is not known here",
    ),
    "Python's code": (
        {"class_name": "__lambda__", "config": {"value": ""}},
        "holds a layer __lambda__ of no module, which runs code of its own",
    ),
    "the older format": ({"class_name": "Dense", "config": {}}, "its config.json is damaged: Dense is of no module"),
    "a name that is none": ({"class_name": ["Dense"], "config": {}}, "its config.json is damaged: a name is no text"),
    "a name of more lines": (
        {"module": "a\nb", "class_name": "Dense", "config": {}},
        r"holds Dense of 'a\nb', which is not known here",
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_not_admitted_is_refused_wherever_it_is_named(change, place, entry):
    named, message = ENTRIES[entry]
    assert refused(change(layer=lambda layer: PLACES[place](layer, named))).startswith(message)


def test_settings_of_a_training_are_not_looked_at_as_they_are_not_loaded(change):
    named = {"module": "keras.optimizers", "class_name": "SGD", "config": {}, "registered_name": None}
    assert load_model(change(lambda config: config.update(compile_config={"optimizer": named}))).name == "fcn32s_own"


@pytest.fixture
def registered():
    """Registers layers and functions as a user's program or as a library does, until the test is over."""
    kept = dict(keras.saving.get_custom_objects())
    yield keras.saving.register_keras_serializable
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(kept)


def test_layers_of_ones_own_are_loaded_where_they_are_registered(registered, tmp_path):
    @registered("mine")
    class Twice(layers.Layer):
        def call(self, image):
            return 2 * image

    @registered("mine")
    def halved(image):
        return image / 2

    image = np.full((1, 9, 9, 3), 7, np.float32)
    model = built(Twice(), layers.Activation(halved), layers.LayerNormalization(), layers.SeparableConv2D(4, 1))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras")(image), model(image))
    keras.saving.get_custom_objects().pop("mine>Twice")
    assert refused(tmp_path / "model.keras").startswith("holds Twice of ")


def test_what_a_library_has_registered_is_loaded_in_a_scope_only(registered, tmp_path, monkeypatch):
    class Twice(layers.Layer):
        def call(self, image):
            return 2 * image

    library = types.ModuleType("library")
    library.__file__ = "/usr/lib/python3/site-packages/library.py"
    monkeypatch.setitem(sys.modules, "library", library)
    monkeypatch.setattr(Twice, "__module__", "library")
    registered("library")(Twice)
    built(Twice()).save(tmp_path / "model.keras")
    line = refused(tmp_path / "model.keras")
    assert line.startswith("holds Twice of library, which is not known here; load it in the Python program that")
    with keras.saving.custom_object_scope({"library>Twice": Twice}):
        assert load_model(tmp_path / "model.keras").name == "fcn32s_own"


def test_a_library_cannot_be_named_by_a_text_either(registered, change, monkeypatch):
    """A string, too, stands for what is registered by it."""
    library = types.ModuleType("library")
    library.__file__ = "/usr/lib/python3/site-packages/library.py"
    library.same = types.FunctionType((lambda image: image).__code__, {"__name__": "library"}, "same")
    monkeypatch.setitem(sys.modules, "library", library)
    assert library.same.__module__ == "library"
    registered("library", "same")(library.same)
    path = change(layer=lambda layer: layer["config"].update(activation="library>same"))
    assert refused(path).startswith("holds library>same of library, which is not known here")


def test_the_layers_of_our_networks_are_those_of_the_table():
    """Those that the sources name; the tests of each network load its file.

    `Normalization` is before EfficientNetV2 in `keras.applications`, ours has a normalization of its own.
    """
    ours = [path.read_text(encoding="utf-8") for path in (ROOT / "keras_fcn/network").rglob("*.py")]
    applications = [
        getattr(keras.applications, name) for name in ("resnet", "mobilenet_v2", "efficientnet_v2", "vgg16")
    ]
    sources = [inspect.getsource(sys.modules[module.preprocess_input.__module__]) for module in applications]
    names = {name for text in (*ours, *sources) for name in re.findall(r"layers\.([A-Z]\w+)", text)}
    assert names - {"Layer", "Input", "Normalization"} <= admission.LAYERS | admission.FURTHER_LAYERS
    assert names | {"InputLayer"} >= admission.LAYERS
    assert not admission.LAYERS & admission.FURTHER_LAYERS
    assert all(hasattr(layers, name) for name in admission.LAYERS | admission.FURTHER_LAYERS)
    assert all(hasattr(keras.initializers, name) for name in admission.INITIALIZERS)
    assert all(hasattr(keras.activations, name) for name in admission.FUNCTIONS)


SIZES = {
    "a kernel": ({"kernel_size": [10**6, 10**6]}, {}, "its layers have weights of "),
    "filters": ({"filters": 10**9}, {}, "its layers have weights of "),
    "an input": ({}, {"input_shape": [None, None, None, 10**9]}, "its layers have weights of "),
    "less than none": ({"filters": -(10**9)}, {}, "its layers have weights of "),
    "a fraction": ({"filters": 1e9}, {}, "its layers have weights of "),
    "a low rank": ({"lora_rank": 10**9}, {}, "its layers have weights of "),
    "a text": ({"filters": "many"}, {}, "its config.json is damaged: a Conv2D has no sizes"),
    "infinity": ({"filters": float("inf")}, {}, "its config.json is damaged: a Conv2D has no sizes"),
    "no input": ({}, {"input_shape": None}, "its config.json is damaged: a Conv2D has no sizes"),
    "an unknown input": ({}, {"input_shape": [None] * 4}, "its config.json is damaged: a Conv2D has no sizes"),
}


@pytest.mark.parametrize("size", SIZES)
def test_weights_that_the_file_does_not_hold_are_refused(change, size):
    config, build, message = SIZES[size]

    def enlarge(layer):
        layer["config"].update(config)
        layer["build_config"].update(build)

    assert refused(change(layer=enlarge)).startswith(message)


def test_the_weights_of_a_layer_are_counted_as_keras_makes_them(tmp_path):
    """Of each kind that has weights, at least as many, and not many more."""
    kinds = (
        layers.Conv2D(8, (3, 5), groups=2),
        layers.Conv2DTranspose(8, 3),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.SeparableConv2D(8, 3, depth_multiplier=2),
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.GroupNormalization(2),
        keras_fcn.network.upscore.Upscore(4, 2),
    )
    for layer in kinds:
        layer(keras.KerasTensor((None, 16, 16, 4)))
        (entry,) = [keras.saving.serialize_keras_object(layer)]
        entry = json.loads(json.dumps(entry))
        assert layer.count_params() <= keras_files._number_of_weights(entry) <= 2 * layer.count_params(), layer
    with_weights = {name.rpartition(">")[2] for name in keras_files._COUNTS}
    assert with_weights == {type(layer).__name__ for layer in kinds}


def test_layers_without_a_count_have_no_weights():
    arguments = {
        "ZeroPadding2D": {},
        "Activation": {"activation": "relu"},
        "Rescaling": {"scale": 2.0},
        "Dropout": {"rate": 0.1},
    }
    arguments |= {
        "Reshape": {"target_shape": [-1, 4]},
        "Permute": {"dims": (2, 1, 3)},
        "GaussianDropout": {"rate": 0.1},
    }
    arguments |= {"GaussianNoise": {"stddev": 0.1}, "SpatialDropout2D": {"rate": 0.1}, "InputLayer": {"shape": (4,)}}
    arguments |= {"AveragePooling2D": {"pool_size": 2}}
    for name in (admission.LAYERS | admission.FURTHER_LAYERS) - set(keras_files._COUNTS):
        layer = getattr(layers, name)(**arguments.get(name, {}))
        image = keras.KerasTensor((None, 16, 16, 4))
        if name != "InputLayer":
            merged = name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
            layer([image, image] if merged else image)
        assert not layer.weights, name


def test_what_is_packed_too_well_is_refused(change, monkeypatch):
    line = refused(change(zeros=bytes(40 << 20)))
    assert line == "unpacks to 40.1 MiB, more than 10 times its 0.1 MiB"
    monkeypatch.setattr(keras_files, "LARGEST_CONFIG", 100)
    assert refused(change()) == "its config.json has more than 0.0 MiB"


def test_the_number_of_layers_is_bounded(change, monkeypatch):
    monkeypatch.setattr(keras_files, "MOST_LAYERS", 5)
    assert refused(change()).endswith(" tensors, more than any network here")
    monkeypatch.undo()
    tensor = {"class_name": "__keras_tensor__", "config": {}}
    path = change(layer=lambda layer: layer["inbound_nodes"].append({"args": [tensor] * 10_000, "kwargs": {}}))
    assert refused(path).endswith(" tensors, more than any network here")


def test_a_config_that_is_none_is_one_line(change, tmp_path):
    for text in ("[]", "[" * 100_000, "null", "{", '{"class_name": {}}', '{"class_name": "Functional"}'):
        assert refused(change(**{"config.json": text}))


def test_a_bilinear_kernel_of_another_size_is_refused_before_it_is_made():
    """It would take 8 exabytes."""
    with pytest.raises(ValueError, match=r"Bilinear\(stride=1000000000\) makes kernels \[2000000000, 2000000000, "):
        Bilinear(10**9)((4, 4, 2, 2))


def h5(write):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write(file)
    return stream.getvalue()


def group_in_group(file):
    for _ in range(60):
        file = file.create_group("a")


H5_FILES = {
    "zeros that are not there": (
        h5(lambda file: file.create_dataset("a", (1000, 1000, 10), "f4")),
        "declares weights of 38.1 MiB, more than 10 times its 0.",
    ),
    "zeros that are packed": (
        h5(lambda file: file.create_dataset("a", data=np.zeros((20, 1 << 20), "u1"), compression="gzip")),
        "holds packed arrays, which may unpack to any size; save it without compression",
    ),
    "numbers of another file": (
        h5(lambda file: file.create_dataset("a", (4,), "u1", external=[("/etc/hostname", 0, 4)])),
        "holds arrays that lie in other files; save it as one",
    ),
    "a group of another file": (
        h5(lambda file: file.__setitem__("a", h5py.ExternalLink("/etc/hostname", "/"))),
        "holds links to other files; save it as one",
    ),
    "texts": (h5(lambda file: file.create_dataset("a", data=["b"])), "holds texts or objects among its weights"),
    "groups in each other": (h5(group_in_group), "holds more than 50 groups in each other"),
}


@pytest.fixture(scope="module")
def own():
    return Parts(built()).backbone


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("kind", H5_FILES)
def test_weights_that_are_not_stored_are_refused(saved, own, tmp_path, kind, compression):
    """In a `.keras` file, packed or not, and alone."""
    content, message = H5_FILES[kind]
    with zipfile.ZipFile(tmp_path / "model.keras", "w", compression) as archive:
        archive.writestr("config.json", saved["config.json"])
        archive.writestr("model.weights.h5", content)
    assert refused(tmp_path / "model.keras").startswith(message)
    (tmp_path / "a.weights.h5").write_bytes(content)
    with pytest.raises(UserError, match=f"a.weights.h5: {message}"):
        load_backbone_weights(own, str(tmp_path / "a.weights.h5"))


def test_a_member_is_read_as_zipfile_reads_it(saved, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("first", b"12345")
        archive.writestr("second", bytes(range(100)))
        member = archive.getinfo("second")
    with (tmp_path / "a.zip").open("rb") as file:
        second = hdf5.Member(file, member)
        assert second.read() == bytes(range(100))
        assert (second.seek(-10, io.SEEK_END), second.read(20), second.tell()) == (90, bytes(range(90, 100)), 100)
        assert (second.seek(5), second.seek(5, io.SEEK_CUR), second.read(2)) == (5, 10, bytes([10, 11]))
        assert second.seek(200) == 200
        assert second.read(1) == b""
