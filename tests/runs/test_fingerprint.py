"""A run is resumed with the data and classes that it began with, or one line says what has changed."""

import dataclasses

import pytest

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.runs.fingerprint import Fingerprint, describe_other_machine
from keras_fcn.runs.folder import RunFolder


def table(*names):
    return ClassTable.named(names).to_dict()


def pixels(*counts):
    return [*counts, *[0] * (256 - len(counts))]


BEGAN = Fingerprint(
    table("sky", "car", "road"),
    [("images/a b.jpg", "1", "2"), ("images/c.jpg", "3", "4")],
    [("images/d.jpg", "5", "6")],
    {"training": pixels(10, 5, 3), "validation": pixels(8)},
)


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def test_it_is_read_back(run):
    BEGAN.write(run.fingerprint, {"cores": "2"})
    assert Fingerprint.read(run.fingerprint) == (BEGAN, {"cores": "2"})
    BEGAN.require_same(Fingerprint.read(run.fingerprint)[0], run)
    run.fingerprint.write_text("{}")
    with pytest.raises(UserError, match=r"fingerprint.json: is damaged; put it back, or remove it"):
        Fingerprint.read(run.fingerprint)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("sky", "road", "car"), ": class 1 is 'road' now and was 'car'; put the class list back"),
        (("sky", "lorry", "road"), ": class 1 is 'lorry' now and was 'car'"),
        (("sky", "car", "road", "tree"), ", from 3 to 4: class 3 is 'tree' now and was none"),
        (("sky", "car"), ", from 3 to 2: class 2 is none now and was 'road'"),
    ],
)
def test_other_classes_are_named(run, names, message):
    with pytest.raises(UserError, match=f"^{run.root}: the classes have changed since the run began{message}"):
        BEGAN.require_classes(table(*names), run)


def test_other_colours_are_named(run):
    colors = [[0, 0, 0], [1, 2, 3], [0, 128, 0]]
    with pytest.raises(UserError, match=r"class 1 is \(1, 2, 3\) now and was \(128, 0, 0\)"):
        BEGAN.require_classes({**BEGAN.classes, "colors": colors}, run)


def test_images_of_a_teacher_that_are_no_longer_there_are_named(run):
    taught = dataclasses.replace(BEGAN, unlabelled=[("more/f.jpg", "7", "7")])
    with pytest.raises(UserError, match=r"unlabelled data .*: 0 images are new, 1 are missing"):
        taught.require_same(BEGAN, run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": [*BEGAN.training[:1], ("images/c.jpg", "7", "4")]},
         "training data .*: 1 of 2 images have another content, first images/c.jpg; put it back, or start a new run$"),
        ({"training": [("images/a b.jpg", "1", "7"), ("images/c.jpg", "3", "7")]},
         "training data .*: 2 of 2 masks have another content, first the mask of images/a b.jpg; put it back"),
        ({"validation": [("images/e.jpg", "5", "6")]}, "validation data .*: 1 images are new, 1 are missing"),
        ({"unlabelled": [("more/f.jpg", "7", "7")]}, "unlabelled data .*: 1 images are new, 0 are missing"),
        ({"training": BEGAN.training[::-1]}, "0 images are new, 0 are missing, or their order is another; put the"),
        ({"pixels": {**BEGAN.pixels, "validation": pixels(7, 1)}},
         "the validation masks are read otherwise than when the run began: they hold 7 pixels of id 0, and held 8"),
    ],
)  # fmt: skip
def test_other_data_are_named(run, changes, message):
    with pytest.raises(UserError, match=message):
        BEGAN.require_same(dataclasses.replace(BEGAN, **changes), run)


def test_what_a_run_does_not_know_is_not_compared(run):
    early = Fingerprint({"names": ["sky", "car", "road"]}, [], [("images/d.jpg", "", "")], {})
    early.require_same(BEGAN, run)
    run.best_model.touch()
    with pytest.raises(UserError, match=r"or start a new run from its weights with init_from="):
        early.require_same(dataclasses.replace(BEGAN, validation=[]), run)


def test_another_machine_is_a_line():
    before = {"cores": "4", "oneDNN": "on", "devices": "CPU:0"}
    assert describe_other_machine(before, before) == describe_other_machine({}, before) == ""
    assert describe_other_machine(before, {**before, "cores": "2", "oneDNN": "off"}) == (
        "the run began with cores 4, oneDNN on and resumes with cores 2, oneDNN off: weights will differ in their last "
        "bits from those of a run that was never stopped"
    )
