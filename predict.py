#!/usr/bin/env python3
"""Segments images and videos with a trained network; `python predict.py --help` explains the options."""

from keras_fcn.commands.console import predict

if __name__ == "__main__":
    predict()
