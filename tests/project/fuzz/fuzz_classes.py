"""Harnesses of files that people write: lists of classes in each form, and settings."""

import json

from changes import of_json, of_text
from harness import Harness, refused_in_a_line, scratch
from layouts import LABELMAP

from keras_fcn.datasets.labels.class_files import find_legend
from keras_fcn.images.classes import ClassTable
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import read_config


def legend_of(name):
    """Returns the check of a class file of this name: its classes survive JSON, as a run keeps them."""

    def check(data):
        path = scratch(name) / name
        path.write_bytes(data)
        with refused_in_a_line():
            legend = find_legend(path.parent)
            if legend is not None:
                table = json.loads(json.dumps(legend.classes.to_dict()))
                assert ClassTable.from_dict(table) == legend.classes
                assert len(legend.ids) == 256
                assert all(index < legend.classes.num_classes or index in (254, 255) for index in legend.ids)

    return check


def check_config(data):
    path = scratch("config") / "config.yaml"
    path.write_bytes(data)
    with refused_in_a_line():
        config = read_config(path)
        path.write_text(json.dumps(config.to_dict()), encoding="utf-8")
        assert read_config(path) == config


def _texts(*texts):
    return lambda: [text.encode() for text in texts]


OBJECTS = [{"name": "cat", "id": 1, "color": [255, 0, 0]}, {"name": "void", "id": 255, "color": "#00ff00"}]
LEGEND = "classes are found, and survive JSON, or one line"
RECIPE = "backbone: mobilenet_v2\ncrop_size: [96, 128]\nepochs: 3\nxla: on\nlearning_rate: 1e-3\nminutes: null\n"

HARNESSES = {
    "labelmap": Harness(LEGEND, _texts(LABELMAP, "a:::\nb:::\n"), legend_of("labelmap.txt"), of_text),
    "class_list": Harness(
        LEGEND,
        _texts("background\ncat\n猫\n", "__ignore__\na\nb\n", "10 road\n11 sky\n"),
        legend_of("classes.txt"),
        of_text,
    ),
    "class_table": Harness(
        LEGEND,
        _texts("name,id,r,g,b\ncat,1,255,0,0\nvoid,255,0,255,0\n", "0;sky\n1;cat\n", "128 64 128 Road\n0 0 0 Void\n"),
        legend_of("classes.csv"),
        of_text,
    ),
    "class_json": Harness(
        LEGEND,
        lambda: [json.dumps(each).encode() for each in (OBJECTS, {"0": "sky", "1": "cat"}, {"labels": OBJECTS})],
        legend_of("classes.json"),
        of_json,
    ),
    "class_yaml": Harness(
        LEGEND,
        _texts(
            "names: [sky, cat]\npalette: [[0, 0, 0], [1, 2, 3]]\n",
            "names:\n  0: sky\n  1: cat\n",
            "a: {id: 1, color: '#010203'}\n",
        ),
        legend_of("classes.yaml"),
        of_text,
    ),
    "config_yaml": Harness(
        "settings come out that are read back as they were, or one line",
        lambda: [RECIPE.encode(), json.dumps(TrainConfig().to_dict()).encode()],
        check_config,
        of_text,
    ),
}
