#!/usr/bin/env python3
"""Trains a fully convolutional network on images and masks; `python train.py --help` explains the options."""

from keras_fcn.commands.console import train

if __name__ == "__main__":
    train()
