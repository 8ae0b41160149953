"""Overlays, panels, cut-outs and legends: positions, colours and readability."""

import numpy as np
import pytest
from PIL import Image

from keras_fcn.drawing import fonts
from keras_fcn.drawing.overlays import cutout, labelled_overlay, legend, overlay, overlay_with_legend, panel
from keras_fcn.drawing.palettes import OKABE_ITO, appearances, colorblind_colors, picture_colors, text_color
from keras_fcn.images.classes import ClassTable, voc_palette

VOC = ClassTable.voc()
IMAGE = np.full((40, 60, 3), 100, np.uint8)
CAT = np.zeros((40, 60), np.uint8)
CAT[10:30, 20:40] = 8


def test_overlays_color_the_objects_and_leave_the_background():
    picture = overlay(IMAGE, CAT, VOC, alpha=0.5)
    assert picture.shape == IMAGE.shape
    assert picture[20, 30].tolist() == [82, 50, 50]  # half of (100, 100, 100), half of the cat's (64, 0, 0)
    assert picture[10, 30].tolist() == [64, 0, 0]  # its outline
    assert picture[9, 30].tolist() == [255, 255, 255]  # and a white line around that
    assert (picture[:9] == 100).all()


def test_the_legend_stands_below_the_picture_and_shows_the_colors_present():
    page = np.asarray(overlay_with_legend(IMAGE, CAT, VOC))
    np.testing.assert_array_equal(page[:40, :60], labelled_overlay(IMAGE, CAT, VOC))
    legend = {tuple(color) for color in page[40:].reshape(-1, 3).tolist()}
    assert {VOC.colors[0], VOC.colors[8]} <= legend
    assert VOC.colors[12] not in legend


def outlines_one_by_one(ids, classes):
    """Returns the expected outlines of a small image, pixel by pixel: {(row, column): possible colours}."""
    found = {}
    for (row, column), index in np.ndenumerate(ids):
        for other_row, other_column in ((row, column + 1), (row, column - 1), (row + 1, column), (row - 1, column)):
            inside = 0 <= other_row < ids.shape[0] and 0 <= other_column < ids.shape[1]
            if inside and ids[other_row, other_column] != index:
                own = classes.colors[index]
                color = text_color(classes.colors[ids[other_row, other_column]]) if index == 0 else own
                found.setdefault((row, column), set()).add(color)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_outlines_are_where_neighbours_differ_and_nowhere_else(seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 4, rng.integers(1, 8, 2), np.uint8) * 5
    image = np.full((*ids.shape, 3), 100, np.uint8)
    picture, expected = overlay(image, ids, VOC, alpha=0), outlines_one_by_one(ids, VOC)
    for position in np.ndindex(ids.shape):
        color = tuple(picture[position].tolist())
        assert color in expected.get(position, {(100, 100, 100)})


def test_outlines_of_large_images_are_wider_but_stay_inside():
    ids = np.zeros((1400, 3), np.uint8)
    ids[:10], ids[1390:] = 8, 12
    picture = overlay(np.full((1400, 3, 3), 100, np.uint8), ids, VOC, alpha=0)
    rows = picture[:, 1].tolist()
    assert rows[6:14] == [[100] * 3, *[[64, 0, 0]] * 3, *[[255] * 3] * 3, [100] * 3]
    ids[:] = np.arange(3)  # one pixel wide: wider lines must not run over their neighbours
    picture = overlay(np.zeros((1400, 3, 3), np.uint8), ids, VOC, alpha=0)
    assert {tuple(row) for row in picture[:, 1].tolist()} == {VOC.colors[1]}
    assert {tuple(row) for row in picture[:, 2].tolist()} == {VOC.colors[2]}


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 2)])
@pytest.mark.parametrize("draw", [labelled_overlay, overlay_with_legend, panel, cutout])
def test_pictures_of_any_size_can_be_drawn(shape, draw):
    ids = (np.arange(np.prod(shape)).reshape(shape) % 21).astype(np.uint8)
    assert draw(np.zeros((*shape, 3), np.uint8), ids, VOC).width >= shape[1]


def test_a_name_is_drawn_on_its_object():
    ids = np.zeros((300, 400), np.uint8)
    ids[50:250, 200:380] = 15
    image = np.zeros((300, 400, 3), np.uint8)
    changed = (np.asarray(labelled_overlay(image, ids, VOC)) != overlay(image, ids, VOC)).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert 130 < rows.mean() < 170
    assert 250 < columns.mean() < 330
    assert (ids[changed] == 15).all()


def test_a_name_that_would_hide_its_object_is_drawn_beside_it():
    ids = np.zeros((300, 400), np.uint8)
    ids[140:156, 200:236] = 10
    image = np.zeros((300, 400, 3), np.uint8)
    changed = (np.asarray(labelled_overlay(image, ids, VOC)) != overlay(image, ids, VOC)).any(axis=-1)
    assert changed.any()
    assert (changed & (ids == 10)).sum() < 0.2 * (ids == 10).sum()


def test_the_legend_stays_within_its_width_and_shows_every_class():
    present = [(index, 1 / 21) for index in range(21)]
    picture = legend(present, VOC, 200)
    assert picture.width == 200
    shown = {color for _, color in picture.getcolors(1 << 24)}
    assert set(VOC.colors) <= shown


