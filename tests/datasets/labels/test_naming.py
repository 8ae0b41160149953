"""How masks are called after their images: each rule worked by hand."""

from pathlib import Path

import pytest

from keras_fcn.datasets.labels.naming import (
    UnpairedError,
    common,
    extends,
    file_of,
    file_texts,
    in_common,
    masks_of_images,
    naming_note,
    naming_rule,
    require_pairs,
    words_of,
)
from keras_fcn.errors import UserError


def files(*names):
    return {name: Path("m") / f"{name}.png" for name in names}


RULES = {
    "what comes before": (("img_1", "img_2"), ("lab_1", "lab_2"), ("img_{name}", "lab_{name}")),
    "what comes after": (("a1", "a2", "b1"), ("a1_seg8", "a2_seg8"), ("{name}", "{name}_seg8")),
    "both endings": (("a1-rgb", "b1-rgb"), ("a1-ids", "b1-ids"), ("{name}-rgb", "{name}-ids")),
    "letters without a break": (("0001", "0002"), ("0001m", "0002m"), ("{name}", "{name}m")),
    "letters before, no break": (("1", "2"), ("s1", "s2"), ("{name}", "s{name}")),
    "one image only": (("img_1",), ("lab_1", "lab_2"), None),
    "more images": (("img_1", "img_2", "img_3"), ("lab_1", "lab_2"), ("img_{name}", "lab_{name}")),
    "more masks": (("img_1", "img_2"), ("lab_1", "lab_2", "lab_3"), None),
    "one mask": (("img_1", "img_2"), ("lab_1",), None),
    "no image": ((), ("lab_1", "lab_2"), None),
    "nothing alike": (("a", "b"), ("x", "y"), None),
    "both sides": (("c1_rgb_d", "c2_rgb_d"), ("c1_ids_d", "c2_ids_d"), None),
    "numbers are another image": (("a_1", "b_1"), ("a_2", "b_2"), None),
    "folders": (("x/img_1", "y/img_1"), ("x/lab_1", "y/lab_1"), ("img_{name}", "lab_{name}")),
    "other folders": (("x/img_1", "y/img_1"), ("x/lab_1", "z/lab_1"), None),
    "two of a key": (("img_1", "img_2", "1"), ("lab_1", "lab_2", "img_2x"), None),
}  # fmt: skip


@pytest.mark.parametrize("case", RULES)
def test_the_rule_of_names(case):
    images, masks, expected = RULES[case]
    assert naming_rule(images, masks) == expected
    assert naming_rule(images[::-1], masks[::-1]) == expected


@pytest.mark.parametrize(
    ("image", "mask", "letters", "texts"),
    [
        ("img_1", "lab_1", 2, ("img_{name}", "lab_{name}")),
        ("x/img_1", "y/z/lab_1", 2, None),  # of the files' names; `file_texts` takes these alone
        ("0001", "0001m", 4, ("{name}", "{name}m")),
        ("0001", "0001-", 4, ("{name}", "{name}-")),
        ("0001", "m0001", 4, ("{name}", "m{name}")),
        ("ab1", "cb1", 1, ("ab{name}", "cb{name}")),
        ("a_b_1", "a_c_1", 4, ("{name}_b_*", "{name}_c_*")),
        ("a_1", "a_1", 3, ("{name}", "{name}")),
        ("a_1_b", "a_b", 3, None),  # it begins with a number
        ("left_01", "left_01_ids", 7, ("{name}", "{name}_ids")),
        ("01_left", "01_ids", 3, ("{name}_left", "{name}_ids")),
        ("x_1_a", "x_2_a", 4, None),  # numbers
        ("x_1", "x_b2", 2, None),
        ("x_b1", "x_c2", 2, None),
        ("x_1b", "x_c", 2, ("{name}_1b", "{name}_c")),
        ("x_2b", "x_1", 2, None),
    ],
)
def test_what_two_names_have_in_common(image, mask, letters, texts):
    assert in_common(image, mask) == letters
    if "/" not in image:
        assert file_texts(image, mask) == texts


def test_words_and_what_is_alike_at_both_ends():
    assert words_of("ab_c-1 d..e22") == ["ab", "_", "c", "-", "1", " ", "d", "..", "e", "", "22"]
    assert words_of("12é3") == ["12é", "", "3"]
    assert common("abcx", "abdex") == (2, 1)
    assert common("abc", "abc") == (3, 0)
    assert common("aba", "aba"[:2]) == (2, 0)
    assert common("aa", "aaa") == (2, 0)
    assert common("xaa", "yaa") == common("xxaa", "aa") == (0, 2)
    assert (file_of("a/b.c"), file_of("a")) == ("b.c", "a")
    assert extends("0001m", "0001")
    assert not extends("0001", "0001")
    assert not extends("0001_m", "0001")
    assert not extends("m0001", "0001")


@pytest.mark.parametrize(
    "ending",
    [
        "_mask", "-Masks", "_label", "_LABELS", "-gt", "_groundtruth", "_seg", "_segmentation", "_annotation", "_L",
        "_P", ".jpg", ".JPEG", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".npy",
    ],
)  # fmt: skip
def test_masks_with_an_ending(ending):
    masks = files(f"a{ending}", "b", f"c{ending}")
    expected = {"a": masks[f"a{ending}"], "b": masks["b"], f"c{ending}": masks[f"c{ending}"]}
    assert masks_of_images(["a", "b"], masks) == expected
    assert naming_note(["a", "b"], masks) == ""


def test_what_is_no_ending_of_a_mask():
    for own in ("a_l", "a_p", "amask", "a_xmask", "_mask"):
        assert masks_of_images(["a", "b", ""], files(own, "b")) == files(own, "b")


def test_an_image_that_is_called_like_a_mask_keeps_its_own():
    masks = files("a", "a_mask")
    assert masks_of_images(["a", "a_mask"], masks) == masks
    with pytest.raises(UserError) as caught:
        masks_of_images(["a"], masks)
    assert str(caught.value) == "m/a_mask.png and a.png are masks of the same image; rename or remove one"


def test_a_rule_holds_only_where_no_mask_is_called_like_its_image():
    images, masks = ["img_1", "img_2"], files("lab_1", "lab_2")
    assert masks_of_images(images, masks) == {"img_1": masks["lab_1"], "img_2": masks["lab_2"]}
    assert naming_note(images, masks) == "masks are called lab_{name} where images are called img_{name}"
    more = [*images, "lab_1"]
    assert masks_of_images(more, masks) == masks
    assert naming_note(more, masks) == naming_note(images, files("other_1", "x")) == ""
    assert masks_of_images(images, files("x", "y")) == files("x", "y")


def test_images_without_masks_are_told(tmp_path):
    photos, source = {name: Path("i") / f"{name}.jpg" for name in "cab"}, tmp_path / "data/images"
    assert require_pairs(source, photos, files("b", "c_mask", "d")) == ["c", "b"]
    masks = {"x": tmp_path / "x.png"}
    for found, such in ((masks, " (such as c.jpg and x.png)"), ({}, "")):
        with pytest.raises(UnpairedError) as caught:
            require_pairs(source, photos, found)
        both = f"3 images and {len(found)} masks"
        assert (
            str(caught.value) == f"{source}: none of its {both} have the same name{such}; name each mask like its image"
        )
    (tmp_path / "a.xml").write_text("<annotation><bndbox></bndbox></annotation>")
    with pytest.raises(
        UnpairedError, match=r"x\.png\); this looks like PASCAL VOC's boxes \(a.xml\), which is not read"
    ):
        require_pairs(source, photos, masks)
