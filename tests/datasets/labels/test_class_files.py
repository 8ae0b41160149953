"""Files of classes as other programs write them, read by content whatever their name; none is passed over."""

import json
import re

import numpy as np
import pytest
from layouts import require_truth, save, write, write_folders

from keras_fcn.datasets import open_pairs
from keras_fcn.datasets.labels.class_files import find_legend, like_class_files
from keras_fcn.errors import UserError

ROAD, SKY = (128, 64, 128), (70, 130, 180)
FIRST = {0: "road", 1: "sky"}
COLORS = {ROAD: "road", SKY: "sky"}
IDS = {7: "road", 8: "sky"}
FORMS = {
    "class_dict.csv": ("name,r,g,b\nroad,128,64,128\nVoid,0,0,0\nsky,70,130,180\n", {0: "road", 2: "sky"}, COLORS),
    "blanks.csv": ("name, r, g, b\nroad, 128, 64, 128\nsky, 70, 130, 180\n", FIRST, COLORS),
    "flags.csv": ("name,r,g,b,class_11\nroad,128,64,128,1\nsky,70,130,180,0\n", FIRST, COLORS),
    "ids.csv": ("id;name;red;green;blue\n8;sky;70;130;180\n7;road;128;64;128\n", IDS, COLORS),
    "bare.csv": ("road,128,64,128\nsky,70,130,180\n", FIRST, COLORS),
    "bare_ids.csv": ("7,road,128,64,128\n8,sky,70,130,180\n", IDS, COLORS),
    "hex.csv": ("label,color\nroad,#804080\nsky,#4682B4\n", FIRST, COLORS),
    "quoted.csv": ('class,rgb\nroad,"(128, 64, 128)"\nsky,"70 130 180"\n', FIRST, COLORS),
    "classes.csv": ("id,name\n7,road\n8,sky\n", IDS, None),
    "labels.tsv": ("#Idx\tRatio\tName\n7\t0.1\troad  \n8\t0.2\tsky\n", IDS, None),
    "_classes.csv": ("Pixel Value, Class\n7, road\n8, sky\n", IDS, None),
    "any.csv": ("id,name\n7,road\n8,sky\n", IDS, None),
    "any.json": ('{"7": "road", "8": "sky"}', IDS, None),
    "cityscapes.csv": (
        "name,id,trainId,color\nroad,7,0,#804080\nego vehicle,1,255,#000000\nsky,8,1,#4682B4\nstatic,4,255,#000000\n",
        {1: "ego vehicle", 4: "static", **IDS}, None,
    ),
    "label_colors.txt": ("128 64 128\troad\n70 130 180\tsky\n0 0 0\tVoid\n", FIRST, COLORS),
    "palette.txt": ("road 128 64 128\nsky: 70, 130, 180\n", FIRST, COLORS),
    "names with blanks.txt": ("rail road 128 64 128\n", {0: "rail road"}, {ROAD: "rail road"}),
    "numbered.txt": ("7: road 128 64 128\n8: sky 70 130 180\n", IDS, COLORS),
    "other_map.txt": ("# label:color\nroad:128,64,128::\nsky:70,130,180::\n", FIRST, COLORS),
    "labels.txt": ("__ignore__\nroad\nsky\n", FIRST, None),
    "obj.names": ("road\nsky\n", FIRST, None),
    "classes.txt": ("128,64,128,road\n70,130,180,sky\n", FIRST, COLORS),
    "id2label.json": ('{"7": "road", "8": "sky"}', IDS, None),
    "label2id.json": ('{"road": 7, "sky": 8}', IDS, None),
    "names.json": ('["road", "sky"]', FIRST, None),
    "color_map.json": ('{"road": [128, 64, 128], "sky": [70, 130, 180]}', FIRST, COLORS),
    "class_colors.json": ('{"#804080": "road", "#4682b4": "sky"}', FIRST, COLORS),
    "anything.json": (
        '[{"id": 7, "name": "road", "color": [128, 64, 128]}, {"id": 8, "name": "sky", "color": "#4682b4"}]',
        IDS, COLORS,
    ),
    "config_v1.2.json": (
        json.dumps({"labels": [
            {"color": ROAD, "instances": False, "readable": "road", "name": "construction--flat--road"},
            {"color": SKY, "instances": False, "readable": "sky", "name": "nature--sky"},
        ], "version": "1.1"}),
        FIRST, COLORS,
    ),
    "dataset_meta.json": (
        '{"label_map": {"7": "road", "8": "sky"}, "segmentation_colors": [[128, 64, 128], [70, 130, 180]]}',
        IDS, COLORS,
    ),
    "side.json": ('{"CLASSES": ["road", "sky"], "PALETTE": [[128, 64, 128], [70, 130, 180]]}', FIRST, COLORS),
    "channels.json": ('[{"name": "sky", "color": {"r": 70, "g": 130, "b": 180}}]', {0: "sky"}, {SKY: "sky"}),
    "RUGD_colormap.txt": ("0 void 0 0 0\n7 road 128 64 128\n8 sky 70 130 180\n", IDS, COLORS),
    "kitti.yaml": ("labels: {7: road, 8: sky}\ncolor_map: {7: [128, 64, 128], 8: [70, 130, 180]}\n", IDS, COLORS),
    "nested.json": ('{"info": {"data": {"classes": {"road": {"value": 7}, "sky": {"value": 8}}}}}', IDS, None),
    "meta.json": (
        '{"classes": [{"title": "road", "color": "#804080", "id": 999}, {"name": "sky", "color": "#4682B4", "id": 9}]}',
        FIRST, COLORS,
    ),
    "data.yaml": ("path: .\nnc: 2\nnames: [road, sky]\n", FIRST, None),
    "set.yml": ("names:\n  7: road\n  8: sky\n", IDS, None),
}  # fmt: skip


