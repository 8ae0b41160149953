"""Classes as wanted: merged, ignored, dropped, the same wherever labels are read."""

import numpy as np
import pytest
from layouts import CVAT_COLORS, save, voc_colors, write_cvat, write_voc
from PIL import Image

from keras_fcn.commands import check, convert
from keras_fcn.commands.evaluate import EvaluateOptions
from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.labels.mapping import class_mapping
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOC_CLASS_NAMES, ClassTable
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import run_classes
from keras_fcn.runs.data_options import SourceOptions
from keras_fcn.runs.fingerprint import Fingerprint
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.files import write_json

TABLE = ClassTable.named(("background", "cow", "chair", "sheep", "c+=t"))


THERE = "there are background, cow, chair, sheep, c+=t"
FORM = "merge takes classes and the name that they get: A+B=NEW. Received: "
DROP = "drop makes pixels background, which is no class here; ignore_classes makes them void"


def mapped(**wanted):
    return class_mapping(TABLE, SourceOptions(**wanted))


def test_the_new_class_stands_where_the_first_of_its_classes_stood():
    mapping = mapped(merge=("sheep + cow = cattle",), ignore_classes=("chair",), drop=("c+=t",))
    assert mapping.classes.names == ("background", "cattle")
    assert mapping.classes.colors == (TABLE.colors[0], TABLE.colors[1])
    assert mapping.ids[:5] == (0, 1, 255, 1, 0)
    assert (mapping.ids[5], mapping.ids[255], len(mapping.ids)) == (5, 255, 256)
    assert mapping.note == (
        "classes as wanted: sheep + cow are 'cattle'; chair is void; c+=t is background; 2 of 5 are left"
    )


def test_renaming_merging_into_one_of_them_and_names_with_plus_signs():
    note = mapped(merge=("background+cow=ground",), drop=("chair",)).note
    assert "; chair is ground; " in note  # the background's name afterwards
    assert mapped(merge=("cow=Kuh",)).classes.names == ("background", "Kuh", "chair", "sheep", "c+=t")
    assert mapped(merge=("cow+sheep=sheep",)).ids[:5] == (0, 1, 2, 1, 3)
    assert mapped(merge=("background+c+=t+chair=other", "sheep=cow", "cow=sheep")).classes.names == (
        "other", "sheep", "cow",
    )  # fmt: skip
    assert mapped(merge=("background+cow=rest",), drop=("chair",)).ids[:4] == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"merge": ("cow+shep=cattle",)}, f"merge: the data have no class shep (did you mean sheep?); {THERE}"),
        ({"ignore_classes": ("sofa",)}, f"ignore_classes: the data have no class sofa; {THERE}"),
        ({"drop": ("Cow",)}, f"drop: the data have no class Cow (did you mean cow?); {THERE}"),
        ({"merge": ("cow+sheep",)}, f"{FORM}cow+sheep"),
        ({"merge": ("=x",)}, f"{FORM}=x"),
        ({"merge": ("cow= ",)}, f"{FORM}cow= "),
        ({"merge": ("cow=Void",)}, "merge makes 'Void' a class; ignore_classes makes void"),
        ({"merge": ("cow= void ",)}, "merge makes 'void' a class; ignore_classes makes void"),
        (
            {"merge": ("chair=b", "cow=a", "sheep=a")},
            "merge makes 'a' more than once; name all of its classes in one: A+B=a",
        ),
        ({"merge": ("cow+cow=a",)}, "merge: the class 'cow' is named more than once; name it in one place"),
        ({"merge": ("cow+chair=a", "cow=b")}, "merge: the class 'cow' is named more than once; name it in one place"),
        (
            {"merge": ("cow=a",), "drop": ("cow",)},
            "merge and drop: the class 'cow' is named more than once; name it in one place",
        ),
        (
            {"drop": ("cow",), "ignore_classes": ("cow",)},
            "ignore_classes and drop: the class 'cow' is named more than once; name it in one place",
        ),
        (
            {"merge": ("cow=sheep",)},
            "merge: 'sheep' is another class of the data; merge it, too (cow+sheep=sheep), or choose another name",
        ),
        ({"ignore_classes": TABLE.names}, "ignore_classes: of 5 classes, none is left; training needs two"),
        (
            {"ignore_classes": TABLE.names[1:3], "drop": TABLE.names[3:]},
            "ignore_classes and drop: of 5 classes, only 'background' is left; training needs two",
        ),
        ({"merge": ("+".join(TABLE.names) + "=all",)}, "merge: of 5 classes, only 'all' is left; training needs two"),
        ({"drop": ("background",)}, DROP),
        ({"drop": ("cow",), "ignore_classes": ("background",)}, DROP),
    ],
)
def test_what_cannot_be_wanted_is_one_line(wanted, message):
    with pytest.raises(UserError) as error:
        mapped(**wanted)
    assert str(error.value) == message


def test_nothing_is_dropped_where_there_is_no_background():
    table = ClassTable.named(("cow", "chair", "sheep"))
    with pytest.raises(UserError) as error:
        class_mapping(table, SourceOptions(drop=("cow",)))
    assert str(error.value) == DROP
    mapping = class_mapping(table, SourceOptions(ignore_classes=("cow",)))
    assert (mapping.classes.names, mapping.ids[:4], mapping.note) == (
        ("chair", "sheep"), (255, 0, 1, 3), "classes as wanted: cow is void; 2 of 3 are left",
    )  # fmt: skip


