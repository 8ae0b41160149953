"""Draws `docs/gallery` from the embedded data set; docs/gallery.md has the commands."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_fcn.system.command_line import parse_options, run
from keras_fcn.system.files import replaced_file
from keras_fcn.system.startup import start_tensorflow

GALLERY = Path(__file__).parent / "gallery"


@dataclasses.dataclass(frozen=True)
class GalleryOptions:
    """Draws the pictures of docs/gallery.md: each output of predict.py, for drawn photographs."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_OR_MODEL")]
    """A run on the embedded data set."""


def checkered(cutout: Image.Image) -> Image.Image:
    """Lays a picture with a transparent background over squares of grey, as image editors show it."""
    rows, columns = np.indices(cutout.size[::-1]) // 8
    squares = np.where((rows + columns) % 2, 255, 214).astype(np.uint8)
    page = Image.fromarray(squares).convert("RGBA")
    page.alpha_composite(cutout)
    return page.convert("RGB")


def outlined(image: np.ndarray, table: dict) -> Image.Image:
    """Draws the outlines of a GeoJSON feature collection on a photograph."""
    from PIL import ImageDraw

    from keras_fcn.images.classes import ClassTable

    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for feature in table["features"]:
        color = ClassTable.voc().colors[feature["properties"]["id"]]
        for polygon in feature["geometry"]["coordinates"]:
            for ring in polygon:
                draw.line(ring, (255, 255, 255), 4)
                draw.line(ring, color, 2)
    return picture


def enlarged(values: np.ndarray) -> np.ndarray:
    """Returns a photograph uint8 [H, W, 3], or probabilities float32 [H, W, C], of twice the size, smooth."""
    import tensorflow as tf

    larger = tf.image.resize(values, (2 * values.shape[0], 2 * values.shape[1]), "bicubic").numpy()
    return larger if values.dtype != np.uint8 else larger.round().clip(0, 255).astype(np.uint8)


def best(predictor, pairs, count: int) -> list[int]:
    """Returns the pairs that are predicted best, by their own mean IoU, and a little by how many classes they have."""
    from keras_fcn.evaluation.metrics import SegmentationMetrics, confusion_matrix

    def score(index: int) -> float:
        label = pairs.read_label(pairs.labels[index])
        matrix = confusion_matrix(label, predictor(pairs.images[index]), pairs.classes.num_classes)
        return SegmentationMetrics.from_confusion_matrix(matrix).mean_iou + 0.07 * np.count_nonzero(matrix.sum(axis=1))

    return sorted(range(len(pairs)), key=score, reverse=True)[:count]


def grid(pictures: list[Image.Image], columns: int) -> Image.Image:
    """Returns pictures in rows, with white between them."""
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    width = max(sum(picture.width + 8 for picture in row) for row in rows) - 8
    page = Image.new("RGB", (width, sum(max(p.height for p in row) + 8 for row in rows) - 8), "white")
    y = 0
    for row in rows:
        x = 0
        for picture in row:
            page.paste(picture, (x, y))
            x += picture.width + 8
        y += max(picture.height for picture in row) + 8
    return page


def save(name: str, picture: Image.Image, colors: int = 128) -> None:
    """Writes a picture of few colours, which drawn photographs hardly have more of."""
    few = picture.quantize(colors, dither=Image.Dither.NONE)
    with replaced_file(GALLERY / name) as temporary:
        few.save(temporary, format="PNG", optimize=True)
    print(f"{name}: {few.width} x {few.height}, {(GALLERY / name).stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Predicts held-out scenes and draws each kind of output."""
    options = parse_options(GalleryOptions, sys.argv[1:])
    start_tensorflow()
    from keras_fcn.datasets import open_pairs
    from keras_fcn.drawing.palettes import picture_colors
    from keras_fcn.images.photos import read_image
    from keras_fcn.inference.predictor import Predictor
    from keras_fcn.prediction.annotations import geojson
    from keras_fcn.prediction.outputs import OUTPUTS, Prediction

    predictor, pairs = Predictor(options.model), open_pairs("toy", "val")
    photographs = [read_image(pairs.images[index]) for index in best(predictor, pairs, 4)]
    images = [enlarged(image) for image in photographs]
    scores = [enlarged(probabilities) for probabilities in predictor.probabilities(photographs)]
    masks = [probabilities.argmax(axis=-1).astype(np.uint8) for probabilities in scores]
    classes = predictor.classes

    def drawn(output: str, place: int, palette: str = "classes") -> Image.Image:
        prediction = Prediction("", images[place], masks[place], classes, picture_colors(classes, palette))
        return Image.open(io.BytesIO(OUTPUTS[output].encode(prediction)))

    save("overlays.png", grid([drawn("overlays", place) for place in range(4)], 2), colors=256)
    save("colorblind.png", grid([drawn("overlays", place, "colorblind") for place in range(2)], 2))
    save("panel.png", drawn("panels", 0))
    save("cutouts.png", grid([checkered(drawn("cutouts", place)) for place in range(2)], 2))
    save("polygons.png", grid([outlined(images[place], geojson(masks[place], classes)) for place in range(2)], 2))


if __name__ == "__main__":
    run(main)
