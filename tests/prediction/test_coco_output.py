"""One COCO file of all images, those of earlier calls included."""

import json
import shutil

import numpy as np
import pytest
from test_annotations import needs_pycocotools, needs_rasterio
from test_photos import VOC, cheap_ids, expected_ids, make_photos, tasks_of

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.annotations.beside import write_merged
from keras_fcn.prediction.annotations.coco import coco
from keras_fcn.prediction.photos import predict_all
from keras_fcn.prediction.plan import plan
from keras_fcn.prediction.sources import find_images


@pytest.fixture
def predictor():
    return Predictor(cheap_ids, VOC)


@needs_pycocotools
def test_one_coco_file_has_the_images_of_earlier_calls_too(predictor, tmp_path):
    first, second = make_photos(tmp_path / "first", 2), make_photos(tmp_path / "second", 3)
    (second / "0000.png").unlink()
    (second / "0001.png").unlink()
    out = tmp_path / "out"
    (out / "coco/clip").mkdir(parents=True)
    frame = coco("clip.mp4/000000", np.zeros((2, 2), np.uint8), VOC)
    (out / "coco/clip/000000.json").write_text(json.dumps(frame))
    for photos in (first, second):
        planned = plan(find_images([str(photos)]), str(out), ["coco"])
        assert predict_all(predictor, planned.left) == {}
        assert write_merged(str(out), ["coco"], planned) == []
        (out / "coco.json").rename(tmp_path / "coco.json")
    table = json.loads((tmp_path / "coco.json").read_text())
    assert [image["file_name"] for image in table["images"]] == ["0002.png", "0000.png", "0001.png"]
    pixels = sum(annotation["area"] for annotation in table["annotations"])
    assert pixels == sum(
        (expected_ids(folder / f"000{n}.png") > 0).sum() for n, folder in ((0, first), (1, first), (2, second))
    )
    (out / "coco/0000.json").write_text(
        json.dumps(coco("0000.png", np.zeros((2, 2), np.uint8), ClassTable.numbered(3)))
    )
    (out / "coco/0001.json").write_text("[]")
    (line,) = write_merged(str(out), ["coco"], planned)
    assert len(json.loads((out / "coco.json").read_text())["images"]) == 1
    assert line == f"{out}/coco.json: leaves out 2 files of other classes in {out}/coco"


@needs_rasterio
@needs_pycocotools
def test_polygons_of_all_images_are_in_one_file_also_those_of_earlier_runs(predictor, tmp_path):
    photos = make_photos(tmp_path / "in", 4)
    (photos / "0002.png").write_text("not an image")
    for existing in ("refuse", "skip"):
        planned = plan(find_images([str(photos)]), str(tmp_path / "out"), ["coco", "geojson"], existing)
        assert list(predict_all(predictor, planned.left)) == [{"refuse": 2, "skip": 0}[existing]]
        assert write_merged(str(tmp_path / "out"), ["coco"], planned) == []
        table = json.loads((tmp_path / "out/coco.json").read_text())
        assert [image["file_name"] for image in table["images"]] == ["0000.png", "0001.png", "0003.png"]
        pixels = sum(annotation["area"] for annotation in table["annotations"])
        assert pixels == sum((expected_ids(photos / f"000{n}.png") > 0).sum() for n in (0, 1, 3))
    shutil.rmtree(tmp_path / "out/coco")
    with pytest.raises(UserError, match=r"coco\.json: exists already"):
        tasks_of(photos, tmp_path / "out", "coco")
