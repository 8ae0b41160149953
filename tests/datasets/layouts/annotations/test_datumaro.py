"""`--layout datumaro:FORMAT`: what Datumaro imports; where it is not installed, the line that says so.

Datumaro wants older packages than those of constraints.txt: the tests of the library itself run where it is installed,

    KERAS_FCN_CACHE=cache python -m pytest --noconftest tests/datasets/layouts/annotations/test_datumaro.py
"""

import importlib.util

import numpy as np
import pytest
from layouts import splits

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import UserError

needs_datumaro = pytest.mark.skipif(
    importlib.util.find_spec("datumaro") is None, reason="Datumaro is not installed: requirements-datumaro.txt"
)


def test_without_datumaro_or_a_format_s_name(tmp_path, monkeypatch):
    with pytest.raises(
        UserError, match=r"layout='datumaro' needs a format's name, such as datumaro:kitti_segmentation$"
    ):
        open_pairs(tmp_path, "train", "datumaro")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = r"^layout='datumaro:kitti': needs datumaro, .*: pip install -r requirements-datumaro.txt, or pip install"
    with pytest.raises(UserError, match=message):
        open_pairs(tmp_path, "train", "datumaro:kitti")


def put(root, form, count=6):
    """A data set in one of Datumaro's formats, by Datumaro; returns its ids."""
    import datumaro
    from datumaro.components.annotation import Bbox, Mask, Polygon
    from datumaro.components.media import Image

    truth, items = {}, []
    for number in range(count):
        ids = np.zeros((20 + number, 30), np.uint8)
        ids[2:9, 3:20], ids[5:15, 10:14] = 1, 2
        annotations = [Mask(ids == 2, label=2, z_order=1), Mask(ids > 0, label=1), Bbox(0, 0, 9, 9, label=1)]
        if form != "kitti_segmentation":  # which keeps masks alone
            ids[16:19, 1:4] = 1
            annotations.append(Polygon([1, 16, 4, 16, 4, 19, 1, 19], label=1))
        name, subset = f"{number}", "train" if number < 4 else "val"
        truth[name] = ids
        photo = Image.from_numpy(data=np.full((*ids.shape, 3), 9, np.uint8), ext=".png")
        items.append(datumaro.DatasetItem(id=name, subset=subset, media=photo, annotations=annotations))
    items.append(datumaro.DatasetItem(id="alone", subset="val", media=photo))
    labels = ["background", "cat", "dog"]
    datumaro.Dataset.from_iterable(items, categories=labels).export(str(root), form, save_media=True)
    return truth


@needs_datumaro
@pytest.mark.parametrize("form", ["datumaro", "coco_instances", "kitti_segmentation"])
def test_masks_are_those_that_datumaro_exported(tmp_path, form):
    truth = put(tmp_path, form)
    assert splits(tmp_path, layout=f"datumaro:{form}") == [{"0", "1", "2", "3"}, {"4", "5"}]
    for split in ("train", "val"):
        pairs = open_pairs(tmp_path, split, f"datumaro:{form}")
        inspect_pairs(pairs).require_sound()
        assert pairs.classes.names[:3] == ("background", "cat", "dog")
        for image, label in zip(pairs.images, pairs.labels):
            np.testing.assert_array_equal(pairs.read_label(label), truth[image.stem])
    assert [path.stem for path in pairs.unlabelled] == ["alone"]


@needs_datumaro
def test_what_datumaro_cannot_read_is_one_line(tmp_path):
    put(tmp_path, "datumaro")
    with pytest.raises(UserError, match=r"layout='datumaro:nonsense': Datumaro has ade20k2017, .*, yolo$"):
        open_pairs(tmp_path, "train", "datumaro:nonsense")
    with pytest.raises(UserError, match=r"Datumaro cannot read it as 'voc' \(.*\); check the format$") as caught:
        open_pairs(tmp_path, "train", "datumaro:voc")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"has no split 'dev'; splits there: train, val$"):
        open_pairs(tmp_path, "dev", "datumaro:datumaro")
