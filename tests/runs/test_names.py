"""Names are written once, in a table; the command line and the config's check take them from it."""

from pkgutil import resolve_name
from typing import get_args

import pytest

from keras_fcn.errors import UserError
from keras_fcn.network.backbones import find_backbone
from keras_fcn.runs import names
from keras_fcn.runs.config import TrainConfig

TABLES = {
    names.ModelName: names.NETWORKS | names.HEADS,
    names.BackboneName: names.BACKBONES,
    names.LossName: names.LOSSES,
    names.OptimizerName: names.OPTIMIZERS,
    names.ScheduleName: names.SCHEDULES,
    names.OutputName: names.OUTPUTS,
    names.PaletteName: names.PALETTES,
}
FUNCTIONS = [*names.BACKBONES.values(), *names.LOSSES.values(), *names.OPTIMIZERS.values(), *names.SCHEDULES.values(),
             *names.LAYOUTS.values(), *names.HEADS.values(),
             *names.OUTPUTS.values(), *names.PALETTES.values()]  # fmt: skip


@pytest.mark.parametrize("choices", TABLES)
def test_the_command_line_takes_the_names_of_the_table(choices):
    assert get_args(choices) == tuple(TABLES[choices])


@pytest.mark.parametrize("entry", FUNCTIONS)
def test_an_entry_finds_what_it_names(entry):
    assert callable(resolve_name(getattr(entry, "function", entry)))


@pytest.mark.parametrize("name", names.BACKBONES)
def test_an_entry_finds_its_backbone_and_knows_whether_weights_are_published(name):
    backbone = find_backbone(name)
    assert backbone.name == name
    assert bool(names.BACKBONES[name].imagenet) == bool(backbone.load_imagenet)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"model": "unet"},
            "model must be one of fcn32s, fcn16s, fcn8s, fcn4s, fcn, deeplabv3, lraspp. Received: unet",
        ),
        ({"loss": ("dice", "focal")}, "loss must be some of cross_entropy, dice, lovasz. Received: dice focal"),
    ],
)
def test_a_config_takes_the_names_of_the_table_from_python_too(settings, line):
    with pytest.raises(UserError, match=f"^{line}$"):
        TrainConfig(**settings)
