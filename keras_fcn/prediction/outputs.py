"""The files written for a predicted image: masks, pictures, tables, annotations."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable, Mapping
from pkgutil import resolve_name

import numpy as np
from PIL import Image

from keras_fcn.drawing.overlays import cutout, overlay_with_legend, panel
from keras_fcn.drawing.palettes import picture_colors
from keras_fcn.errors import UserError, about
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import encode_label
from keras_fcn.images.pillow import encoded
from keras_fcn.images.values.channels import shown
from keras_fcn.prediction.annotations.mask.objects import cleaned
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.prediction.annotations.tally import Tally
from keras_fcn.prediction.plan import is_frame
from keras_fcn.prediction.to_label import describe_unsureness
from keras_fcn.runs import names
from keras_fcn.system.storage import write_bytes
from keras_fcn.system.text import json_bytes

_JPEG = {"format": "JPEG", "quality": 92, "subsampling": "4:4:4"}
"""A VOC image takes 17 to 49 ms and four times the bytes as PNG, 1.4 ms as JPEG; 4:4:4 keeps fine lines in colour."""

PICTURE_PIXELS = 1 << 25
"""Larger pictures are reduced by an integer factor: drawing takes some 50 bytes a pixel."""

_JPEG_SIDE = 65500
"""The longest side that libjpeg writes."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """An image and its predicted classes.

    Attributes:
        name: The image's path below the input folder, with "/".
        image: uint8 [H, W, 3].
        ids: Class ids uint8 [H, W].
        classes: Names and mask colours of the ids.
        shown: Names and picture colours of the ids.
        probabilities: float32 [H, W, C], if they are written.
        alpha: Opacity of overlays, 0-1.
        location: The image's path or URI.
        target: The location of the file that is written.
        annotations: The style of annotations.
    """

    name: str
    image: np.ndarray
    ids: np.ndarray
    classes: ClassTable
    shown: ClassTable
    probabilities: np.ndarray | None = None
    alpha: float = 0.55
    location: str = ""
    target: str = ""
    annotations: AnnotationStyle = dataclasses.field(default_factory=AnnotationStyle)

    @property
    def annotated(self) -> np.ndarray:
        """The class ids without small holes and objects, uint8 [H, W]."""
        return cleaned(self.ids, self.classes, self.annotations)


def describe(ids: np.ndarray, classes: ClassTable) -> list[dict]:
    """Returns pixel count, fraction of pixels and bounding box of each class in a mask, by id.

    Args:
        ids: uint8 [H, W].
        classes: Names.

    Returns:
        "id", "name", "pixels", "share" (0-1) and "bounding_box" (x, y, width, height in pixels).
    """
    tally = Tally()
    tally.add(ids)
    return tally.table(classes)


def encode_mask(prediction: Prediction) -> bytes:
    """Returns a palette PNG of class ids."""
    return encode_label(prediction.ids, prediction.classes)


def encode_overlay(prediction: Prediction) -> bytes:
    """Returns a JPEG of the classes laid over the image, with a legend."""
    return _picture(overlay_with_legend(*_reduced(prediction), prediction.shown, prediction.alpha))


def encode_panel(prediction: Prediction) -> bytes:
    """Returns a JPEG of image, overlay and mask side by side."""
    return _picture(panel(*_reduced(prediction), prediction.shown, prediction.alpha))


def _reduced(prediction: Prediction) -> tuple[np.ndarray, np.ndarray]:
    """Returns image and ids of at most `PICTURE_PIXELS`: every second, third ... pixel of larger ones."""
    step = math.ceil(math.sqrt(prediction.ids.size / PICTURE_PIXELS))
    return np.ascontiguousarray(prediction.image[::step, ::step]), np.ascontiguousarray(prediction.ids[::step, ::step])


def encode_cutout(prediction: Prediction) -> bytes:
    """Returns a PNG of the image whose background is transparent."""
    image = cutout(prediction.image, prediction.ids, prediction.classes)
    return encoded(image, format="PNG", compress_level=1)


def encode_json(prediction: Prediction) -> bytes:
    """Returns the table of `describe` as JSON."""
    tally = Tally()
    tally.add(prediction.ids)
    return encode_table(prediction.name, prediction.ids.shape, tally, prediction.classes)


def encode_table(name: str, size: tuple[int, ...], tally: Tally, classes: ClassTable) -> bytes:
    """Returns a mask's table of classes as JSON.

    Args:
        name: The image's name.
        size: Height and width.
        tally: What was counted in the mask.
        classes: Names.
    """
    table = {"image": name, "height": size[0], "width": size[1]}
    return json_bytes({**table, "classes": tally.table(classes)})


def encode_probabilities(prediction: Prediction) -> bytes:
    """Returns an .npz of the probabilities, float16 [H, W, C], and the class names."""
    assert prediction.probabilities is not None
    file = io.BytesIO()
    values = prediction.probabilities.astype(np.float16)
    np.savez_compressed(file, probabilities=values, classes=np.array(prediction.classes.names))
    return file.getvalue()


def encode_confidence(prediction: Prediction) -> bytes:
    """Returns a grey PNG of the highest probability of each pixel: 0 to 255 is 0 to 1."""
    assert prediction.probabilities is not None
    return encoded(Image.fromarray(np.rint(255 * prediction.probabilities.max(axis=-1)).astype(np.uint8)), format="PNG")


def encode_to_label(prediction: Prediction) -> bytes:
    """Returns what `keras_fcn.prediction.to_label.ranked` takes of one image."""
    assert prediction.probabilities is not None
    location = prediction.name if is_frame(prediction.name) else prediction.location or prediction.name
    return json_bytes(describe_unsureness(location, prediction.image, prediction.probabilities))


@dataclasses.dataclass(frozen=True)
class Output:
    """A kind of output file.

    Attributes:
        suffix: The suffix of the file name.
        encode: From a prediction to the file's bytes; deterministic.
    """

    suffix: str
    encode: Callable[[Prediction], bytes]


OUTPUTS = {name: Output(entry.suffix, resolve_name(entry.function)) for name, entry in names.OUTPUTS.items()}
"""The kinds of output by the name of their folder."""


def _picture(image: Image.Image) -> bytes:
    if max(image.size) > _JPEG_SIDE:
        raise UserError(f"pictures are JPEG files, at most {_JPEG_SIDE} pixels wide and high")
    return encoded(image, **_JPEG)


@dataclasses.dataclass(frozen=True)
class OutputStyle:
    """The style of pictures and annotations.

    Attributes:
        palette: Of overlays and panels, one of `keras_fcn.drawing.palettes.PALETTES`.
        alpha: Opacity of overlays, 0-1.
        annotations: Of files for annotation tools.
    """

    palette: str = "classes"
    alpha: float = 0.55
    annotations: AnnotationStyle = dataclasses.field(default_factory=AnnotationStyle)


class Writer:
    """Draws, encodes and writes the output files of images.

    Args:
        classes: Names and mask colours of the ids.
        style: The style of pictures and annotations.
    """

    def __init__(self, classes: ClassTable, style: OutputStyle) -> None:
        self._classes, self._shown = classes, picture_colors(classes, style.palette)
        self._style = style

    def attempt(self, number: int, *arguments) -> tuple[int, UserError | None]:
        """Calls `write`, and returns the number and the error, if there was one."""
        try:
            self.write(*arguments)
        except UserError as error:
            return number, error
        return number, None

    def write(
        self,
        name: str,
        targets: Mapping[str, str],
        image: np.ndarray,
        ids: np.ndarray,
        probabilities: np.ndarray | None = None,
        location: str = "",
    ) -> None:
        """Writes the files of an image.

        Args:
            name: The image's name in the files.
            targets: Locations of the files, by the names of `OUTPUTS`.
            image: uint8 [H, W, channels]; pictures show the first three, or one as grey.
            ids: Class ids uint8 [H, W].
            probabilities: float32 [H, W, C], if they are written.
            location: The image's path or URI.

        Raises:
            UserError: If a file cannot be encoded or written.
        """
        style = self._style
        prediction = Prediction(
            name, shown(image), ids, self._classes, self._shown, probabilities, style.alpha, location,
            annotations=style.annotations,
        )  # fmt: skip
        for output, target in targets.items():
            with about(target):
                content = OUTPUTS[output].encode(dataclasses.replace(prediction, target=target))
            write_bytes(target, content)
