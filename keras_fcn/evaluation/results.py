"""The result of an evaluation, in memory and as JSON."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.evaluation.calibration import Calibration
from keras_fcn.evaluation.metrics import SegmentationMetrics, TrimapMetrics
from keras_fcn.system.text import load_json


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of a model over whole images.

    `evaluation["mean_iou"]` returns an entry of `to_json`.

    Attributes:
        class_names: Background included, in the order of the ids.
        num_images: Images that the model was evaluated on.
        confusion_matrix: Pixels by true class (rows) and predicted class (columns), int64 [classes, classes].
        image_mean_iou: By its name in `Pairs.names`, the mean IoU of each image alone; NaN if it has no valid pixel.
        trimap: The metrics near true boundaries, if they were computed.
        calibration: How far probabilities can be trusted, if it was computed.
    """

    class_names: tuple[str, ...]
    num_images: int
    confusion_matrix: np.ndarray
    image_mean_iou: dict[str, float]
    trimap: TrimapMetrics | None = None
    calibration: Calibration | None = None

    @functools.cached_property
    def metrics(self) -> SegmentationMetrics:
        """The metrics of all images together."""
        return SegmentationMetrics.from_confusion_matrix(self.confusion_matrix)

    def worst_images(self, count: int) -> list[tuple[str, float]]:
        """Returns name and mean IoU of the images with the lowest mean IoU, in ascending order."""
        valid = [(name, iou) for name, iou in self.image_mean_iou.items() if not math.isnan(iou)]
        return sorted(valid, key=lambda item: item[1])[:count]

    def to_json(self) -> dict[str, Any]:
        """Returns the content of metrics.json: values of classes and images by name, None instead of NaN."""
        return {
            **_by_class(self.metrics, self.class_names),
            "images": self.num_images,
            "confusion_matrix": self.confusion_matrix.tolist(),
            "image_mean_iou": _by_name(self.image_mean_iou, self.image_mean_iou.values()),
            **({"trimap": _by_class(self.trimap, self.class_names)} if self.trimap else {}),
            **({"calibration": self.calibration.to_json(self.class_names)} if self.calibration else {}),
        }

    def __getitem__(self, name: str) -> Any:
        """Returns an entry of `to_json`."""
        return self.to_json()[name]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Evaluation:
        """Returns the evaluation that `to_json` was called on."""
        return cls(
            class_names=tuple(values["iou"]),
            num_images=values["images"],
            confusion_matrix=np.array(values["confusion_matrix"], np.int64),
            image_mean_iou={name: _number(iou) for name, iou in values["image_mean_iou"].items()},
            trimap=_trimap(values["trimap"]) if "trimap" in values else None,
        )

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """Reads a run's metrics.json.

        Raises:
            UserError: If the file cannot be read, or is of a version that did not write confusion matrices yet.
        """
        try:
            return cls.from_json(load_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else error
            raise UserError(
                f"{path}: cannot be read ({reason}); evaluate the run again: evaluate.py {path.parent} --json {path}"
            ) from None


def _by_class(metrics: SegmentationMetrics | TrimapMetrics, names: tuple[str, ...]) -> dict[str, Any]:
    values = dataclasses.asdict(metrics)
    return {
        key: _by_name(names, value) if isinstance(value, tuple) else None if math.isnan(value) else value
        for key, value in values.items()
    }


def _by_name(names: Iterable[str], values: Iterable[float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in zip(names, values)}


def _trimap(values: dict[str, Any]) -> TrimapMetrics:
    return TrimapMetrics(
        values["width"],
        _number(values["pixel_accuracy"]),
        _number(values["mean_iou"]),
        tuple(map(_number, values["iou"].values())),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value
