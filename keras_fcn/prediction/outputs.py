"""What can be written about a photograph: masks, pictures, tables, annotations, each as one file."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Callable, Mapping
from pkgutil import resolve_name

import numpy as np
from PIL import Image

from keras_fcn.drawing.overlays import cutout, overlay_with_legend, panel
from keras_fcn.drawing.palettes import picture_colors
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import encode_label
from keras_fcn.prediction.annotations import coco, geojson
from keras_fcn.runs import names
from keras_fcn.system.storage import write_bytes

_JPEG = {"format": "JPEG", "quality": 92, "subsampling": "4:4:4"}
"""Of a photograph of VOC, PNG takes 17 to 49 ms and four times the bytes, JPEG 1.4; fine lines keep their colour."""

_PICTURE_PIXELS = 1 << 25
"""Pictures of more pixels are reduced by a whole factor: drawing takes some 50 bytes a pixel."""

_JPEG_SIDE = 65500
"""The longest side that libjpeg writes."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A photograph and what was predicted for it.

    Attributes:
        name: The photograph's path below the folder that was named, with "/".
        image: uint8 [H, W, 3].
        ids: Class ids uint8 [H, W].
        classes: What the ids mean, with the colours of masks.
        shown: The same in the colours of pictures.
        probabilities: float32 [H, W, C], where they were asked for.
        alpha: Share of the colour in overlays, 0-1.
    """

    name: str
    image: np.ndarray
    ids: np.ndarray
    classes: ClassTable
    shown: ClassTable
    probabilities: np.ndarray | None = None
    alpha: float = 0.55


def describe(ids: np.ndarray, classes: ClassTable) -> list[dict]:
    """Returns for each class that is present, by id, its pixels, their share and the box around them.

    Args:
        ids: uint8 [H, W].
        classes: Names.

    Returns:
        "id", "name", "pixels", "share" (0-1) and "bounding_box" (x, y, width, height in pixels).
    """
    counts = Image.fromarray(ids).histogram()
    table = []
    for index, name in enumerate(classes.names):
        if counts[index]:
            where = ids == index
            x, y = (np.flatnonzero(where.any(axis=axis)) for axis in (0, 1))
            box = [int(x[0]), int(y[0]), int(x[-1] - x[0] + 1), int(y[-1] - y[0] + 1)]
            share = round(counts[index] / ids.size, 6)
            table.append({"id": index, "name": name, "pixels": counts[index], "share": share, "bounding_box": box})
    return table


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
    """Returns photograph and ids no larger than is looked at: of very large ones every second, third ... pixel."""
    step = math.ceil(math.sqrt(prediction.ids.size / _PICTURE_PIXELS))
    return np.ascontiguousarray(prediction.image[::step, ::step]), np.ascontiguousarray(prediction.ids[::step, ::step])


def encode_cutout(prediction: Prediction) -> bytes:
    """Returns a PNG of the image whose background is transparent."""
    image = cutout(prediction.image, prediction.ids, prediction.classes)
    return _encoded(image, format="PNG", compress_level=1)


def encode_json(prediction: Prediction) -> bytes:
    """Returns what `describe` does, as JSON."""
    height, width = prediction.ids.shape
    table = {"image": prediction.name, "height": height, "width": width}
    return _text({**table, "classes": describe(prediction.ids, prediction.classes)})


def encode_probabilities(prediction: Prediction) -> bytes:
    """Returns an .npz of the probabilities, float16 [H, W, classes], and the names of the classes."""
    assert prediction.probabilities is not None
    file = io.BytesIO()
    values = prediction.probabilities.astype(np.float16)
    np.savez_compressed(file, probabilities=values, classes=np.array(prediction.classes.names))
    return file.getvalue()


def encode_geojson(prediction: Prediction) -> bytes:
    """Returns the polygons of the classes as GeoJSON."""
    return _text(geojson(prediction.ids, prediction.classes))


def encode_coco(prediction: Prediction) -> bytes:
    """Returns the annotations of one image as COCO has them."""
    return _text(coco(prediction.name, prediction.ids, prediction.classes))


@dataclasses.dataclass(frozen=True)
class Output:
    """A kind of file.

    Attributes:
        suffix: What its name ends in.
        encode: From a prediction to the file's bytes, the same whenever and wherever they are made.
    """

    suffix: str
    encode: Callable[[Prediction], bytes]


OUTPUTS = {name: Output(entry.suffix, resolve_name(entry.function)) for name, entry in names.OUTPUTS.items()}
"""By the name of the folder that they are written to."""


def _picture(image: Image.Image) -> bytes:
    if max(image.size) > _JPEG_SIDE:
        raise UserError(f"pictures to look at are JPEG, which is at most {_JPEG_SIDE} pixels wide and high")
    return _encoded(image, **_JPEG)


def _encoded(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def _text(value: dict) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


@dataclasses.dataclass(frozen=True)
class PictureStyle:
    """How pictures to look at are drawn.

    Attributes:
        palette: One of `keras_fcn.drawing.palettes.PALETTES`.
        alpha: Share of the classes' colours in overlays, 0-1.
    """

    palette: str = "classes"
    alpha: float = 0.55


class Writer:
    """Draws, encodes and writes what is asked for about photographs.

    Args:
        classes: Names of the ids, and the colours of masks.
        style: How pictures are drawn.
    """

    def __init__(self, classes: ClassTable, style: PictureStyle) -> None:
        self._classes, self._shown = classes, picture_colors(classes, style.palette)
        self._alpha = style.alpha

    def attempt(self, number: int, *known) -> tuple[int, UserError | None]:
        """Does what `write` does, and returns the number and what went wrong, if anything."""
        try:
            self.write(*known)
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
    ) -> None:
        """Writes the files about a photograph.

        Args:
            name: What the photograph is called in them.
            targets: Locations of the files, by the names of `OUTPUTS`.
            image: uint8 [H, W, 3].
            ids: Class ids uint8 [H, W].
            probabilities: float32 [H, W, C], if they are to be written.

        Raises:
            UserError: If a file cannot be made or written.
        """
        prediction = Prediction(name, image, ids, self._classes, self._shown, probabilities, self._alpha)
        for output, target in targets.items():
            try:
                content = OUTPUTS[output].encode(prediction)
            except UserError as error:
                raise UserError(f"{target}: {error}") from None
            write_bytes(target, content)
