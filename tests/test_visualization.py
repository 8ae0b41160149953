import warnings

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from keras_fcn.labels import ClassTable
from keras_fcn.tensorboard_log import TensorBoardLog
from keras_fcn.visualization import draw_curves, draw_predictions, overlay, overlay_with_legend, side_by_side

VOC = ClassTable.voc()
IMAGE = np.full((40, 60, 3), 100, np.uint8)
CAT = np.zeros((40, 60), np.uint8)
CAT[10:30, 20:40] = 8


def test_overlays_color_the_things_and_leave_the_background():
    picture = overlay(IMAGE, CAT, VOC, alpha=0.5)
    assert picture.shape == IMAGE.shape
    assert picture[20, 30].tolist() == [82, 50, 50]  # half of (100, 100, 100), half of the cat's (64, 0, 0)
    assert picture[10, 30].tolist() == [64, 0, 0]  # its outline
    assert picture[9, 30].tolist() == [255, 255, 255]  # and a white line around that
    assert (picture[:9] == 100).all()


def test_the_legend_stands_below_the_picture_and_shows_the_colors_present():
    page = np.asarray(overlay_with_legend(IMAGE, CAT, VOC))
    assert page.shape[1] == 60
    np.testing.assert_array_equal(page[:40], overlay(IMAGE, CAT, VOC))
    legend = {tuple(color) for color in page[40:].reshape(-1, 3).tolist()}
    assert {VOC.colors[0], VOC.colors[8]} <= legend
    assert VOC.colors[12] not in legend


def test_side_by_side_is_photograph_prediction_truth():
    picture = side_by_side(IMAGE, CAT, np.full_like(CAT, 255), VOC)
    assert picture.shape == (40, 180, 3)
    assert picture[20, 30].tolist() == [100, 100, 100]
    assert picture[20, 90].tolist() == [64, 0, 0]
    assert picture[20, 150].tolist() == [224, 224, 192]


def test_panels_and_curves_are_pictures(tmp_path):
    truth = np.where(CAT == 8, 255, CAT)
    draw_predictions(tmp_path / "predictions.png", [(IMAGE, CAT, truth)] * 2, VOC)
    names = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou")
    rows = [{"epoch": n, "loss": 1 / n, "learning_rate": 0.1, **{f"val_{k}": n / 5 for k in names}} for n in (1, 2, 3)]
    draw_curves(tmp_path / "curves.png", rows)
    with Image.open(tmp_path / "predictions.png") as panel, Image.open(tmp_path / "curves.png") as curves:
        colors = {color for _, color in panel.convert("RGB").getcolors(1 << 24)}
        assert {(64, 0, 0), (224, 224, 192), (100, 100, 100)} <= colors
        assert curves.width > curves.height > 300


def test_panels_name_classes_of_whatever_name(tmp_path, monkeypatch):
    """`_background_` is labelme's, and Matplotlib would leave it out; no name makes it warn or fail."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **kw: (figures.append(figure), save(figure, *args, **kw))
    )
    names = ("_background_", "$x^", "猫 🐈", "été")
    ids = (np.arange(2400) % 4).astype(np.uint8).reshape(40, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_predictions(tmp_path / "predictions.png", [(IMAGE, ids, ids)], ClassTable.named(names))
    assert tuple(text.get_text() for text in figures[0].legends[0].get_texts()) == names


def test_tensorboard_reads_what_was_logged(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(tmp_path)
    log.scalars({"loss": 0.5, "val_mean_iou": 0.25}, step=10)
    log.scalars({"loss": 0.125, "val_mean_iou": 0.5}, step=20)
    log.image("held-out/0", IMAGE, step=20)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 0.5), (20, 0.125)]
    assert [event.value for event in events.Scalars("val_mean_iou")] == [0.25, 0.5]
    (picture,) = events.Images("held-out/0")
    assert (picture.step, picture.width, picture.height) == (20, 60, 40)
