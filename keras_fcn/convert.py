"""Writes a data set of any layout as VOC's folders or COCO's JSON: `python -m keras_fcn.convert --help` explains it."""

from keras_fcn.commands.convert import main
from keras_fcn.system.command_line import run_command

if __name__ == "__main__":
    run_command(main)
