from typing import get_args

import pytest

from keras_fcn.network.backbones import find_backbone
from keras_fcn.runs.names import BACKBONES, NETWORKS, BackboneName, ModelName


def test_the_command_line_takes_the_names_of_the_table():
    assert (get_args(ModelName), get_args(BackboneName)) == (tuple(NETWORKS), tuple(BACKBONES))


@pytest.mark.parametrize("name", BACKBONES)
def test_an_entry_finds_its_backbone_and_knows_whether_weights_are_published(name):
    backbone = find_backbone(name)
    assert backbone.name == name
    assert bool(BACKBONES[name].imagenet) == bool(backbone.load_imagenet)
