"""Properties of every class table and data set, checked on random examples with a fixed seed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_fcn.datasets.splits import VAL_FRACTION, split_of
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.images.masks import read_color_label, write_label

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=40)
settings.load_profile("repeatable")

HERE = Path("data")
colors = st.tuples(*[st.integers(0, 255)] * 3)
names = st.lists(st.text(min_size=1), min_size=2, max_size=60, unique=True)


@st.composite
def tables(draw):
    """Draws a class table of distinct colours, and ids of its classes and void."""
    chosen = draw(st.lists(colors, min_size=2, max_size=40, unique=True))
    classes = ClassTable(tuple(f"c{index}" for index in range(len(chosen) - 1)), tuple(chosen[1:]), chosen[0])
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.array([*range(classes.num_classes), VOID_LABEL], np.uint8)
    return classes, np.random.default_rng(seed).choice(values, (7, 9))


@given(tables())
def test_ids_to_colors_and_back(drawn):
    classes, ids = drawn
    rgb = classes.to_rgb(ids)
    for index, color in [*enumerate(classes.colors), (VOID_LABEL, classes.void_color)]:
        assert (rgb[ids == index] == color).all()
    np.testing.assert_array_equal(classes.to_ids(rgb), ids)


@given(tables())
def test_masks_written_and_read_by_colour(tmp_path_factory, drawn):
    classes, ids = drawn
    path = tmp_path_factory.getbasetemp() / "drawn.png"
    write_label(path, ids, classes)
    np.testing.assert_array_equal(read_color_label(path, classes), ids)


@given(tables(), colors)
def test_a_colour_is_known_or_an_error(drawn, color):
    classes, _ = drawn
    pixel = np.array([[color]], np.uint8)
    if color in (*classes.colors, classes.void_color):
        np.testing.assert_array_equal(classes.to_rgb(classes.to_ids(pixel)), pixel)
    else:
        with pytest.raises(UserError, match="belongs to no class"):
            classes.to_ids(pixel)


@given(tables())
def test_a_table_survives_json(drawn):
    classes, _ = drawn
    assert ClassTable.from_dict(classes.to_dict()) == classes


@given(names)
def test_a_split_loses_and_doubles_nothing(names):
    train, val = split_of(names, "train", HERE), split_of(names, "val", HERE)
    assert sorted(train + val) == sorted(names)
    assert train
    assert val
    assert abs(len(val) - VAL_FRACTION * len(names)) <= 1
    assert [name for name in names if name in set(train)] == train


@given(names, st.randoms(use_true_random=False))
def test_a_split_does_not_depend_on_the_order(names, random):
    shuffled = random.sample(names, len(names))
    for split in ("train", "val", "all"):
        assert set(split_of(shuffled, split, HERE)) == set(split_of(names, split, HERE))


@given(names, st.text(min_size=1))
def test_a_name_added_moves_at_most_one_other(names, added):
    before = set(split_of(names, "val", HERE))
    after = set(split_of([*names, added], "val", HERE)) if added not in names else before
    assert len((before ^ after) - {added}) <= 1
