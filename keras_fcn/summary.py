"""Summarizes a network: `python -m keras_fcn.summary --help` explains the options."""

from keras_fcn.commands.summary import main
from keras_fcn.system.command_line import run_command

if __name__ == "__main__":
    run_command(main)
