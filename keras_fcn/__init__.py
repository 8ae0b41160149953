"""Semantic segmentation with fully convolutional networks in TensorFlow/Keras.

    import keras_fcn
    model = keras_fcn.build_fcn("fcn8s", "resnet18_v2", num_classes=21)

Importing the package takes no time: TensorFlow and Keras are imported with the first name that needs them.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_fcn.datasets import Pairs, open_pairs
    from keras_fcn.datasets.layouts.writing import write_pairs
    from keras_fcn.datasets.toy import draw_scene, draw_toy_dataset
    from keras_fcn.errors import UserError
    from keras_fcn.evaluation.evaluate import evaluate
    from keras_fcn.evaluation.results import Evaluation
    from keras_fcn.images.classes import VOID_LABEL, ClassTable
    from keras_fcn.images.masks import read_label, write_label
    from keras_fcn.images.photos import read_image
    from keras_fcn.inference.options import InferenceOptions
    from keras_fcn.inference.predictor import Predictor
    from keras_fcn.network.backbones import Backbone, build_backbone
    from keras_fcn.network.cost.complexity import summarize
    from keras_fcn.network.fcn import build_fcn
    from keras_fcn.network.initializers import Bilinear
    from keras_fcn.network.parts import class_table
    from keras_fcn.pipeline.augmentation import Augmentation
    from keras_fcn.pipeline.batches import evaluation_dataset, training_dataset
    from keras_fcn.prediction.notebook import show
    from keras_fcn.runs.config import TrainConfig
    from keras_fcn.system.startup import start_tensorflow
    from keras_fcn.training.losses import SegmentationLoss
    from keras_fcn.training.train import train
    from keras_fcn.training.tuning.tune import tune

__version__ = "1.0.0"

__all__ = [
    "VOID_LABEL",
    "Augmentation",
    "Backbone",
    "Bilinear",
    "ClassTable",
    "Evaluation",
    "InferenceOptions",
    "Pairs",
    "Predictor",
    "SegmentationLoss",
    "TrainConfig",
    "UserError",
    "build_backbone",
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
    "tune",
    "write_label",
    "write_pairs",
]

_HOME = {
    "Augmentation": "pipeline.augmentation",
    "VOID_LABEL": "images.classes",
    "Backbone": "network.backbones",
    "Bilinear": "network.initializers",
    "ClassTable": "images.classes",
    "Evaluation": "evaluation.results",
    "InferenceOptions": "inference.options",
    "Pairs": "datasets",
    "Predictor": "inference.predictor",
    "SegmentationLoss": "training.losses",
    "TrainConfig": "runs.config",
    "UserError": "errors",
    "build_backbone": "network.backbones",
    "build_fcn": "network.fcn",
    "class_table": "network.parts",
    "draw_scene": "datasets.toy",
    "draw_toy_dataset": "datasets.toy",
    "evaluate": "evaluation.evaluate",
    "evaluation_dataset": "pipeline.batches",
    "open_pairs": "datasets",
    "read_image": "images.photos",
    "read_label": "images.masks",
    "show": "prediction.notebook",
    "start_tensorflow": "system.startup",
    "summarize": "network.cost.complexity",
    "train": "training.train",
    "training_dataset": "pipeline.batches",
    "tune": "training.tuning.tune",
    "write_label": "images.masks",
    "write_pairs": "datasets.layouts.writing",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register_with_keras(keras) -> None:
    """Registers our layers and loss as soon as Keras is there, so that `keras.models.load_model` knows them."""
    for module in ("network.fcn", "network.context.pyramid"):
        importlib.import_module(f"{__name__}.{module}")
    if keras.backend.backend() == "tensorflow":
        importlib.import_module(f"{__name__}.training.losses")


with contextlib.suppress(ImportError):  # TensorFlow brings it; where it is not, Keras is not either
    import wrapt

    wrapt.register_post_import_hook(_register_with_keras, "keras")
