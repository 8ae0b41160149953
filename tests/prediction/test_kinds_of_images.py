"""Images of every kind through predict.py, and what it remarks about them."""

import numpy as np
import pytest
from kinds_of_files import PHOTOS, shown, write_photo
from PIL import Image
from test_photos import VOC, cheap_ids, contents, make_photos, tasks_of

from keras_fcn.commands import predict as predict_module
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.photos import predict_all


@pytest.fixture
def predictor():
    return Predictor(cheap_ids, VOC)


def test_every_kind_of_image_is_predicted_as_viewers_show_it(predictor, tmp_path):
    photos = [write_photo(tmp_path, name) for name in PHOTOS]
    assert predict_all(predictor, tasks_of(tmp_path, tmp_path / "out", "masks")) == {}
    for photo, mask in zip(sorted(photos), sorted((tmp_path / "out/masks").iterdir()), strict=True):
        expected = np.minimum(shown(photo)[..., 0] // 13 + 1, 20)
        np.testing.assert_array_equal(np.asarray(Image.open(mask)), expected, err_msg=mask.name)


def test_cut_outs_without_a_background_are_refused_before_anything_is_predicted(tmp_path, monkeypatch, capsys):
    photos = make_photos(tmp_path / "in", 2)
    model = Predictor(cheap_ids, ClassTable.named(["left", "right"]))
    monkeypatch.setattr(Predictor, "open", lambda *_: model)
    (tmp_path / "model.onnx").touch()
    words = [
        "predict.py",
        str(tmp_path / "model.onnx"),
        str(photos),
        "--out",
        str(tmp_path / "out"),
        "--write",
        "masks",
        "cutouts",
    ]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(UserError, match="no class named background to cut away; the classes are left, right"):
        predict_module.main()
    assert not (tmp_path / "out").exists()


def test_images_that_should_be_looked_at_are_predicted_and_remarked(predictor, tmp_path, monkeypatch, capsys):
    """Values of 12 bits in files of 16, of which the lower half is read as 0 to 15; and a file of two pages."""
    photos = make_photos(tmp_path / "in", 1)
    for number in (1, 3):
        Image.fromarray(np.full((9, 7), 3000, np.uint16)).save(photos / f"{number:04d}.png")
    page = Image.fromarray(np.full((9, 7), 30, np.uint8))
    page.save(photos / "0002.tif", save_all=True, append_images=[page])
    found = predict_all(predictor, tasks_of(photos, tmp_path / "out", "masks"))
    assert list(found) == [1, 2, 3]
    assert len(contents(tmp_path / "out")) == 4
    monkeypatch.setattr(predict_module, "_predict", lambda *_: [*found.values()])
    monkeypatch.setattr("sys.argv", ["predict.py", "model", str(photos), "--out", str(tmp_path / "other")])
    assert predict_module.main() == 0
    output = capsys.readouterr()
    assert output.out.startswith("4 of 4 segmented")
    assert output.err == (
        f"note: {photos}/0001.png: is nearly black: no value of 16 bits is above 3,071 of 65,535, which is read as 11 "
        "of 255; multiply by 16 if these are values of 12 bits (and 1 more image)\n"
        f"note: {photos}/0002.tif: holds 2 pictures, of which the first is read; save the others as files "
        "of their own if they are meant\n"
    )
