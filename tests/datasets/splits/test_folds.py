"""Cross-validation: every labelled image is in one fold, and folds are as equal as can be."""

import hashlib
import itertools

import numpy as np
import pytest
from layouts import write, write_folders, write_voc

from keras_fcn.commands import check
from keras_fcn.commands.evaluate import EvaluateOptions
from keras_fcn.datasets import open_pairs, open_splits
from keras_fcn.errors import UserError
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.folder import RunFolder

NAMES = [f"photo_{number:02}" for number in range(17)]


def in_hash_order(names):
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def folds_of(root, folds, **options):
    """The names in val of each fold, after a look at train."""
    vals = []
    for fold in range(1, folds + 1):
        train, val, whole = (
            open_pairs(root, split, folds=folds, fold=fold, **options) for split in ("train", "val", "all")
        )
        assert sorted([*train.names, *val.names]) == sorted(whole.names)
        vals.append(val.names)
    return vals


def test_each_image_is_in_one_fold_and_folds_are_equal(tmp_path):
    write_folders(tmp_path, NAMES)
    vals = folds_of(tmp_path, 5)
    assert sorted(itertools.chain(*vals)) == NAMES
    ordered = in_hash_order(NAMES)  # dealt out like cards
    assert [sorted(names) for names in vals] == [sorted(ordered[start::5]) for start in range(5)]


def test_folds_of_data_with_splits_are_of_train_and_val_together_and_leave_test_alone(tmp_path):
    write_voc(tmp_path, NAMES)
    for split, names in {"train": NAMES[:9], "val": NAMES[9:14], "test": NAMES[14:]}.items():
        write(tmp_path / f"ImageSets/Segmentation/{split}.txt", "\n".join(names))
    vals = folds_of(tmp_path, 3)
    assert sorted(itertools.chain(*vals)) == NAMES[:14]
    assert open_pairs(tmp_path, "test", folds=3, fold=1).names == NAMES[14:]
    val = open_pairs(tmp_path, "val", folds=3, fold=2)
    assert val.note == f"fold 2 of 3, {len(val)} of the 14 labelled images, is val, chosen by their names"
    undivided = open_pairs(tmp_path, "train"), open_pairs(tmp_path, "val")
    stored = {name: pairs.labels[index] for pairs in undivided for index, name in enumerate(pairs.names)}
    for name, image, label in zip(val.names, val.images, val.labels):
        assert (image.stem, label) == (name, stored[name])
        assert np.array_equal(val.read_label(label), undivided[0].read_label(label))
    assert [pairs.names for pairs in open_splits(tmp_path, ["val"], folds=3, fold=2)] == [val.names]


def test_groups_stay_whole_in_folds(tmp_path):
    frames = [f"clip{clip}_{frame:03}" for clip in range(7) for frame in range(1 + clip % 3)]
    write_folders(tmp_path, frames)
    vals = folds_of(tmp_path, 3, group_by="{group}_*")
    assert sorted(itertools.chain(*vals)) == sorted(frames)
    clips = [{name[:5] for name in names} for names in vals]
    assert sum(map(len, clips)) == 7 == len(set.union(*clips))
    assert max(map(len, vals)) - min(map(len, vals)) <= 1  # sizes 3, 3, 2, 2, 1, 1, 1: 5, 4, 4
    note = open_pairs(tmp_path, "val", folds=3, fold=1, group_by="{group}_*").note
    assert note.startswith(
        f"fold 1 of 3, {len(vals[0])} of the 13 labelled images, is val: {len(clips[0])} of 7 groups"
    )


def test_images_without_mask_are_in_the_split_of_their_group(tmp_path):
    """A teacher would else label frames of the videos that are for validation."""
    frames = [f"clip{clip}_{frame}" for clip in range(4) for frame in range(3)]
    write_folders(tmp_path, frames)
    for clip in range(4):
        (tmp_path / f"masks/clip{clip}_2.png").unlink()
    for fold in (1, 2, 3):
        train, val = (
            open_pairs(tmp_path, split, folds=3, fold=fold, group_by="{group}_*") for split in ("train", "val")
        )
        for pairs in (train, val):
            clips = {name[:5] for name in pairs.names}
            assert sorted(path.stem for path in pairs.unlabelled) == sorted(f"{clip}_2" for clip in clips)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 5}, "folds=5 needs fold, the one that is val, from 1 to 5$"),
        ({"folds": 5, "fold": 6}, "folds=5 needs fold, .* from 1 to 5. Received: fold=6"),
        ({"folds": 5, "fold": 0}, "folds=5 needs fold, .* from 1 to 5. Received: fold=0"),
        ({"fold": 1}, "fold=1 needs folds, the number of folds, such as folds=5"),
        ({"folds": 1, "fold": 1}, "folds must be at least 2"),
        ({"folds": 2, "fold": 1, "blocks": 64}, "folds and blocks exclude each other"),
        ({"folds": 18, "fold": 1}, "folds=18: there are 17 labelled images; choose at most 17"),
        ({"folds": 4, "fold": 1, "group_by": "{group}?_*"}, "images have no group"),
        (
            {"folds": 4, "fold": 1, "group_by": r"_(?P<group>\d)"},
            r"folds=4: there are 2 groups by .*; choose at most 2",
        ),
    ],
)
def test_folds_that_cannot_be_are_one_line(tmp_path, options, message):
    write_folders(tmp_path, NAMES)
    with pytest.raises(UserError, match=message):
        open_pairs(tmp_path, "train", **options)


def test_the_configuration_says_it_before_data_are_read():
    with pytest.raises(UserError, match="folds=5 needs fold"):
        TrainConfig(folds=5)
    with pytest.raises(UserError, match="folds and split='trainval' exclude each other"):  # val is in trainval
        TrainConfig(folds=5, fold=2, split="trainval")
    config = TrainConfig(folds=5, fold=2)
    assert TrainConfig(**config.to_dict()) == config


def test_a_division_that_is_given_replaces_the_runs(tmp_path):
    def of(run, **options):
        data = EvaluateOptions(models=(run,), **options).dataset()
        return data.blocks, data.group_by, data.folds, data.fold

    grouped, blocks, listed = (
        RunFolder.create(tmp_path / str(number), TrainConfig(data="images", **settings).to_dict()).root
        for number, settings in enumerate(
            ({"group_by": "{group}_*", "folds": 5, "fold": 2}, {"blocks": 256}, {"split": "trainval"})
        )
    )
    assert of(grouped) == (None, "{group}_*", 5, 2)
    assert of(grouped, folds=3, fold=1) == (None, "{group}_*", 3, 1)
    assert of(grouped, blocks=64) == (64, None, None, None)
    assert of(blocks) == (256, None, None, None)
    assert of(blocks, folds=3, fold=1) == (None, None, 3, 1)
    assert of(listed, folds=3, fold=1) == (None, None, 3, 1)


def test_check_shows_a_fold(tmp_path, capsys, monkeypatch):
    write_folders(tmp_path, NAMES)
    monkeypatch.setattr("sys.argv", ["check", str(tmp_path), "--folds", "5", "--fold", "3"])
    check.main()
    captured = capsys.readouterr()
    assert "fold 3 of 5, 3 of the 17 labelled images, is val" in captured.out + captured.err
