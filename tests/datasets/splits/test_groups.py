"""Images that belong together stay on one side, and where they do not, it is said."""

import collections
import hashlib

import pytest
from layouts import save, scene, voc_colors, write, write_folders, write_voc

from keras_fcn.commands import check
from keras_fcn.datasets import open_pairs, open_splits
from keras_fcn.errors import UserError
from keras_fcn.system.options import as_words

FRAMES = [f"clip{clip}_{frame:03}" for clip in range(9) for frame in range(1 + clip % 3)]
"""Nine clips of one to three frames, eighteen in all."""


def in_hash_order(names):
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def expected_val(groups):
    """Groups in the order of their hashes, as long as they fit into a fifth of the images."""
    room, chosen = round(0.2 * len(groups)), set()
    for group in in_hash_order(set(groups)):
        if groups.count(group) <= room:
            chosen.add(group)
            room -= groups.count(group)
    return chosen


@pytest.mark.parametrize(
    "group_by", ["{group}_*", "images/{group}_*.jpg", "clip{group}_*", r"(?P<group>clip\d)_\d+", "groups.csv:clip"]
)
def test_groups_stay_whole_where_the_program_divides(tmp_path, group_by):
    write_folders(tmp_path, FRAMES)
    write(tmp_path / "groups.csv", "file;other;clip\n" + "".join(f"a/{n}.jpg;x;{n[:5]}\n" for n in FRAMES))
    if group_by == "groups.csv:clip":
        write(tmp_path / "groups.csv", "file,clip\n" + "".join(f"images/{n}.jpg,{n[:5]}\n" for n in FRAMES))
    train, val = (open_pairs(tmp_path, split, group_by=group_by) for split in ("train", "val"))
    assert sorted([*train.names, *val.names]) == sorted(FRAMES)
    prefix = "" if group_by != "clip{group}_*" else "clip"
    groups = [name[len(prefix) : 5] for name in FRAMES]
    assert {name[len(prefix) : 5] for name in val.names} == expected_val(groups)
    assert not {name[:5] for name in train.names} & {name[:5] for name in val.names}
    assert train.note == val.note
    chosen = expected_val(groups)
    assert val.note.startswith(
        f"{len(val)} of the 18 images are val: {len(chosen)} of 9 groups by {group_by}, chosen by "
    )
    assert [pairs.names for pairs in open_splits(tmp_path, ["val"], group_by=group_by)] == [val.names]


def test_a_group_larger_than_a_fifth_and_folders_as_groups(tmp_path):
    write_folders(tmp_path, [f"{patient}/{number}" for patient in ("anna", "berta") for number in range(5)])
    train, val = (open_pairs(tmp_path, split, group_by="{group}/*") for split in ("train", "val"))
    first = in_hash_order(["anna", "berta"])[0]
    assert {path.parent.name for path in val.images} == {first}
    assert (len(train), len(val)) == (5, 5)


def test_unlabelled_images_go_with_their_group(tmp_path):
    write_folders(tmp_path, FRAMES)
    (tmp_path / "masks/clip2_000.png").unlink()
    both = [open_pairs(tmp_path, split, group_by="{group}_*", unlabelled="background") for split in ("train", "val")]
    counts = collections.Counter(name[:5] for pairs in both for name in pairs.names)
    assert counts.total() == 18
    assert not set.intersection(*({name[:5] for name in pairs.names} for pairs in both))


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        ("{group}*", r"group_by='{group}\*': all 18 images are of one group, 'c', so one split would be empty; choose"),
        ("{group}-*", r"18 of 18 images have no group, such as images/clip0_000.jpg in .*; give each one"),
        ("*", r"group_by takes a path with {group}, \* and \*\*, .*; {group} must be there once. Received: \*"),
        ("{name}/{group}", "{name} is none of these. Received: {name}/{group}"),
        ("(?P<group>x", "is no regular expression"),
        ("none.csv:clip", "none.csv: no such file|none.csv: cannot be read"),
        ("groups.csv:scene", "groups.csv: has no column 'scene'; it has file, other, clip, the first of which names"),
        ("groups.csv", r"has more than two columns; it has file, other, clip, .*: group_by='.*groups.csv:COLUMN'"),
        ("names.csv", "names.csv: has fewer than two columns; it has clip, the first of which names"),
        ("names.csv:clip", "names.csv: has fewer than two columns"),
        ("groups.csv:clip", "clip1_000.jpg is in the groups 'a' and 'b'; leave one of the lines"),
        ("groups.csv:other", "17 of 18 images have no group, such as images/clip0_000.jpg"),
    ],
)
def test_what_makes_no_groups_is_one_line(tmp_path, group_by, message):
    write_folders(tmp_path, FRAMES)
    write(tmp_path / "groups.csv", "file\tother\tclip\nclip1_000.jpg\tx\ta\nclip1_000.jpg\tx\tb\n")
    write(tmp_path / "names.csv", "clip\nclip1_000.jpg\n")
    with pytest.raises(UserError, match=message) as error:
        open_pairs(tmp_path, "train", group_by=group_by)
    assert "\n" not in str(error.value)


def test_groups_exclude_blocks(tmp_path):
    with pytest.raises(UserError, match="group_by and blocks exclude each other"):
        open_pairs(tmp_path, "train", group_by="{group}_*", blocks=64)


def test_groups_that_lists_part_and_images_that_look_alike_are_said_by_check(tmp_path, monkeypatch, capsys):
    write_voc(tmp_path, FRAMES)
    write(tmp_path / "ImageSets/Segmentation/train.txt", "".join(f"{name}\n" for name in FRAMES[:10]))
    write(tmp_path / "ImageSets/Segmentation/val.txt", "".join(f"{name}\n" for name in FRAMES[10:]))
    image, label = scene(0, 21)
    save(tmp_path / f"JPEGImages/{FRAMES[12]}.jpg", (image.astype(int) * 6 // 5).clip(0, 255).astype(image.dtype))
    save(tmp_path / f"SegmentationClass/{FRAMES[12]}.png", label, voc_colors())
    words = as_words(["check.py", str(tmp_path), "--group-by", "{group}_*", "--json", str(tmp_path / "check.json")])
    monkeypatch.setattr("sys.argv", words)
    assert check.main() == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Findings in val: 1 x group in both splits, 1 x nearly in both splits" in out
    assert (
        f"{FRAMES[10]}.jpg: is of the group 'clip5', of which 1 images are in train and 2 in val; 1 of 9 groups are in "
        "both, with 2 of the 8 images of val: keep each group in one split, or the metrics are too good"
    ) in out
    assert f"{FRAMES[12]}.jpg: looks like {tmp_path}/JPEGImages/{FRAMES[0]}.jpg of train (likeness " in out
    assert "of the 8 images of val, 1 look like one of train (0.75 and more)" in out
