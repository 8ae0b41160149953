"""What a training takes on the processors of this machine: an estimate without a network."""

from __future__ import annotations

import time

import numpy as np

from keras_fcn.system.machine import granted_cores

BACKBONE_MACS = {"mobilenet_v2": (5969, 6.5), "efficientnet_lite2": (11464, 8.6)}
HEAD_MACS = {"fcn8s": (0, 4.08), "fcn4s": (9, 4.33)}
"""Multiply-accumulates per pixel of an image, as `network.cost` counts them: those of a backbone itself and, times the
number of classes, of the scores of its features, with a context, up to FCN-8s'; those that a network adds, times the
number of classes (scores) and its square (upsampling)."""

PART = 0.6
"""Multiply-accumulates a second of a step, as a fraction of those of a product of matrices. Of steps at 320x416 it was
0.5 on two quiet cores of a Xeon, and 0.9 of the processor time on an EPYC. A step has three times those of a
prediction: the gradients of weights and of features take as many each."""


def matrix_rate(side: int = 1024, times: int = 4) -> float:
    """Returns the multiply-accumulates per second of products of matrices in float32 on all cores, were they idle."""
    matrix, best = np.ones((side, side), np.float32), np.inf
    for _ in range(times):
        started = time.process_time()
        matrix @ matrix
        best = min(best, time.process_time() - started)
    return granted_cores() * side**3 / max(best, 1e-9)


def seconds(pixels: float, network: str, backbone: str, num_classes: int, rate: float, passes: float = 3.0) -> float:
    """Returns the seconds that a network takes for so many pixels.

    Args:
        pixels: The pixels of all crops or images together.
        network: A key of `HEAD_MACS`.
        backbone: A key of `BACKBONE_MACS`.
        num_classes: Number of classes.
        rate: The result of `matrix_rate`.
        passes: 3 for training steps, 1 for predictions.
    """
    return passes * macs(network, backbone, num_classes) * pixels / (PART * rate)


def macs(network: str, backbone: str, num_classes: int) -> float:
    """Returns the multiply-accumulates of a network per pixel."""
    (own, once), (more, squared) = BACKBONE_MACS[backbone], HEAD_MACS[network]
    return own + (once + more) * num_classes + squared * num_classes**2
