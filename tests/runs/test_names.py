import re
from typing import get_args

import pytest
from conftest import ROOT

from keras_fcn.network.backbones import find_backbone
from keras_fcn.runs.names import BACKBONES, NETWORKS, BackboneName, ModelName


def test_the_command_line_takes_the_names_of_the_table():
    assert (get_args(ModelName), get_args(BackboneName)) == (tuple(NETWORKS), tuple(BACKBONES))


@pytest.mark.parametrize("name", BACKBONES)
def test_an_entry_finds_its_backbone_and_knows_whether_weights_are_published(name):
    backbone = find_backbone(name)
    assert backbone.name == name
    assert bool(BACKBONES[name].imagenet) == bool(backbone.load_imagenet)


def test_the_documents_say_of_each_backbone_what_the_table_says():
    """In rows `| names | publisher of ImageNet weights | files |`, wherever they stand."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    said = {}
    for names, imagenet, files in re.findall(r"^\| (`.*?) \| (.*?) ?\| (.*?) ?\|$", text, re.MULTILINE):
        for name in set(re.findall(r"`(\w+)`", names)) & set(BACKBONES):
            assert name not in said
            said[name] = (imagenet.replace("`", ""), files.replace("`", ""))
    assert said == {name: (entry.imagenet, entry.files) for name, entry in BACKBONES.items()}
