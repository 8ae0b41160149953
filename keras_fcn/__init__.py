"""Semantic segmentation with fully convolutional networks in TensorFlow/Keras.

    import keras_fcn
    model = keras_fcn.build_fcn("fcn8s", "resnet18_v2", num_classes=21)

Importing the package takes no time: TensorFlow and Keras are imported with the first name that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import wrapt

if TYPE_CHECKING:
    from keras_fcn.augmentation import Augmentation
    from keras_fcn.complexity import summarize
    from keras_fcn.datasets import open_pairs
    from keras_fcn.datasets.toy import draw_scene, draw_toy_dataset
    from keras_fcn.environment import start_tensorflow
    from keras_fcn.evaluation import evaluate
    from keras_fcn.fcn import build_fcn, class_table
    from keras_fcn.image_files import read_image, read_label, write_label
    from keras_fcn.inference import Predictor
    from keras_fcn.inference_options import InferenceOptions
    from keras_fcn.initializers import Bilinear
    from keras_fcn.labels import VOID_LABEL, ClassTable
    from keras_fcn.losses import SegmentationLoss
    from keras_fcn.notebook import show
    from keras_fcn.pipeline import evaluation_dataset, training_dataset
    from keras_fcn.training_run import train

__version__ = "0.1.0"

__all__ = [
    "VOID_LABEL",
    "Augmentation",
    "Bilinear",
    "ClassTable",
    "InferenceOptions",
    "Predictor",
    "SegmentationLoss",
    "build_fcn",
    "class_table",
    "draw_scene",
    "draw_toy_dataset",
    "evaluate",
    "evaluation_dataset",
    "open_pairs",
    "read_image",
    "read_label",
    "show",
    "start_tensorflow",
    "summarize",
    "train",
    "training_dataset",
    "write_label",
]

_HOME = {
    "Augmentation": "augmentation",
    "VOID_LABEL": "labels",
    "Bilinear": "initializers",
    "ClassTable": "labels",
    "InferenceOptions": "inference_options",
    "Predictor": "inference",
    "SegmentationLoss": "losses",
    "build_fcn": "fcn",
    "class_table": "fcn",
    "draw_scene": "datasets.toy",
    "draw_toy_dataset": "datasets.toy",
    "evaluate": "evaluation",
    "evaluation_dataset": "pipeline",
    "open_pairs": "datasets",
    "read_image": "image_files",
    "read_label": "image_files",
    "show": "notebook",
    "start_tensorflow": "environment",
    "summarize": "complexity",
    "train": "training_run",
    "training_dataset": "pipeline",
    "write_label": "image_files",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


@wrapt.when_imported("keras")
def _register_with_keras(keras) -> None:
    """Registers our layers and loss as soon as Keras is there, so that `keras.models.load_model` knows them."""
    importlib.import_module(f"{__name__}.fcn")
    if keras.backend.backend() == "tensorflow":
        importlib.import_module(f"{__name__}.losses")
