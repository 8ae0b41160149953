"""CVAT's XML of images: masks as Datumaro gives them, subsets, frames without shapes, and faults in the file."""

import json
from pathlib import Path

import numpy as np
import pytest
from layouts import save, splits, write

from keras_fcn.datasets import find_layout, inspect_pairs, open_pairs
from keras_fcn.errors import Remark, UserError

DRAWN = Path(__file__).parents[3] / "extras/annotations/datumaro_shapes.json"
"""What Datumaro drew: draw_by_datumaro.py beside it made it."""

SIZE = (24, 30)
SQUARE = '<polygon label="cat" points="1.00,1.00;4.00,1.00;4.00,4.00;1.00,4.00" z_order="0"/>'
LABELS = "<labels><label><name>cat</name></label><label><name>dog</name></label></labels>"
META = f"<meta><task>{LABELS}<subset></subset></task></meta>"


def image(number, shapes=SQUARE, **more):
    about = {"id": number, "name": f"{number}.png", "width": SIZE[1], "height": SIZE[0]} | more
    return f"<image {' '.join(f'{key}={str(value)!r}' for key, value in about.items())}>{shapes}</image>"


def put(root, *images, meta=META, folder="images", names=("1.png", "2.png"), file="annotations.xml"):
    for name in names:
        save(root / folder / name, np.zeros((*SIZE, 3), np.uint8))
    text = "".join(images or (image(1), image(2)))
    write(
        root / file,
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{text}</annotations>',
    )
    return root


def masks(pairs):
    inspect_pairs(pairs).require_sound()
    return {path.stem: pairs.read_label(label) for path, label in zip(pairs.images, pairs.labels)}


def test_masks_are_those_of_datumaro(tmp_path):
    drawn = json.loads(DRAWN.read_text(encoding="utf-8"))
    for name in drawn["rows"]:
        save(tmp_path / f"images/{name}.png", np.zeros((*SIZE, 3), np.uint8))
    write(tmp_path / "annotations.xml", drawn["xml"])
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("background", "ant", "cat")
    found = masks(pairs)
    for name, rows in drawn["rows"].items():
        np.testing.assert_array_equal(found[name], [[int(value) for value in row] for row in rows])
    assert len(found) == 12
    assert drawn["xml"].count("<ellipse") == drawn["xml"].count("<mask") == 12


def test_order_boxes_and_masks_by_hand(tmp_path):
    box = '<box label="dog" xtl="3" ytl="2" xbr="6" ybr="3" z_order="{}"/>'
    mask = '<mask label="cat" rle="1, 2, 1" left="0" top="4" width="2" height="2"/>'
    put(tmp_path, image(1, box.format(1) + SQUARE + mask), image(2, box.format(-1) + SQUARE))
    found = masks(open_pairs(tmp_path, "all"))
    np.testing.assert_array_equal(found["1"][:7, :7], [
        [0] * 7, [0, 1, 1, 1, 0, 0, 0], [0, 1, 1, 2, 2, 2, 0], [0, 1, 1, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0], [0] * 7,
    ])  # fmt: skip
    np.testing.assert_array_equal(found["2"][2, :7], [0, 1, 1, 1, 2, 2, 0])


def test_subsets_are_splits_and_images_lie_in_their_folders(tmp_path):
    images = [image(number, subset=subset, name="a/x.png") for number, subset in ((1, "Train"), (2, "Validation"))]
    put(
        tmp_path,
        *images,
        meta=f"<meta><project>{LABELS}</project></meta>",
        names=("Train/a/x.png", "Validation/a/x.png"),
    )
    assert find_layout(tmp_path) == "cvat_images"
    train, val = (open_pairs(tmp_path, split) for split in ("train", "val"))
    assert [path.relative_to(tmp_path / "images").as_posix() for path in (*train.images, *val.images)] == [
        "Train/a/x.png", "Validation/a/x.png"
    ]  # fmt: skip


def test_exports_of_several_tasks_lie_side_by_side(tmp_path):
    other = META.replace("cat", "emu").replace("dog", "cat").replace("<subset></subset>", "<subset>val</subset>")
    put(tmp_path / "train")
    put(tmp_path / "more", image(3), meta=other, names=("3.png",))
    assert splits(tmp_path) == [{"1", "2"}, {"3"}]
    assert open_pairs(tmp_path, "val").classes.names == ("background", "emu", "cat", "dog")
    assert masks(open_pairs(tmp_path, "val"))["3"].max() == 2


