"""Counts the content of a data set and lists its faults: `python -m keras_fcn.check --help` explains the options."""

from keras_fcn.commands.check import main
from keras_fcn.system.command_line import run_command

if __name__ == "__main__":
    run_command(main)
