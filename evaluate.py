#!/usr/bin/env python3
"""Evaluates trained networks on whole images; `python evaluate.py --help` explains the options."""

from keras_fcn.commands.console import evaluate

if __name__ == "__main__":
    evaluate()
