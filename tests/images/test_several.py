"""Files of several pictures: the one that is read is said, and a mask must be alone."""

import struct
import warnings

import numpy as np
import pytest
import rasterio
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keras_fcn.errors import DataError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.label_files.content import label_content
from keras_fcn.images.masks import read_label
from keras_fcn.images.photos import as_image, inspect_image, read_image, read_remarked
from keras_fcn.images.several import describe_several, pages_in

FIRST, SECOND, THIRD = (np.full((20, 30, 3), grey, np.uint8) for grey in (40, 120, 200))
SUFFIXES = (".tif", ".gif", ".png", ".webp", ".mpo", ".jpg")


def save(path, first, *others, **options):
    """Writes pictures into one file; Pillow makes an MPO of several JPEGs."""
    several = {"save_all": True, "append_images": [*map(Image.fromarray, others)]} if others else {}
    form = {"format": "MPO"} if path.suffix == ".jpg" and others else {}
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    Image.fromarray(first).save(path, **several, **form, **lossless, **options)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_several_pictures_are_counted_and_the_first_is_read(tmp_path, suffix):
    several = save(tmp_path / f"several{suffix}", FIRST, SECOND, THIRD)
    image, remark = read_remarked(several)
    assert inspect_image(several).pictures == 3
    np.testing.assert_allclose(image, FIRST, atol=1)
    np.testing.assert_array_equal(image, read_image(several))
    assert (remark.kind, str(remark)) == (
        "several pictures",
        f"{several}: holds 3 pictures, of which the first is read; save the others as files of their own if "
        "they are meant",
    )
    with pytest.warns(UserWarning, match="holds 3 pictures"):
        as_image(several)
    content = several.read_bytes()
    assert read_remarked("s3://b/x", content)[1].count == 1
    alone = save(tmp_path / f"alone{suffix}", FIRST)
    assert (inspect_image(alone).pictures, read_remarked(alone)[1]) == (1, None)


def test_pages_of_a_geotiff_are_counted(tmp_path):
    path = save(tmp_path / "a.tif", FIRST, SECOND, THIRD)
    path.with_suffix(".tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    image, remark = read_remarked(path)
    np.testing.assert_array_equal(image, FIRST)
    assert "holds 3 pictures" in str(remark)
    assert inspect_image(path).pictures == 3


def test_a_second_page_of_exabytes_is_no_page(tmp_path):
    first = struct.pack("<2sHHHQQHHQQQ", b"II", 43, 8, 0, 16, 1, 256, 4, 1, 4, 52)
    (tmp_path / "a.tif").write_bytes(first + struct.pack("<Q", 1 << 58))
    assert pages_in(tmp_path / "a.tif") == 1


def test_a_text_of_a_png_is_no_picture(tmp_path):
    texts = PngInfo()
    texts.add_text("sizes", "16 32")
    path = save(tmp_path / "a.png", FIRST, pnginfo=texts)
    assert (inspect_image(path).pictures, read_remarked(path)[1]) == (1, None)


def test_an_icon_is_read_at_its_largest(tmp_path):
    icon = save(tmp_path / "a.ico", np.tile(FIRST[:16, :16], (4, 4, 1)), sizes=[(16, 16), (64, 64)])
    image, remark = read_remarked(icon)
    assert (inspect_image(icon).pictures, image.shape) == (2, (64, 64, 3))
    assert "a.ico: holds 2 pictures, of which the largest is read" in str(remark)


def test_previews_overviews_and_transparency_are_no_pictures(tmp_path):
    preview = save(tmp_path / "preview.jpg", FIRST, SECOND[:10, :15])
    assert inspect_image(preview).pictures == 1
    path = tmp_path / "overviews.tif"
    with warnings.catch_warnings(action="ignore"), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):  # it has no place
        with rasterio.open(path, "w", driver="GTiff", height=600, width=600, count=3, dtype="uint8") as file:
            file.write(np.zeros((3, 600, 600), np.uint8))
            file.write_mask(np.full((600, 600), 255, np.uint8))
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4])
    assert inspect_image(path).pictures == 1


@pytest.mark.parametrize(("order", "is_big"), [("<", False), (">", False), ("<", True)])
def test_pages_of_every_form_of_tiff_are_counted(tmp_path, order, is_big):
    """By hand: a thumbnail first, then a page, then its smaller copy; the last points to the first."""
    number, entry, long = ("Q", "HHQQ", "Q") if is_big else ("H", "HHII", "I")
    start = 16 if is_big else 8
    size = struct.calcsize(order + number) + 7 * struct.calcsize(order + entry) + struct.calcsize(order + long)

    def page(kind, following):
        value = struct.Struct(order + entry).pack
        short = (lambda number: number) if order == "<" else (lambda number: number << (48 if is_big else 16))
        tags = [
            value(254, 4, 1, kind), value(256, 3, 1, short(1)), value(257, 3, 1, short(1)), value(258, 3, 1, short(8)),
            value(262, 3, 1, short(1)), value(273, 4, 1, start), value(279, 4, 1, 1),
        ]  # fmt: skip
        return struct.pack(order + number, len(tags)) + b"".join(tags) + struct.pack(order + long, following)

    mark = b"II" if order == "<" else b"MM"
    middle = struct.pack(order + "HHH", 43, 8, 0) if is_big else struct.pack(order + "H", 42)
    pages = b"".join(page(kind, start + size * to) for kind, to in ((1, 1), (0, 2), (1, 0)))
    path = tmp_path / "a.tif"
    path.write_bytes(mark + middle + struct.pack(order + long, start) + pages)
    assert inspect_image(path).pictures == 2


@pytest.mark.parametrize("suffix", SUFFIXES[:4])
def test_a_mask_of_several_pictures_is_refused(tmp_path, suffix):
    path = save(tmp_path / f"mask{suffix}", *(picture[..., 0] // 40 for picture in (FIRST, SECOND, THIRD)))
    for read in (label_content, lambda path: read_label(path, ClassTable.voc())):
        with pytest.raises(
            DataError, match=f"{path}: holds 3 pictures, and nothing says which .*; save that"
        ) as caught:
            read(path)
        assert caught.value.kind == "several pictures"


def test_what_is_damaged_behind_its_first_picture_is_read(tmp_path):
    path = save(tmp_path / "a.tif", FIRST, SECOND, THIRD)
    path.write_bytes(path.read_bytes()[:2000])
    np.testing.assert_array_equal(read_image(path), FIRST)
    assert inspect_image(path).pictures == 1


def test_many_files_are_one_line():
    line = describe_several({"a.tif": 2, "b.tif": 12, "c.gif": 3})
    assert line.startswith("a.tif and 2 more: hold up to 12 pictures each, of which the first is read")