def test_frames_without_areas_have_no_mask(tmp_path):
    lines = '<polyline label="cat" points="1,1;2,2"/><tag label="cat"/><skeleton label="cat"><points/></skeleton>'
    names = [f"{number}.png" for number in range(1, 5)]
    root = put(tmp_path, image(1), image(2), image(3, ""), image(4, lines), names=names)
    pairs = open_pairs(root, "all")
    assert [path.stem for path in pairs.unlabelled] == ["3", "4"]
    (remark,) = [finding for finding in pairs.findings if isinstance(finding, Remark)]
    assert str(remark) == (
        f"{root}/annotations.xml: image 4: has shapes that are no areas and are not drawn; in 1 image: "
        "polyline (1), skeleton (1)"
    )
    assert not masks(open_pairs(root, "all", unlabelled="background"))["3"].any()


def test_parts_of_skeletons_are_no_classes_and_ignore_is_void(tmp_path):
    more = "<label><name>nose</name><parent>man</parent></label><label><name>ignore</name></label>"
    put(
        tmp_path,
        image(1, SQUARE.replace("cat", "ignore")),
        image(2),
        meta=META.replace("</labels>", f"{more}</labels>"),
    )
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("background", "cat", "dog")
    assert masks(pairs)["1"].max() == 255


def polygon(points):
    return image(1, SQUARE.replace("1.00,1.00;4.00,1.00;4.00,4.00;1.00,4.00", points))


def mask(rle, left=0):
    return image(1, f'<mask label="cat" rle="{rle}" left="{left}" top="0" width="2" height="2"/>')


FAULTS = {
    "a polygon has 2 points, but needs three points": polygon("1,1;2,2"),
    "a polygon needs points x,y;x,y;... Received: '1,1;2'": polygon("1,1;2"),
    r"coordinates of a polygon must be numbers. Received: \['a', '1'": polygon("a,1;2,2;3,3"),
    "a polygon has the coordinate 1000000.0, far outside": polygon("1e6,1;2,2;3,3"),
    "a polygon has the coordinate nan, far outside": polygon("nan,1;2,2;3,3"),
    "run lengths sum to 5 pixels, but the mask has 4; export": mask("0, 5"),
    r"run lengths sum to 4 pixels, but|a mask needs left": mask("5, -1, x"),
    "a mask needs left, top, width, height and rle. Received: ": mask(""),
    "a mask of 2x2 pixels at 29, 0 leaves the image of 30x24": mask("0, 4", 29),
    "z_order must be a number. Received: '0.5'": image(1, SQUARE.replace('z_order="0"', 'z_order="0.5"')),
    "'emu' is none of the labels of its <meta>; add it there": image(1, SQUARE.replace("cat", "emu")),
    "an ellipse has the radii -1 and 2, but takes positive": image(
        1, '<ellipse label="cat" cx="1" cy="1" rx="-1" ry="2"/>'
    ),
    "the image 'gone.png' is missing": image(1, name="gone.png"),
    "names its image from elsewhere, '/1.png'": image(1, name="/1.png"),
    "image '../../1.png' lies outside of": image(1, name="../../1.png"),
    "says that .*1.png is 24x31 .*, but it is 24x30": image(1, width=31),
    r"height and width must be numbers. Received: \['24', 'x'\]": image(1, width="x"),
    "image 1: .*2.png has been annotated already by .*image 2": image(2) + image(1, name="2.png"),
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_of_an_image(tmp_path, message):
    put(tmp_path, FAULTS[message], image(3), names=("1.png", "2.png", "3.png"))
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/annotations.xml: image 1: ")


BOMB = '<!DOCTYPE annotations [<!ENTITY a "cat"><!ENTITY b "&a;&a;">]>'
OUTSIDE = '<!DOCTYPE annotations [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
FILES = {
    r"is not XML \(mismatched tag, line 1, column 16\); export": "<annotations></image>",
    r"is not XML \(no element found, line 1, column 14\)": "<annotations>",
    "has a <!DOCTYPE>, which CVAT writes none of; remove it$": f"{BOMB}<annotations>&b;</annotations>",
    "has a <!DOCTYPE>, which CVAT": f"{OUTSIDE}<annotations>&a;</annotations>",
    "holds tracks of a video; export it as 'CVAT for images 1.1'": '<annotations><track id="0"/></annotations>',
    "nothing there is annotated|holds no images": "<annotations></annotations>",
}


@pytest.mark.parametrize("message", FILES)
def test_faults_of_a_file(tmp_path, message):
    put(tmp_path)
    (tmp_path / "annotations.xml").write_text(FILES[message], encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        open_pairs(tmp_path, "all")
    assert "\n" not in str(caught.value)


def test_junk_anywhere_is_one_line(tmp_path):
    put(tmp_path)
    text = (tmp_path / "annotations.xml").read_text(encoding="utf-8")
    for place in range(60, len(text), 9):
        (tmp_path / "annotations.xml").write_text(text[:place] + "\x01;<" + text[place + 3 :], encoding="utf-8")
        with pytest.raises(UserError) as caught:
            open_pairs(tmp_path, "all", "cvat_images")
        assert "\n" not in str(caught.value)
