"""Once round, as docs/how_to/round_the_circle.md goes: predicted, ranked, corrected by a stand-in, trained again."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from conftest import Call
from tiny_runs import silent, tiny

from keras_fcn.datasets import find_layout, open_pairs
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import read_label
from keras_fcn.prediction.annotations.labelme import label_list, labelme
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.runs.config import TrainConfig
from keras_fcn.training.train import run_training

pytest.importorskip("rasterio", reason="Rasterio is not installed: pip install -r requirements-extra.txt")
VOC = ClassTable.voc()


def by_hand(toy, name, path):
    """Writes what a person would draw."""
    ids = read_label(toy / f"SegmentationClass/{name}.png", VOC)
    path.parent.mkdir(exist_ok=True)
    image = f"{'../' * (path.parent.name == 'labelme')}{name}.jpg"
    path.write_text(json.dumps(labelme(image, np.where(ids == 255, 0, ids), VOC, 0)))


def test_the_whole_circle(toy, trained, tmp_path, monkeypatch, no_pictures, eager):
    photos = shutil.copytree(toy / "JPEGImages", tmp_path / "photos")
    names = sorted(path.stem for path in photos.iterdir())
    (photos / "labels.txt").write_bytes(label_list(VOC, AnnotationStyle()))
    for name in names[:5]:
        by_hand(toy, name, photos / f"{name}.json")

    unlabelled = "".join(f"{photos / name}.jpg\n" for name in names[5:])
    monkeypatch.setattr("sys.stdin", io.StringIO(unlabelled))
    ranking = Call("predict.py", trained, "-", "--out", tmp_path / "ranked", "--write", "to_label", "--flip")
    assert ranking.status == 0, ranking.err
    rows = list(csv.DictReader((tmp_path / "ranked/to_label.csv").open()))
    assert sorted(row["image"] for row in rows) == unlabelled.splitlines()

    worst = [row["image"] for row in rows[:3]]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(worst)))
    words = ("--out", photos, "--write", "labelme", "--min-area", "20")
    assert Call("predict.py", trained, "-", *words).status == 0
    chosen = sorted(path.stem for path in (photos / "labelme").glob("*.json"))
    assert [f"{photos / name}.jpg" for name in chosen] == sorted(worst)
    for name in chosen:
        content = json.loads((photos / f"labelme/{name}.json").read_text())
        assert (photos / "labelme" / content["imagePath"]).samefile(photos / f"{name}.jpg")
        by_hand(toy, name, photos / f"labelme/{name}.json")

    assert find_layout(photos) == "labelme_json"
    pairs = open_pairs(photos, "all")
    assert sorted(name.rpartition("/")[2] for name in pairs.names) == sorted([*names[:5], *chosen])
    settings: TrainConfig = tiny(photos, epochs=1, batch_size=2, init_from=str(trained))
    run = run_training(settings, tmp_path / "second", report=silent)
    assert len(run.training_images()) == 6