def test_the_note_of_one_and_of_several():
    wanted = {"merge": ("cow=Kuh", "background+sheep=rest")}
    assert mapped(**wanted, ignore_classes=("chair",), drop=("c+=t",)).note == (
        "classes as wanted: cow is 'Kuh'; background + sheep are 'rest'; chair is void; c+=t is rest; 2 of 5 are left"
    )
    assert mapped(ignore_classes=("chair", "cow")).note == "classes as wanted: chair, cow are void; 3 of 5 are left"
    assert mapped(drop=("chair", "cow")).note == "classes as wanted: chair, cow are background; 3 of 5 are left"


WANTED = {"merge": ["cow+sheep=cattle"], "ignore_classes": ["chair"], "drop": ["sofa", "train"]}


def by_hand(ids):
    """The ids of VOC after `WANTED`, class by class."""
    names = [name for name in VOC_CLASS_NAMES if name not in ("sheep", "chair", "sofa", "train")]
    expected = np.full_like(ids, 255)
    for index, name in enumerate(VOC_CLASS_NAMES):
        name = {"sofa": "background", "train": "background", "sheep": "cow"}.get(name, name)
        if name != "chair":
            expected[ids == index] = names.index(name)
    return expected


def test_labels_and_their_counts_are_those_of_the_new_classes(tmp_path):
    truth = write_voc(tmp_path)
    pairs = open_pairs(tmp_path, "train", **WANTED)
    assert pairs.classes.num_classes == 17
    assert pairs.classes.names[9] == "cattle"
    counts = np.zeros(256, int)
    for name, label in zip(pairs.names, pairs.labels):
        np.testing.assert_array_equal(pairs.read_label(label), by_hand(truth[name]))
        counts += np.bincount(by_hand(truth[name]).ravel(), minlength=256)
    np.testing.assert_array_equal(inspect_pairs(pairs).pixels.sum(axis=0), counts)


def test_images_without_mask_are_background_before_classes_are_merged(tmp_path):
    write_cvat(tmp_path)
    (tmp_path / "SegmentationClass/kitchen.png").unlink()
    pairs = open_pairs(tmp_path, "all", unlabelled="background", merge=["background+cat=all else"])
    assert pairs.classes.names == ("all else", "猫 🐈", "garden chair")
    index = [path.stem for path in pairs.images].index("kitchen")
    assert (pairs.read_label(pairs.labels[index]) == 0).all()


def test_a_mask_that_holds_no_class_stays_a_fault(tmp_path):
    write_voc(tmp_path, ["a", "b"] + [f"x{number}" for number in range(8)])
    save(tmp_path / "SegmentationClass/a.png", np.full((4, 4), 30, np.uint8), voc_colors())
    with pytest.raises(UserError, match=r"a.png: .*30.* is out of range|a.png: colour"):
        inspect_pairs(open_pairs(tmp_path, "train", **WANTED)).require_sound()


def test_check_and_convert_take_them(tmp_path, monkeypatch, capsys):
    truth = write_cvat(tmp_path / "data")
    options = ["--merge", "cat+garden chair=seat", "--drop", "猫 🐈"]
    monkeypatch.setattr("sys.argv", ["check.py", str(tmp_path / "data"), *options])
    assert check.main() == 0
    out = capsys.readouterr().out
    assert "2 classes\n" in out
    assert "classes as wanted: cat + garden chair are 'seat'; 猫 🐈 is background; 2 of 4 are left" in out
    monkeypatch.setattr("sys.argv", ["convert.py", str(tmp_path / "data"), str(tmp_path / "out"), *options])
    assert convert.main() == 0
    pairs = open_pairs(tmp_path / "out", "train")
    assert (pairs.classes.names, pairs.classes.colors) == (("background", "seat"), CVAT_COLORS[:2])
    for name, label in zip(pairs.names, pairs.labels):
        np.testing.assert_array_equal(np.asarray(Image.open(label)), np.array([0, 1, 0, 1] + [255] * 252)[truth[name]])
    monkeypatch.setattr("sys.argv", ["check.py", str(tmp_path / "out"), "--merge", "cat=x"])
    with pytest.raises(UserError, match="merge: the data have no class cat; there are background, seat"):
        check.main()


def test_a_run_hands_them_on(tmp_path):
    """Evaluation and calibration get them from the run's folder; data that have the run's classes are left alone."""
    write_voc(tmp_path / "data"), write_voc(tmp_path / "other")
    run, settings = RunFolder(tmp_path / "run"), TrainConfig(data=tmp_path / "data", **WANTED)
    write_json(run.config, settings.to_dict())
    pairs = open_pairs(tmp_path / "data", "val", **WANTED)
    Fingerprint(pairs.classes.to_dict(), [], [], {}).write(run.fingerprint, {})
    monkey = ["convert.py", str(tmp_path / "data"), str(tmp_path / "like"), "--merge", *WANTED["merge"]]
    monkey += ["--ignore-classes", *WANTED["ignore_classes"], "--drop", *WANTED["drop"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", monkey)
        assert convert.main() == 0
    for data in (None, tmp_path / "data", tmp_path / "other", tmp_path / "like"):
        options = EvaluateOptions(models=(run.root,), data=data and str(data))
        dataset = options.dataset()
        opened = open_pairs(dataset.data, "val", already=options.known_classes(), **dataset.listing)
        assert opened.classes == pairs.classes
        name = opened.names[0]
        again = pairs.labels[pairs.names.index(name)]
        np.testing.assert_array_equal(opened.read_label(opened.labels[0]), pairs.read_label(again))
    own = EvaluateOptions(models=(run.root,), merge=("cat+dog=pet",))
    assert (own.dataset().merge, own.dataset().drop, own.known_classes()) == (("cat+dog=pet",), (), ())
    assert run_classes(run.root)["merge"] == ("cow+sheep=cattle",)
    assert run_classes(run.best_model) == {}
