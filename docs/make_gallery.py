"""Draws the pictures of `docs/gallery`; docs/explanation/gallery.md has the commands."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.files import replaced_file
from keras_fcn.system.startup import start_tensorflow

GALLERY = Path(__file__).parent / "gallery"

SCALE = 4
"""At which scenes are drawn, shown and learned."""

SCENES, SEED = 60, 1
"""How many scenes are looked at, of a seed that no training scene has."""

HERO = (96 * SCALE, 112 * SCALE)
"""Height and width of the hero's scenes in pixels: the least that a scene has."""

GAP = 16


@dataclasses.dataclass(frozen=True)
class GalleryOptions:
    """Draws the pictures of docs/explanation/gallery.md: predictions for scenes that the network never saw."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_OR_MODEL")]
    """A run on scenes of `draw_toy_dataset(..., scale=4)`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A scene and its prediction: uint8 [H, W, 3], uint8 [H, W], and how well they agree with the ground truth."""

    image: np.ndarray
    ids: np.ndarray
    mean_iou: float


def predicted_scenes(predictor) -> list[Scene]:
    """Returns all scenes, the best predicted first."""
    from keras_fcn.datasets.toy import draw_scene
    from keras_fcn.evaluation.metrics import SegmentationMetrics, confusion_matrix

    scenes = []
    for index in range(SCENES):
        image, label = draw_scene(np.random.default_rng([SEED, index]), SCALE)
        ids = predictor(image)
        metrics = SegmentationMetrics.from_confusion_matrix(confusion_matrix(label, ids, predictor.classes.num_classes))
        scenes.append(Scene(image, ids, float(metrics.mean_iou)))
    return sorted(scenes, key=lambda scene: scene.mean_iou, reverse=True)


def varied(scenes: list[Scene], count: int) -> list[Scene]:
    """Returns scenes of the better half, each of which adds the most classes to those before, several at once first."""
    better, chosen, shown = scenes[: len(scenes) // 2], [], set()
    for _ in range(count):
        best = max(better, key=lambda scene: (len({*np.unique(scene.ids)} - shown), len(np.unique(scene.ids))))
        better.remove(best)
        chosen.append(best)
        shown |= {*np.unique(best.ids)}
    return chosen


def cropped(scene: Scene) -> Scene:
    """Returns the part of a scene, as large as `HERO`, with most objects in it."""
    height, width = HERO
    corners = [
        (top, left)
        for top in range(0, scene.ids.shape[0] - height + 1, 8)
        for left in range(0, scene.ids.shape[1] - width + 1, 8)
    ]
    top, left = max(corners, key=lambda at: np.count_nonzero(scene.ids[at[0] : at[0] + height, at[1] : at[1] + width]))
    rows, columns = slice(top, top + height), slice(left, left + width)
    return dataclasses.replace(scene, image=scene.image[rows, columns], ids=scene.ids[rows, columns])


def hero(scenes: list[Scene], classes) -> Image.Image:
    """Draws images, masks and overlays in three rows, with a legend below."""
    from keras_fcn.drawing.overlays import above, legend, overlay

    rows = [
        [scene.image for scene in scenes],
        [classes.palette()[scene.ids] for scene in scenes],
        [overlay(scene.image, scene.ids, classes) for scene in scenes],
    ]
    page = grid([Image.fromarray(picture) for row in rows for picture in row], len(scenes))
    ids = np.concatenate([scene.ids.ravel() for scene in scenes])
    present = [(int(index), float(np.mean(ids == index))) for index in np.unique(ids)]
    return above(page, legend(present, classes, page.width, size=34))


def checkered(cutout: Image.Image) -> Image.Image:
    """Lays a picture with a transparent background over squares of grey, as image editors show it."""
    rows, columns = np.indices(cutout.size[::-1]) // 16
    squares = np.where((rows + columns) % 2, 255, 214).astype(np.uint8)
    page = Image.fromarray(squares).convert("RGBA")
    page.alpha_composite(cutout)
    return page.convert("RGB")


def outlined(scene: Scene, table: dict, classes) -> Image.Image:
    """Draws the outlines of a GeoJSON feature collection on an image."""
    picture = Image.fromarray(scene.image)
    draw = ImageDraw.Draw(picture)
    for feature in table["features"]:
        color = classes.colors[feature["properties"]["id"]]
        for polygon in feature["geometry"]["coordinates"]:
            for ring in polygon:
                draw.line(ring, (255, 255, 255), 7)
                draw.line(ring, color, 3)
    return picture


def grid(pictures: list[Image.Image], columns: int) -> Image.Image:
    """Returns pictures in rows, with white between them."""
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    width = max(sum(picture.width + GAP for picture in row) for row in rows) - GAP
    page = Image.new("RGB", (width, sum(max(p.height for p in row) + GAP for row in rows) - GAP), "white")
    y = 0
    for row in rows:
        x = 0
        for picture in row:
            page.paste(picture, (x, y))
            x += picture.width + GAP
        y += max(picture.height for picture in row) + GAP
    return page


def save(name: str, picture: Image.Image) -> None:
    """Writes a picture as WebP: at this quality its edges stay sharp."""
    with replaced_file(GALLERY / name) as temporary:
        picture.save(temporary, format="WEBP", quality=90, method=6)
    print(f"{name}: {picture.width} x {picture.height}, {(GALLERY / name).stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Predicts scenes and draws each kind of output."""
    options = parse_options(GalleryOptions, sys.argv[1:])
    start_tensorflow()
    from keras_fcn.drawing.palettes import picture_colors
    from keras_fcn.inference.predictor import Predictor
    from keras_fcn.prediction.annotations.geojson import geojson
    from keras_fcn.prediction.outputs import OUTPUTS, Prediction

    predictor = Predictor.open(options.model)
    classes, scenes = predictor.classes, predicted_scenes(predictor)
    print(f"mean of the scenes' mean IoU: {np.mean([scene.mean_iou for scene in scenes]):.3f}")
    scenes = varied(scenes, 4)

    def drawn(output: str, scene: Scene, palette: str = "classes") -> Image.Image:
        prediction = Prediction("", scene.image, scene.ids, classes, picture_colors(classes, palette))
        return Image.open(io.BytesIO(OUTPUTS[output].encode(prediction)))

    save("hero.webp", hero([cropped(scene) for scene in scenes], picture_colors(classes, "colorblind")))
    save("overlays.webp", grid([drawn("overlays", scene) for scene in scenes], 2))
    save("colorblind.webp", grid([drawn("overlays", scene, "colorblind") for scene in scenes[:2]], 2))
    save("panel.webp", drawn("panels", scenes[0]))
    save("cutouts.webp", grid([checkered(drawn("cutouts", scene)) for scene in scenes[:2]], 2))
    save("polygons.webp", grid([outlined(scene, geojson(scene.ids, classes), classes) for scene in scenes[:2]], 2))


if __name__ == "__main__":
    run_command(main)
