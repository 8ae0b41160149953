"""The output of the real tools is read. They run in their own environments, which variables name."""

import os
import subprocess

import numpy as np
import pytest
from conftest import ROOT

from keras_fcn.datasets import find_layout, inspect_pairs, open_pairs

DATUMARO = os.environ.get("KERAS_FCN_DATUMARO_PYTHON")
LABELME = os.environ.get("KERAS_FCN_LABELME_PYTHON")
LABELME2VOC = os.environ.get("KERAS_FCN_LABELME2VOC")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datumaro")
    subprocess.run([DATUMARO, str(ROOT / "tests/extras/export_by_datumaro.py"), str(folder)], check=True)
    return folder


@pytest.mark.skipif(DATUMARO is None, reason="KERAS_FCN_DATUMARO_PYTHON names no Python that has Datumaro")
@pytest.mark.parametrize("kind", ["plain", "colored"])
def test_what_cvats_exporter_writes_is_read_to_the_painted_ids(exported, kind):
    root = exported / kind
    assert find_layout(root) == "cvat"
    pairs = [open_pairs(root, split) for split in ("train", "val")]
    with np.load(exported / "truth.npz") as truth:
        assert sorted(name for part in pairs for name in part.names) == sorted(truth.files)
        for part in pairs:
            assert part.classes.names == ("background", "cat", "猫 🐈", "garden chair")
            assert inspect_pairs(part).findings == ()
            for name, label in zip(part.names, part.labels):
                np.testing.assert_array_equal(part.read_label(label), truth[name])
    expected = (70, 70, 70) if kind == "colored" else (128, 128, 0)
    assert pairs[0].classes.colors[3] == expected


@pytest.mark.skipif(
    LABELME is None or LABELME2VOC is None,
    reason="KERAS_FCN_LABELME_PYTHON names no Python that has labelme, KERAS_FCN_LABELME2VOC no labelme2voc.py",
)
def test_what_labelmes_script_writes_is_read_to_the_ids_that_it_keeps(tmp_path):
    subprocess.run([LABELME, str(ROOT / "tests/extras/export_by_labelme.py"), str(tmp_path), LABELME2VOC], check=True)
    root = tmp_path / "data"
    assert find_layout(root) == "labelme"
    pairs = [open_pairs(root, split) for split in ("train", "val")]
    assert sorted(name for part in pairs for name in part.names) == [f"photo {index}" for index in range(6)]
    for part in pairs:
        assert part.classes.names == ("_background_", "cat", "猫 🐈", "garden chair")
        assert inspect_pairs(part).findings == ()
        for name, label in zip(part.names, part.labels):
            ids = np.load(root / f"SegmentationClassNpy/{name}.npy")
            assert set(np.unique(ids)) == {-1, 0, 1, 2, 3}
            np.testing.assert_array_equal(part.read_label(label), np.where(ids < 0, 255, ids))
