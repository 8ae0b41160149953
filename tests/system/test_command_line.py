"""Options and errors on a command line, and in Python."""

import dataclasses
import pickle
from pathlib import Path
from typing import Annotated

import pytest

from keras_fcn.errors import LostWorkerError, UserError, argument
from keras_fcn.system.command_line import as_options, parse_options, run_command
from keras_fcn.system.options import POSITIVE, Options

LINES = [
    (argument("tile"), "tile", "--tile"),
    (argument("tile", (64, 96)), "tile=(64, 96)", "--tile 64 96"),
    (argument("run_dir", Path("my runs/a=b")), "run_dir='my runs/a=b'", "--run-dir my runs/a=b"),
    (argument("ohem", 0.25), "ohem=0.25", "--ohem 0.25"),
    (f"the tile {argument('tile')} of tile=1", "the tile tile of tile=1", "the tile --tile of tile=1"),
    ("tile --tile {tile} `tile`", "tile --tile {tile} `tile`", "tile --tile {tile} `tile`"),
]


@pytest.mark.parametrize(("line", "python", "options"), LINES)
@pytest.mark.parametrize("kind", [UserError, LostWorkerError])
def test_an_error_names_the_argument_and_the_command_line_the_option(line, python, options, kind):
    error = kind(line)
    for one in (error, pickle.loads(pickle.dumps(error)), kind(error.marked)):
        assert (str(one), as_options(one), one.args) == (python, options, (python,))


@dataclasses.dataclass(frozen=True)
class Inner(Options):
    """A group."""

    frames: Annotated[int | None, POSITIVE] = None


@dataclasses.dataclass(frozen=True)
class Outer(Options):
    """All options."""

    frames_per_second: Annotated[float, POSITIVE] = 25.0
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--frames-per-second", "0"], "--frames-per-second must be greater than 0. Received: 0.0; see "),
        (["--inner.frames", "-1"], "--frames must be greater than 0. Received: -1; see "),
    ],
)
def test_options_out_of_their_range_are_one_line(words, line):
    with pytest.raises(UserError) as caught:
        parse_options(Outer, words)
    assert str(caught.value).startswith(line)


def test_values_out_of_their_range_are_named_as_in_python():
    with pytest.raises(UserError) as caught:
        Outer(frames_per_second=-1)
    assert str(caught.value) == "frames_per_second must be greater than 0. Received: -1.0"


@pytest.mark.parametrize("kind", [UserError])
def test_a_command_ends_with_the_option(capsys, kind):
    def command():
        raise kind(f"{argument('batch_size')} is too small")

    with pytest.raises(SystemExit) as stop:
        run_command(command)
    assert (stop.value.code, capsys.readouterr().err) == (2, "error: --batch-size is too small\n")