def test_the_legend_of_a_small_picture_has_whole_names():
    """As long as that of a large one, which nothing cuts; the page around the picture is white."""
    present = [(0, 0.9), (11, 0.1)]  # background, and diningtable, the longest

    def inks(picture):
        return (np.asarray(picture) != 255).any(axis=-1).sum()

    small, large = legend(present, VOC, 64, 12), legend(present, VOC, 2000, 12)
    assert small.width > 64
    assert inks(small) == inks(large)
    page = np.asarray(overlay_with_legend(IMAGE[:20, :30], CAT[:20, :30], VOC))
    assert page.shape[1] > 30
    assert (page[:20, 30:] == 255).all()


def test_cut_outs_keep_the_objects_and_the_colours_of_the_background():
    picture = np.asarray(cutout(IMAGE, CAT, VOC))
    np.testing.assert_array_equal(picture[..., :3], IMAGE)
    np.testing.assert_array_equal(picture[..., 3] == 255, CAT == 8)
    with pytest.raises(ValueError, match="no class named background"):
        cutout(IMAGE, CAT, ClassTable.named(["left", "right"]))


def test_panels_stand_side_by_side_or_one_above_the_other():
    assert panel(IMAGE, CAT, VOC).width > 3 * 60
    wide = panel(np.zeros((20, 300, 3), np.uint8), np.zeros((20, 300), np.uint8), VOC)
    assert wide.width == 300
    assert wide.height > 60


def least_distances(colors):
    """Returns the least OKLab distance between two of the colours, for each of the four kinds of vision."""
    seen = appearances(np.array(colors))
    pairs = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1)
    first, second = np.triu_indices(len(colors), 1)
    return pairs[:, first, second].min(axis=1)


def test_colours_are_more_distinct_with_colour_blindness():
    ours, vocs = (least_distances(colors) for colors in (colorblind_colors(21), VOC.colors))
    assert (ours > 0.05).all()  # 0.02 is just noticeable
    assert (ours > 2 * vocs).all()
    assert colorblind_colors(21)[:8] == OKABE_ITO
    assert len(set(colorblind_colors(254))) == 254


def test_simulated_colour_blindness_agrees_with_the_paper():
    """Grey stays grey in every vision; to protanopes pure red is dark."""
    greys = appearances(np.array([[v] * 3 for v in (0, 90, 255)]))
    np.testing.assert_allclose(greys - greys[:1], 0, atol=2e-4)
    np.testing.assert_allclose(greys[0, 2], [1, 0, 0], atol=1e-4)
    red = appearances(np.array([[255, 0, 0]]))[:, 0, 0]  # lightness
    assert red[1] < 0.9 * red[0]
    assert red[0] == pytest.approx(0.628, abs=1e-3)  # Ottosson's own figure for sRGB red


def test_masks_keep_their_colours_whatever_pictures_show():
    shown = picture_colors(VOC, "colorblind")
    assert (shown.names, shown.void_color) == (VOC.names, VOC.void_color)
    assert shown.colors == colorblind_colors(21)
    assert picture_colors(VOC) == VOC


def test_text_is_black_or_white_by_the_contrast_ratio():
    def luminance(color):
        values = [value / 255 for value in color]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for color in voc_palette().tolist():
        light = luminance(color)
        white_is_better = 1.05 / (light + 0.05) > (light + 0.05) / 0.05
        assert text_color(tuple(color)) == ((255, 255, 255) if white_is_better else (0, 0, 0))


def test_names_of_other_scripts_get_a_font_that_has_them():
    assert fonts.font_for("cat", 20).getname()[0] == "Aileron"
    assert fonts.font_for("кот", 20).getname()[0] != "Aileron"
    mask = fonts.font_for("кот", 20).getmask("к")
    assert bytes(mask) != bytes(fonts.font_for("кот", 20).getmask("\U000f0000"))  # the box of a missing letter
    names = ClassTable.named(["background", "кот 猫"])
    assert isinstance(labelled_overlay(IMAGE, (CAT > 0).astype(np.uint8), names), Image.Image)


def test_names_do_not_hide_each_other():
    """Six thin objects above each other: each name's box is complete, so none is drawn over another."""
    ids = np.zeros((200, 300), np.uint8)
    for number in range(6):
        ids[90 + 4 * number : 94 + 4 * number, 100:200] = number + 1
    image = np.zeros((200, 300, 3), np.uint8)
    alone = [np.where(ids == number + 1, ids, 0).astype(np.uint8) for number in range(6)]
    named = np.asarray(labelled_overlay(image, ids, VOC))
    fields = 0
    for number, only in enumerate(alone):
        changed = (np.asarray(labelled_overlay(image, only, VOC)) != overlay(image, only, VOC)).any(axis=-1)
        shown = (named == VOC.colors[number + 1]).all(axis=-1) & (named != overlay(image, ids, VOC)).any(axis=-1)
        expected = (np.asarray(labelled_overlay(image, only, VOC)) == VOC.colors[number + 1]).all(axis=-1) & changed
        fields += shown.any()
        assert not shown.any() or shown.sum() >= 0.8 * expected.sum()
    assert fields >= 4
