"""A ResNet-18 V2 of a block a stage and 8 to 64 channels, in the place of the real one, and scripts that train it.

What surrounds a network is tried with this one: it has the layers, strides and names of the real one, and is built,
traced and written in a fraction of the time. `python tests/support/narrow.py train.py OPTIONS` does so in a process.
"""

import contextlib
import functools
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from keras_fcn.runs.names import BACKBONES  # noqa: E402 - found in ROOT

NAME = "resnet18_v2"
FULL = BACKBONES[NAME]


def narrow_v2():
    from keras_fcn.network.backbones import IMAGENET_MEAN, IMAGENET_STD, Backbone
    from keras_fcn.network.backbones.resnets import build_resnet_v2

    build = functools.partial(build_resnet_v2, blocks=(1, 1, 1, 1), width=8)
    return Backbone(build, IMAGENET_MEAN, IMAGENET_STD)


BACKBONES[NAME] = NARROW = FULL._replace(function="narrow:narrow_v2", arguments=())


@contextlib.contextmanager
def full_width():
    """Builds the real network while the block runs."""
    BACKBONES[NAME] = FULL
    try:
        yield
    finally:
        BACKBONES[NAME] = NARROW


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    runpy.run_path(str(ROOT / sys.argv[0]), run_name="__main__")
