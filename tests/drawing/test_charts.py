import itertools
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from keras_fcn.drawing.charts import draw_confusion, draw_curves
from keras_fcn.images.classes import ClassTable
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.history import EpochRow

VOC = ClassTable.voc()


@pytest.fixture
def drawn(monkeypatch):
    """Returns the list of saved figures, laid out but not rendered."""
    figures = []

    def keep(figure, path, **_):
        figure.draw_without_rendering()
        figures.append(figure)
        path.write_bytes(b"")

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def numbers(axes):
    """Returns the texts in the cells, by row and column."""
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}


def test_a_confusion_matrix_in_percent_and_in_pixels(tmp_path, drawn):
    """Worked by hand: of 2,000 pixels of sky 1,500 are found; `road` is never in the ground truth; `sea` nowhere."""
    matrix = [
        [1500, 500, 0, 0, 0],
        [0, 19_960_000, 40_000, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [3, 0, 4, 0, 0],
    ]
    draw_confusion(
        tmp_path / "c.png", np.array(matrix), ClassTable.named(("sky", "$x^$", "road", "sea", "_background_"))
    )
    percent, counts = drawn[0].axes[:2]
    names = ["sky", "$x^$", "road", "_background_"]
    for axes in (percent, counts):
        assert [text.get_text() for text in axes.get_yticklabels()] == names
        assert [text.get_text() for text in axes.get_xticklabels()] == names
        assert (axes.get_ylabel(), axes.get_xlabel()) == ("ground truth", "prediction")
    assert numbers(percent) == {(0, 0): "75", (0, 1): "25", (1, 1): "100", (1, 2): "", (3, 0): "43", (3, 2): "57"}
    assert numbers(counts) == {
        (0, 0): "1.5k", (0, 1): "500", (1, 1): "20M", (1, 2): "40k", (3, 0): "3", (3, 2): "4",
    }  # fmt: skip
    assert "grey: not in the ground truth" in percent.get_title()


@pytest.mark.parametrize("num_classes", [2, 30, 60, pytest.param(150, marks=pytest.mark.slow)])
def test_names_and_numbers_of_a_confusion_matrix_do_not_touch(tmp_path, drawn, num_classes):
    rng = np.random.default_rng(0)
    names = [f"class with a name {index}" for index in range(num_classes)]
    matrix = (10 ** rng.uniform(0, 9, (num_classes, num_classes))).astype(int)
    draw_confusion(tmp_path / "c.png", matrix, ClassTable.named(names))
    figure = drawn[0]
    for axes in figure.axes[:2]:
        rows = [text.get_window_extent() for text in axes.get_yticklabels()]
        columns = [text.get_window_extent() for text in axes.get_xticklabels()]
        assert len(rows) == len(columns) == num_classes
        assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(rows))
        assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(columns))
        cell = axes.get_window_extent().width / num_classes
        texts = [text for text in axes.texts if text.get_text()]
        assert all(text.get_window_extent().width < cell for text in texts)
        assert bool(texts) == (num_classes <= 30)
        bounds = axes.get_tightbbox()
        assert bounds.x0 >= 0
        assert bounds.y0 >= 0
        assert bounds.y1 <= figure.bbox.height + 1


def test_a_confusion_matrix_of_nothing_is_a_picture(tmp_path):
    draw_confusion(tmp_path / "confusion.png", np.zeros((3, 3), int), ClassTable.numbered(3))
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.width > picture.height > 200
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.png"]


def history(epochs, names=(), absent=()):
    """Returns rows whose mean IoU is best in epoch 3."""
    rows = []
    for epoch in range(1, epochs + 1):
        metrics = [0.1 * (6 - abs(epoch - 3)) / 6] * 4
        ious = {name: math.nan if name in absent else epoch / 100 for name in names}
        rows.append(EpochRow(epoch, 3 * epoch, 1 / epoch, 0.1, 1.5, 8.0, 0.0, *metrics, ious))
    return rows


@pytest.mark.parametrize("epochs", [1, 3, 200])
def test_curves_have_a_point_an_epoch_and_whole_epochs_below(tmp_path, drawn, epochs):
    draw_curves(tmp_path / "curves.png", history(epochs), VOC)
    loss, rate, metrics = drawn[0].axes
    (line,) = loss.get_lines()
    np.testing.assert_allclose(line.get_xydata(), [(n, 1 / n) for n in range(1, epochs + 1)])
    for axes in (loss, rate, metrics):
        ticks = axes.get_xticks()
        assert len(ticks) > 0
        assert (ticks == ticks.round()).all()
    labels = [text.get_text() for text in metrics.get_legend().get_texts()]
    assert labels[-1] == f"mean IoU\nbest {10 if epochs >= 3 else 100 * 0.4 / 6:.1f} in epoch {min(epochs, 3)}"


def test_curves_of_classes_are_named_beside_them_and_differ(tmp_path, drawn):
    rows = history(4, VOC.names, absent=("cat",))
    rows[-1].val_iou["dog"] = 0.9
    rows[0].val_iou["cow"] = math.nan
    draw_curves(tmp_path / "curves.png", rows, VOC)
    axes = next(axes for axes in drawn[0].axes if axes.get_title().startswith("IoU of each class"))
    (legend,) = drawn[0].subfigs[1].legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[0] == "90.0  dog"
    assert {text.split()[-1] for text in texts} == set(VOC.names) - {"cat"}
    assert legend.get_window_extent().x0 >= axes.get_window_extent().x1
    lines = axes.get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines) == 20
    assert lines[0].get_color() == (0, 0, 0)  # background's own


def test_curves_of_a_history_read_back_and_of_many_classes(tmp_path):
    """As history.csv holds them, NaN where a class is nowhere."""
    classes = ClassTable.named([f"${index}^$ 物" for index in range(40)])
    run = RunFolder(tmp_path)
    run.write_history(history(2, classes.names, absent=classes.names[7:8]))
    draw_curves(tmp_path / "curves.png", run.read_history(), classes)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > picture.height > 500
