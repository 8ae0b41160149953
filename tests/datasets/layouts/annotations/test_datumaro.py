"""`--layout datumaro:FORMAT`: what Datumaro imports; where it is not installed, the line that says so.

Datumaro wants older packages than those of constraints.txt: the tests of the library itself run where it is installed,

    KERAS_FCN_CACHE=cache python -m pytest --noconftest tests/datasets/layouts/annotations/test_datumaro.py
"""

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from layouts import save, splits

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


class Fake:
    """What this project calls of Datumaro, with the annotations of a test; `fault` is raised when it imports."""

    def __init__(self, monkeypatch, items, labels=("background", "cat", "dog"), fault=None):
        def imported(path, name):
            if fault:
                raise fault
            return self

        self.items, (kind, names) = items, ("label", [SimpleNamespace(name=label) for label in labels])
        self.categories, self.init_cache = lambda: {kind: names}, lambda: None
        modules = {
            "datumaro": SimpleNamespace(Dataset=SimpleNamespace(import_from=imported)),
            "datumaro.components.annotation": SimpleNamespace(AnnotationType=SimpleNamespace(label=kind)),
            "datumaro.components.environment": SimpleNamespace(
                DEFAULT_ENVIRONMENT=SimpleNamespace(importers=["coco", "voc"])
            ),
            "datumaro.plugins.transforms": SimpleNamespace(
                PolygonsToMasks=SimpleNamespace(convert_polygon=lambda each, height, width: each)
            ),
        }
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "datumaro" or find(name))

    def __iter__(self):
        return iter(self.items)


def item(root, name, *annotations, subset="train", path=None):
    save(root / f"{name}.png", np.zeros((4, 5, 3), np.uint8))
    media = SimpleNamespace(path=path or str(root / f"{name}.png"), size=(4, 5))
    return SimpleNamespace(id=name, subset=subset, media=media, annotations=list(annotations))


def area(columns, label, z_order=0, kind="mask"):
    pixels = np.zeros((4, 5), bool)
    pixels[:, columns] = True
    return SimpleNamespace(type=SimpleNamespace(name=kind), image=pixels, label=label, z_order=z_order)


def test_areas_are_drawn_by_z_order_and_the_rest_is_counted(tmp_path, monkeypatch):
    shapes = area(slice(1, 3), 2, 1), area(slice(0, 2), 1, kind="polygon"), area(4, 1, kind="bbox")
    Fake(monkeypatch, [item(tmp_path, "a", *shapes), item(tmp_path, "b", shapes[0]), item(tmp_path, "c")])
    pairs = open_pairs(tmp_path, "all", "datumaro:coco")
    inspect_pairs(pairs).require_sound()
    assert (pairs.layout, pairs.classes.names) == ("Datumaro's coco", ("background", "cat", "dog"))
    np.testing.assert_array_equal(pairs.read_label(pairs.labels[0]), [[1, 2, 2, 0, 0]] * 4)
    assert [path.stem for path in pairs.unlabelled] == ["c"]
    assert str(pairs.findings[0]).endswith("has shapes that are no areas and are not drawn; in 1 image: bbox (1)")


def test_faults_of_what_datumaro_imports(tmp_path, monkeypatch):
    Fake(monkeypatch, [item(tmp_path, "a", area(1, 1)), item(tmp_path, "b", area(1, 1), path="/etc/hostname")])
    with pytest.raises(
        UserError, match=r"image 'b' of 'train': its image is no file in the folder, but '/etc/hostname'"
    ):
        inspect_pairs(open_pairs(tmp_path, "all", "datumaro:coco")).require_sound()
    Fake(monkeypatch, [item(tmp_path, "a", area(1, 1)), item(tmp_path, "b", area(1, 7))])
    with pytest.raises(UserError, match=r"image 'b' of 'train': Datumaro cannot draw its annotations \(tuple index"):
        inspect_pairs(open_pairs(tmp_path, "all", "datumaro:coco")).require_sound()
    with pytest.raises(UserError, match=r"layout='datumaro:nonsense': Datumaro has coco, voc$"):
        open_pairs(tmp_path, "all", "datumaro:nonsense")
    Fake(monkeypatch, [], fault=LookupError("broken\nin two lines"))
    with pytest.raises(UserError, match=r": Datumaro cannot read it as 'voc' \(broken\); check the format$"):
        open_pairs(tmp_path, "all", "datumaro:voc")
    Fake(monkeypatch, [])
    with pytest.raises(UserError, match="Datumaro finds no image there as 'voc'"):
        open_pairs(tmp_path, "all", "datumaro:voc")


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
