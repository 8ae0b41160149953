"""Writes a data set as CVAT does: by Datumaro, whose exporter is behind CVAT's "Segmentation mask 1.1".

Runs in an environment of its own, since Datumaro wants older packages than TensorFlow:

    python -m venv datumaro && datumaro/bin/pip install datumaro
    datumaro/bin/python tests/extras/export_by_datumaro.py FOLDER

FOLDER/colored has colours of its own, FOLDER/plain leaves them to Datumaro; truth.npz holds the class ids.
"""

import sys
from pathlib import Path

import datumaro
import numpy as np
from datumaro.components.annotation import AnnotationType, LabelCategories, Mask, MaskCategories
from datumaro.components.media import Image

LABELS = ["background", "cat", "猫 🐈", "garden chair"]
COLORS = {0: (0, 0, 0), 1: (255, 0, 0), 2: (10, 200, 30), 3: (70, 70, 70)}


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    truth, items = {}, []
    for index in range(6):
        ids = np.zeros((40 + index, 50 - index), np.uint8)
        ids[5:20, 5:25], ids[22:30, 10 : 40 - index], ids[32:38, 3:9] = 1, 2, 3
        name = f"photo {index}"
        truth[name] = ids
        photo = Image.from_numpy(data=rng.integers(0, 255, (*ids.shape, 3), np.uint8))
        masks = [Mask(ids == label, label=label) for label in (1, 2, 3)]
        items.append(datumaro.DatasetItem(id=name, subset="default", media=photo, annotations=masks))
    categories = {AnnotationType.label: LabelCategories.from_iterable(LABELS)}
    for kind, more in (("plain", {}), ("colored", {AnnotationType.mask: MaskCategories(COLORS)})):
        dataset = datumaro.Dataset.from_iterable(items, categories={**categories, **more})
        dataset.export(str(folder / kind), "voc_segmentation", save_media=True, label_map="source", apply_colormap=True)
    np.savez(folder / "truth.npz", **truth)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
