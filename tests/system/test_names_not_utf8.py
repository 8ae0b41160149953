"""Files whose names are not UTF-8, as archives from Windows unpack: read, written, listed, drawn and read back."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.drawing.panels import draw_check
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.predictor import Predictor
from keras_fcn.pipeline.batches import evaluation_dataset
from keras_fcn.prediction.photos import predict_all
from keras_fcn.prediction.plan import plan
from keras_fcn.prediction.sources import find_images
from keras_fcn.runs.config_files import read_config
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.names import OUTPUTS
from keras_fcn.system.files import without_wildcards
from keras_fcn.training.records.tensorboard import TensorBoardLog

TWO = ClassTable.numbered(2)


@pytest.fixture
def folder(tmp_path):
    """A folder named in GBK."""
    path = tmp_path / os.fsdecode(b"\xca\xfd\xbe\xdd")
    try:
        path.mkdir()
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    return path


@pytest.fixture
def data(folder):
    """A data set of six pairs, one of which is named in Latin-1."""
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number, name in enumerate([*"abcde", os.fsdecode(b"caf\xe9")]):
        Image.fromarray(np.full((6, 9, 3), 30 * number, np.uint8)).save(folder / f"images/{name}.png")
        Image.fromarray(np.full((6, 9), number % 2, np.uint8)).save(folder / f"masks/{name}.png")
    return folder


def test_a_data_set_is_listed_divided_read_and_drawn(data, tmp_path):
    pairs = open_pairs(data, "all")
    assert os.fsdecode(b"caf\xe9") in pairs.names
    assert len(open_pairs(data, "train")) + len(open_pairs(data, "val")) == len(pairs) == 6
    assert inspect_pairs(pairs).findings == ()
    assert len(list(evaluation_dataset(pairs))) == 6
    summaries = {"all": {"pixels": {"background": 9, "class1": 1}, "images": {"background": 1, "class1": 1}}}
    examples = [(path.name, np.zeros((6, 9, 3), np.uint8), np.zeros((6, 9), np.uint8)) for path in pairs.images]
    draw_check(tmp_path / "check.png", examples, summaries, TWO)


def test_predictions_have_all_outputs(data, tmp_path):
    outputs = [name for name, entry in OUTPUTS.items() if not entry.packages and not entry.of_probabilities]
    predictor = Predictor(lambda images: tf.cast(images[..., 0] > 40, tf.uint8), TWO)
    planned = plan(find_images([str(data / "images")]), str(data / "out"), outputs)
    assert predict_all(predictor, planned.left) == {}
    (table,) = [path for path in (data / "out/json").iterdir() if b"caf" in os.fsencode(path.name)]
    assert json.loads(table.read_bytes())["image"] == os.fsdecode(b"caf\xe9.png")


def test_a_run_remembers_its_data(data, folder):
    pairs = open_pairs(data, "all")
    run = RunFolder.create(folder / "run", {"data": str(data), "epochs": 3})
    assert read_config(run.config).data == str(data)
    run.write_images(pairs.images, [])
    run.write_images(pairs.images, [])  # the same images as before
    assert run.training_images() == [f"images/{path.name}" for path in pairs.images]


def test_tensorflow_writes_into_such_folders(folder):
    TensorBoardLog(folder / "tensorboard").scalars({"loss": 1.0}, 1)
    assert next((folder / "tensorboard").iterdir()).stat().st_size > 0
    with without_wildcards(folder) as plain:
        tf.io.write_file(str(plain / "a"), "whole")
    assert (folder / "a").read_text() == "whole"
