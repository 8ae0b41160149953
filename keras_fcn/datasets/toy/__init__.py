"""The embedded data set: small synthetic scenes, drawn in VOC's layout, with VOC's classes in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.datasets.toy.scenes import draw_scene
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import write_label
from keras_fcn.system.files import new_folder

__all__ = ["TOY_IMAGES", "draw_scene", "draw_toy_dataset"]

TOY_IMAGES = {"train": 640, "val": 60}
"""Number of images of each split."""


def draw_toy_dataset(root: str | Path, images: dict[str, int] | None = None, seed: int = 0, scale: int = 1) -> Path:
    """Draws the data set into `root` in VOC's layout, unless it already exists.

    Args:
        root: The folder to make; it appears under this name only when it is complete.
        images: Images per split list; `TOY_IMAGES` if not given.
        seed: Seed of the scenes.
        scale: As in `draw_scene`.

    Returns:
        `root`.
    """
    root = Path(root)
    if root.exists():
        return root
    try:
        _draw(root, images or TOY_IMAGES, seed, scale)
    except OSError:
        if not root.exists():  # or another process has drawn it meanwhile
            raise
    return root


def _draw(root: Path, images: dict[str, int], seed: int, scale: int) -> None:
    classes = ClassTable.voc()
    with new_folder(root) as folder:
        for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (folder / name).mkdir(parents=True)
        (folder / "classes.txt").write_text("\n".join((*classes.names, "")), encoding="utf-8")
        for number, (split, count) in enumerate(images.items()):
            names = [f"{split}_{index:04d}" for index in range(count)]
            for index, name in enumerate(names):
                image, label = draw_scene(np.random.default_rng([seed, number, index]), scale)
                Image.fromarray(image).save(folder / "JPEGImages" / f"{name}.jpg", quality=92)
                write_label(folder / "SegmentationClass" / f"{name}.png", label, classes)
            (folder / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