FIGURES = {
    "class_weights.json": '{"road": 1, "sky": 4}',
    "iou_of_classes.json": '{"road": 90, "sky": 10}',
    "label_freq.yaml": "road: 3\nsky: 1\n",
    "pixel_counts.csv": "road,90\nsky,10\n",
    "class_distribution.csv": "class,weight\nroad,1\nsky,4\n",
    "class_weights.csv": "road,1\nsky,4\n",
    "classes_weight.json": '[{"class": "road", "weight": 1}, {"class": "sky", "weight": 4}]',
    "class_weights.txt": "road 1\nsky 4\n",
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_classes_are_not_their_ids(tmp_path, name):
    write(tmp_path / name, FIGURES[name])
    assert find_legend(tmp_path) is None
    assert like_class_files(tmp_path) == ()


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_read_by_content(tmp_path, name):
    text, values, colors = FORMS[name]
    write(tmp_path / name, text, "\r\n", bom=True)
    legend = find_legend(tmp_path)
    names = legend.classes.names
    assert {value: names[index] for value, index in enumerate(legend.ids) if index < 254} == values
    assert legend.has_colors == (colors is not None)
    if colors is not None:
        assert dict(zip(legend.classes.colors, names)) == colors
    assert like_class_files(tmp_path) == ()


NONE = {
    "people.csv": "id,name\n1,Ada\n1000,Bob\n",
    "images.csv": "id,name\n1,img_001\n2,img_002\n",
    "images.json": '{"1": "img_001", "2": "img_002"}',
    "readme.txt": "Two classes\n128 and 64\n",
    "boxes.txt": "a.jpg 1 2 3\nb.jpg 4 5 6\n",
    "notes.csv": "name,size\nroad,7\nsky,8\n",
    "means.json": '{"mean": [123, 117, 104], "std": [58, 57, 57]}',
    "metrics.json": '{"epoch": 1, "loss": 2}',
    "coco.json": '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}]}',
    "train.txt": "128 64 128 road\n",
    "files.json": '["a.png", "b.png"]',
}


@pytest.mark.parametrize("name", NONE)
def test_other_files_are_no_classes(tmp_path, name):
    write(tmp_path / name, NONE[name])
    assert find_legend(tmp_path) is None
    assert like_class_files(tmp_path) == ()


NOT_UNDERSTOOD = {
    "labels.csv": ("image,label\na.jpg,cat\nb.jpg,cat\n", ""),
    "classes.csv": ("id,name\n1,cat\n2,cat\n", ": line 3: the name 'cat' is already that of line 2; change one"),
    "labels.json": ('{"cat', r": cannot be read as JSON \("),
    "categories.json": ('{"cat": 1, "dog": 1}', r": \['dog'\]: the value 1 is already that of \['cat'\]; change one"),
    "label_map.pbtxt": ("item { id: 1 name: 'cat' }", ": save it as CSV"),
    "label_ids.json": ('{"cat": -1}', ": all values are below 0, which no mask holds"),
    "class.yaml": ("a: [\n", r": cannot be read as YAML \("),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_what_looks_like_classes_and_is_not_understood_is_named(tmp_path, name):
    text, why = NOT_UNDERSTOOD[name]
    write_folders(tmp_path, "abcdef")
    write(tmp_path / name, text)
    (note,) = open_pairs(tmp_path, "train").mask_notes
    assert re.match(rf"{name} looks like a file of classes, but is not understood{why}", note)
    save(tmp_path / "masks/a.png", np.full((9, 9, 3), (1, 2, 3), np.uint8))
    with pytest.raises(UserError, match=rf"masks are in colour .*; {name} looks like a file of classes, but is not"):
        open_pairs(tmp_path, "train")


WRONG = {
    "a colour": ({"a.csv": "name,r,g,b\na,1,2,300\nb,1,2,3\n"}, "line 2: 'a' has no colour of three numbers from"),
    "a colour twice": ({"a.csv": "name,r,g,b\na,1,2,3\nb,1,2,3\n"}, "line 3: the colour 1,2,3 is already that of"),
    "a large value": ({"class.csv": "id,class\n1,cat\n256,dog\n"}, "line 3: values of classes are 0 to 254, 255 is"),
    "255": ({"labels.json": '{"0": "cat", "255": "dog"}'}, r"labels.json: \['255'\]: values of classes are 0 to 254"),
    "two voids": ({"a.csv": "name,r,g,b\nvoid,1,2,3\nignore,1,2,4\n"}, "line 2 and line 3 are both void"),
    "other names": ({"classes.txt": "a\nb\n", "b.yaml": "names: [a, c]"}, "b.yaml and .*txt contradict .*: 'b' is in"),
    "other values": ({"classes.txt": "a\nb\n", "b.yaml": "names: [b, a]"}, "contradict .*: the value of 'b' is 0 and"),
    "other colours": (
        {"a.csv": "name,r,g,b\na,1,2,3\n", "b.txt": "1 2 4 a\n"},
        r"contradict .*: the colour of 'a' is \(1, 2, 3\) and \(1, 2, 4\); remove or move one",
    ),
    "two versions": (
        {f"config_v{n}.json": json.dumps({"labels": [{"color": [n, 2, 3], "readable": f"r{n}"}]}) for n in (1, 2)},
        "config_v1.json and .*config_v2.json contradict each other: 'r1' is in .*config_v1.json alone",
    ),
    "nothing": ({"classes.txt": ""}, "classes.txt: lists no classes; write one name per line, that of id 0 first"),
    "a mapping": ({"d.yaml": "names: [a]\nlabel_mapping: {7: 0}"}, "has a mapping of labels, which is not read"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_faults_and_contradictions_are_one_line(tmp_path, case):
    files, message = WRONG[case]
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises(UserError, match=message) as caught:
        find_legend(tmp_path)
    assert "\n" not in str(caught.value)


def test_files_that_agree_complete_one_another(tmp_path):
    write(tmp_path / "colors.txt", "70 130 180 sky\n128 64 128 road\n")
    write(tmp_path / "classes.csv", "id,name\n7,road\n8,sky\n")
    legend = find_legend(tmp_path)
    assert legend.classes.names == ("sky", "road")
    assert (legend.ids[7], legend.ids[8], legend.has_colors, legend.has_ids) == (1, 0, True, True)


@pytest.mark.parametrize("form", ["colours", "ids", "grey in RGB", "other palette"])
def test_masks_of_every_form_by_one_file_of_ids_and_colours(tmp_path, form):
    truth = write_folders(tmp_path, "abcdef", num_classes=3)
    values = np.zeros(256, np.uint8)
    values[:3], values[255] = (7, 8, 11), 255
    for name in truth:
        ids = values[truth[name]]
        path = tmp_path / f"masks/{name}.png"
        if form == "colours":
            table = np.zeros((256, 3), np.uint8)
            table[[7, 8, 11]] = ROAD, SKY, (1, 2, 3)
            save(path, table[ids])
        elif form == "grey in RGB":
            save(path, np.repeat(ids[..., None], 3, axis=2))
        else:
            save(path, ids, bytes(range(255, -1, -1)) * 3 if form == "other palette" else None)
    write(tmp_path / "c.csv", "id,name,r,g,b\n7,road,128,64,128\n8,sky,70,130,180\n11,sea,1,2,3\n255,void,0,0,0\n")
    pairs = open_pairs(tmp_path, "train")
    assert pairs.classes.names == ("road", "sky", "sea")
    require_truth(pairs, truth)


def test_a_file_above_the_folder_is_named(tmp_path):
    write_folders(tmp_path / "data", "ab")
    save(tmp_path / "data/masks/a.png", np.full((9, 9, 3), ROAD, np.uint8))
    write(tmp_path / "class_dict.csv", "name,r,g,b\nroad,128,64,128\n")
    with pytest.raises(UserError, match=rf"class_dict.csv lists classes: put it into {tmp_path}/data if they are its"):
        open_pairs(tmp_path / "data", "train")
