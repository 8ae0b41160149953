"""Options and errors on a command line, and in Python."""

import dataclasses
import errno
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import tensorflow as tf
from conftest import ROOT

from keras_fcn.errors import LostWorkerError, UserError, argument
from keras_fcn.system.command_line import _in_our_words, as_options, parse_options, run_command
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


def test_signs_that_break_a_line_or_turn_it_round_are_shown():
    error = UserError(f"a\nb\x1b[2J\u202ec\x85: {argument('tile', 3)} 猫 👨\u200d👩")
    assert str(error) == "a\\nb\\x1b[2J\\u202ec\\x85: tile=3 猫 👨\u200d👩"
    assert as_options(UserError(f"x: {error.marked}")) == "x: a\\nb\\x1b[2J\\u202ec\\x85: --tile 3 猫 👨\u200d👩"


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


@pytest.mark.parametrize("name", ["'--frames'", "'('--frames',)'"])  # tyro 1.0.17's and 1.0.0's
def test_a_missing_value_is_said_in_our_words_whatever_version_of_tyro_says_it(name):
    told = f"Missing value for argument {name}. Expected 1 values"
    assert _in_our_words(told, Outer, ["--frames"]) == "--frames takes a whole number. Received: none"


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


def test_what_the_system_refuses_is_one_line(capsys, tmp_path):
    """Python names files only where they are opened."""
    path = tmp_path / "table.csv"
    path.write_text("1")

    def full():
        with path.open("w") as file:
            print(file.name)
            raise OSError(errno.ENOSPC, "No space left on device")

    def hidden():
        (tmp_path / "none").stat()

    def large():
        raise MemoryError("Unable to allocate 8 GiB")

    def without_threads():
        raise RuntimeError("can't start new thread")

    def fork():
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    def library():
        raise ImportError("libcublas.so: failed to map segment from shared object")

    def batch():
        raise tf.errors.ResourceExhaustedError(
            None, None, "OOM when allocating tensor with shape[8,21,9,9] [Op:Conv2D]"
        )

    def within_tensorflow():
        tf.io.TFRecordWriter(str(tmp_path / "none/events"))

    for command, line in [
        (within_tensorflow, f"{tmp_path / 'none/events'}: No such file or directory; see that "),
        (full, f"{path}: No space left on device; free disk space"),
        (hidden, f"{tmp_path / 'none'}: No such file or directory; see that "),
        (large, "there is not enough memory (Unable to allocate 8 GiB); "),
        (without_threads, "there is not enough memory (can't start new thread); "),
        (library, "there is not enough memory (libcublas.so: failed to map segment from shared object); "),
        (batch, "there is not enough memory (OOM when allocating tensor with shape[8,21,9,9]); "),
        (fork, "there is not enough memory (Cannot allocate memory); "),
    ]:
        with pytest.raises(SystemExit) as stop:
            run_command(command)
        err = capsys.readouterr().err
        assert stop.value.code == 2
        assert err.startswith(f"error: {line}")
        assert err.count("\n") == 1


def test_what_only_a_library_calls_an_error_of_the_system_keeps_its_traceback():
    def command():
        raise OSError("cannot identify image file")

    with pytest.raises(OSError, match="identify"):
        run_command(command)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_to_a_full_disk_is_one_line():
    program = "from keras_fcn.system.command_line import run_command; run_command(lambda: print('lines'))"
    with Path("/dev/full").open("w") as full:
        call = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert call.returncode == 2
    assert call.stderr == "error: a file or the output: No space left on device; free disk space\n"
