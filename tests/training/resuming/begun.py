"""A run that has begun, for tests without a training."""

import pytest

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.fingerprint import Fingerprint

CLASSES = ClassTable.named(("a", "b"))
DATA = Fingerprint(CLASSES.to_dict(), [("x", "1", "2")], [("y", "3", "4")], {"training": [1], "validation": [2]})
CONFIG = TrainConfig(data="data", epochs=2)


def refused(call, *arguments):
    """Returns the line of the UserError that a call raises."""
    with pytest.raises(UserError) as caught:
        call(*arguments)
    return str(caught.value)
