"""Predictions become the files of annotation tools and of GeoJSON."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from keras_fcn.prediction.annotations.coco import coco
from keras_fcn.prediction.annotations.cvat import cvat
from keras_fcn.prediction.annotations.geojson import geojson
from keras_fcn.prediction.annotations.label_studio import address_of, label_studio
from keras_fcn.prediction.annotations.labelme import labelme
from keras_fcn.prediction.annotations.yolo import yolo
from keras_fcn.system.storage import is_remote
from keras_fcn.system.text import json_bytes

if TYPE_CHECKING:
    from keras_fcn.prediction.outputs import Prediction


def encode_geojson(prediction: Prediction) -> bytes:
    """Returns the polygons of the classes as GeoJSON."""
    return json_bytes(geojson(prediction.annotated, prediction.classes))


def encode_coco(prediction: Prediction) -> bytes:
    """Returns the annotations of one image in COCO's format."""
    tolerance = prediction.annotations.tolerance_or(0)
    return json_bytes(coco(prediction.name, prediction.annotated, prediction.classes, tolerance))


def encode_labelme(prediction: Prediction) -> bytes:
    """Returns labelme's JSON of one image."""
    tolerance = prediction.annotations.tolerance_or(1)
    path = _path_between(prediction.target, prediction.location or prediction.name)
    return json_bytes(labelme(path, prediction.annotated, prediction.classes, tolerance))


def encode_cvat(prediction: Prediction) -> bytes:
    """Returns CVAT's XML of one image."""
    tolerance = prediction.annotations.tolerance_or(1)
    return cvat(prediction.name, prediction.annotated, prediction.classes, tolerance)


def encode_yolo(prediction: Prediction) -> bytes:
    """Returns YOLO's labels of one image."""
    return yolo(prediction.annotated, prediction.classes, prediction.annotations.tolerance_or(1)).encode()


def encode_label_studio(prediction: Prediction) -> bytes:
    """Returns Label Studio's task of one image."""
    address = address_of(prediction.location, prediction.name)
    tolerance = prediction.annotations.tolerance_or(1)
    return json_bytes(label_studio(address, prediction.annotated, prediction.classes, tolerance))


def _path_between(file: str, image: str) -> str:
    """Returns the path of an image from a file's folder, with "/"; its name alone where no path leads there."""
    if is_remote(file) or is_remote(image):
        return PurePosixPath(image).name
    folder = os.path.realpath(Path(file).parent)
    try:
        path = os.path.relpath(Path(os.path.realpath(Path(image).parent), Path(image).name), folder)
    except ValueError:  # another drive of Windows
        return Path(image).name
    return path.replace(os.sep, "/")
