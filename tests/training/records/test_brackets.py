"""Runs and SavedModels in folders whose names TensorFlow would take for patterns."""

import pytest
import tensorflow as tf

from keras_fcn.inference.models import load_saved_model
from keras_fcn.runs.folder import RunFolder
from keras_fcn.training.records.checkpoints import Checkpoints


def checkpoints(folder, value):
    variable = tf.Variable(value)
    folder.mkdir(exist_ok=True)
    return variable, Checkpoints(RunFolder(folder), tf.train.Checkpoint(variable=variable), keep=2)


@pytest.mark.parametrize("name", ["exp [1]", "exp *", "exp ?", r"exp \1"])
def test_checkpoints_are_found_again_and_those_of_a_neighbour_are_left_alone(tmp_path, name):
    _, neighbour = checkpoints(tmp_path / "exp 1", 7.0)
    neighbour.save()
    before = sorted((tmp_path / "exp 1/checkpoints").iterdir())
    variable, own = checkpoints(tmp_path / name, 0.0)
    for value in (1.0, 2.0, 3.0):
        variable.assign(value)
        own.save()
    paths = Checkpoints.paths(RunFolder(tmp_path / name))
    assert [path.name for path in paths] == ["ckpt-3", "ckpt-2"]
    assert len(list(paths[0].parent.iterdir())) == 4
    assert sorted((tmp_path / "exp 1/checkpoints").iterdir()) == before
    again, resumed = checkpoints(tmp_path / name, 0.0)
    lines = []
    resumed.restore("a network", lines.append)
    assert (again.numpy(), lines) == (3.0, [])
    resumed.save()
    assert [path.name for path in Checkpoints.paths(RunFolder(tmp_path / name))] == ["ckpt-4", "ckpt-3"]


class Doubled(tf.Module):
    def __init__(self):
        self.factor = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([])])
    def double(self, value):
        return self.factor * value


def test_a_saved_model_with_variables_is_loaded(tmp_path):
    module, folder = Doubled(), tmp_path / "exported [1]"
    tf.saved_model.save(module, str(folder), {"double": module.double})
    (value,) = load_saved_model(folder).signatures["double"](tf.constant(3.0)).values()
    assert value.numpy() == 6
