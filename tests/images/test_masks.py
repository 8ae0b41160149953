import numpy as np
import pytest
from kinds_of_files import PHOTOS, PIXELS, interlaced_png, png, shown, write_photo
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable, voc_palette
from keras_fcn.images.masks import (
    read_color_label,
    read_grey_label,
    read_label,
    read_value_label,
    write_label,
)
from keras_fcn.images.photos import image_size, is_plain_jpeg, read_image

VOC = ClassTable.voc()
IDS = np.array([[0, 1, 20, 255], [15, 15, 7, 0], [3, 2, 1, 0]], np.uint8)


def test_written_labels_are_palette_pngs_of_ids_in_the_classes_colors(tmp_path):
    write_label(tmp_path / "label.png", IDS, VOC)
    with Image.open(tmp_path / "label.png") as image:
        assert (image.format, image.mode) == ("PNG", "P")
        np.testing.assert_array_equal(np.asarray(image), IDS)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), voc_palette()[IDS])


def shuffled_palette(ids):
    """Returns a palette PNG as drawing programs write it: correct colours, arbitrary indices."""
    image = Image.fromarray(voc_palette()[ids]).quantize(8)
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), voc_palette()[ids])
    return image


def grey_palette(ids):
    image = Image.fromarray(ids)
    image.putpalette(np.repeat(np.arange(256), 3).astype(np.uint8).tobytes())
    return image


@pytest.mark.parametrize(
    "image",
    [Image.fromarray(IDS), Image.fromarray(voc_palette()[IDS]), shuffled_palette(IDS), grey_palette(IDS)],
    ids=["grey ids", "RGB", "palette by colour", "grey palette"],
)
def test_labels_are_read_from_every_kind_of_png(tmp_path, image):
    image.save(tmp_path / "label.png")
    ids = read_label(tmp_path / "label.png", VOC)
    assert ids.dtype == np.uint8
    np.testing.assert_array_equal(ids, IDS)


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_an_unknown_color_is_an_error_that_names_file_color_and_pixels(tmp_path, mode):
    rgb = voc_palette()[IDS]
    rgb[0, :2] = (127, 0, 0)
    image = Image.fromarray(rgb)
    (image if mode == "RGB" else image.quantize(16)).save(tmp_path / "label.png")
    with pytest.raises(UserError, match=r"label.png: colour \(127, 0, 0\) \(2 pixels\) belongs to no class"):
        read_label(tmp_path / "label.png", VOC)


def test_an_id_out_of_range_is_an_error_that_names_file_id_and_pixels(tmp_path):
    Image.fromarray(np.where(IDS == 15, 22, IDS).astype(np.uint8)).save(tmp_path / "label.png")
    with pytest.raises(UserError, match=r"label.png: class id 22 \(2 pixels\) is out of range"):
        read_label(tmp_path / "label.png", VOC)


def test_transparency_is_refused_and_opaqueness_is_none(tmp_path):
    rgba = Image.fromarray(voc_palette()[IDS]).convert("RGBA")
    rgba.save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(read_label(tmp_path / "opaque.png", VOC), IDS)
    rgba.putalpha(128)
    rgba.save(tmp_path / "label.png")
    with pytest.raises(UserError, match=r"12 of its 12 pixels are transparent, .*; export it opaque"):
        read_label(tmp_path / "label.png", VOC)


def test_a_failed_write_leaves_the_existing_file(tmp_path):
    write_label(tmp_path / "label.png", IDS, VOC)
    before = (tmp_path / "label.png").read_bytes()
    with pytest.raises(TypeError):
        write_label(tmp_path / "label.png", IDS.astype(np.complex64), VOC)
    assert (tmp_path / "label.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["label.png"]


def test_images_become_rgb_whatever_their_mode(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(pixels[..., None], 3, axis=2))
    assert image_size(tmp_path / "grey.png") == (5, 7)


def broken_jpeg(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-500])


@pytest.mark.parametrize("read", [read_image, image_size])
def test_truncated_jpegs_are_errors(tmp_path, read):
    broken_jpeg(tmp_path / "photo.jpg")
    with pytest.raises(UserError, match=r"photo.jpg: cannot be decoded .*truncated"):
        read(tmp_path / "photo.jpg")


@pytest.mark.parametrize("read", [read_image, is_plain_jpeg, image_size, lambda path: read_label(path, VOC)])
def test_a_text_file_named_png_is_an_error(tmp_path, read):
    (tmp_path / "note.png").write_text("not a picture")
    with pytest.raises(UserError, match=r"note.png: cannot be decoded"):
        read(tmp_path / "note.png")
    with pytest.raises(UserError, match=r"absent.png: no such file"):
        read(tmp_path / "absent.png")
    for size in range(8):  # less than the signature of a PNG
        (tmp_path / "short.png").write_bytes(b"\x89PNG\r\n\x1a\n"[:size])
        with pytest.raises(UserError, match=r"short.png: cannot be decoded"):
            read(tmp_path / "short.png")


def test_a_file_that_claims_too_many_pixels_is_refused_before_it_takes_memory(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(8, 2, [bytes(100)], (30_000, 40_000)))
    for read in (read_image, image_size, lambda path: read_label(path, VOC)):
        with pytest.raises(UserError, match=r"bomb.png: claims 1200000000 pixels, but at most 1073741824 are decoded"):
            read(tmp_path / "bomb.png")


def test_the_limits_of_pillow_are_the_users_own_and_not_ours(tmp_path, monkeypatch, recwarn):
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    write_label(tmp_path / "label.png", IDS, VOC)
    for limit in (1, PIXELS[..., 0].size - 1):  # refused by Pillow, warned of by Pillow
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        np.testing.assert_array_equal(read_image(tmp_path / "photo.png"), PIXELS)
        np.testing.assert_array_equal(read_label(tmp_path / "label.png", VOC), IDS)
        assert image_size(tmp_path / "photo.png") == PIXELS.shape[:2]
        assert limit == Image.MAX_IMAGE_PIXELS
    assert not recwarn.list


@pytest.mark.parametrize("band_pixels", [1 << 23, 200, 1])
@pytest.mark.parametrize("name", list(PHOTOS))
def test_images_of_every_kind_are_read_upright_by_all_readers_alike(tmp_path, monkeypatch, name, band_pixels):
    monkeypatch.setattr("keras_fcn.images.photos._BAND_PIXELS", band_pixels)
    path = write_photo(tmp_path, name)
    pixels = read_image(path)
    expected = shown(path)
    np.testing.assert_array_equal(pixels, expected)
    assert image_size(path) == pixels.shape[:2]
    if is_plain_jpeg(path):
        with Image.open(path) as photo:
            np.testing.assert_array_equal(np.asarray(photo.convert("RGB")), expected)


COLORS = ClassTable(("floor", "shirt", "shoe"), ((0, 0, 0), (255, 0, 0), (255, 255, 255)))
FEW = np.array([[0, 1, 2, 255, 0], [1, 1, 2, 0, 2], [2, 255, 0, 1, 1]], np.uint8)
VALUES = (0, 1, 2, *[254] * 252, 255)


GREY_READERS = (
    lambda path: read_label(path, COLORS),
    lambda path: read_value_label(path, COLORS, VALUES),
    lambda path: read_grey_label(path, COLORS, VALUES),
)


def readers(path):
    """Returns a mask's ids from each of the three readers of grey values."""
    return [read(path) for read in GREY_READERS]


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(FEW),
        Image.fromarray(FEW.astype(np.uint16)),
        Image.merge("LA", [Image.fromarray(FEW), Image.new("L", (5, 3), 255)]),
        grey_palette(FEW),
    ],
    ids=["8 bits", "16 bits", "opaque alpha", "grey palette"],
)
def test_grey_masks_of_every_kind(tmp_path, image):
    image.save(tmp_path / "mask.png")
    for ids in readers(tmp_path / "mask.png"):
        np.testing.assert_array_equal(ids, FEW)
        assert ids.dtype == np.uint8


def test_interlaced_masks(tmp_path):
    ids = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), (13, 11))
    (tmp_path / "grey.png").write_bytes(interlaced_png(ids))
    (tmp_path / "colour.png").write_bytes(interlaced_png(COLORS.to_rgb(ids)))
    with Image.open(tmp_path / "grey.png") as image:
        assert image.info["interlace"]
    for found in [*readers(tmp_path / "grey.png"), read_color_label(tmp_path / "colour.png", COLORS)]:
        np.testing.assert_array_equal(found, ids)


def test_masks_of_1_bit_are_ids_0_and_1_or_black_and_white(tmp_path):
    ids = np.array([[0, 1, 0, 1, 1], [1, 0, 0, 1, 0]], np.uint8)
    Image.fromarray(ids * 255).convert("1").save(tmp_path / "mask.png")
    for found in readers(tmp_path / "mask.png"):
        np.testing.assert_array_equal(found, ids)
    np.testing.assert_array_equal(read_color_label(tmp_path / "mask.png", COLORS), 2 * ids)


@pytest.mark.parametrize(("bits", "row"), [(2, b"\0\x1b\x1b"), (4, b"\0\x01\x23\x01\x23")])
def test_grey_masks_of_2_and_4_bits_are_refused_where_values_count(tmp_path, bits, row):
    (tmp_path / "mask.png").write_bytes(png(bits, 0, [row], (1, 8)))
    for read in GREY_READERS:
        with pytest.raises(UserError, match=f"mask.png: is grey in {bits} bits, .*; export 8-bit grey"):
            read(tmp_path / "mask.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "P in 2 bits"])
def test_colour_masks_of_every_kind(tmp_path, mode):
    image = Image.fromarray(COLORS.to_rgb(FEW))
    if mode.startswith("P"):
        image.quantize(4).save(tmp_path / "mask.png", bits=2 if mode == "P in 2 bits" else 8)
    else:
        image.convert(mode).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_color_label(tmp_path / "mask.png", COLORS), FEW)
    with Image.open(tmp_path / "mask.png") as written:
        assert written.mode == mode.split()[0]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.fromarray(COLORS.to_rgb(FEW)).convert("RGBA"), "15 of its 15 pixels are transparent"),
        (Image.fromarray(FEW).convert("LA"), "15 of its 15 pixels are transparent"),
        (Image.fromarray(FEW.astype(np.uint16) * 256), "has values above 255"),
    ],
    ids=["RGBA", "LA", "16 bits"],
)
def test_masks_that_could_be_misread_are_refused(tmp_path, image, message):
    if image.mode in ("RGBA", "LA"):
        image.putalpha(200)
    image.save(tmp_path / "mask.png")
    with pytest.raises(UserError, match=f"mask.png: {message}"):
        read_color_label(tmp_path / "mask.png", COLORS)
    with pytest.raises(UserError, match=rf"mask.png: ({message}|holds the value)"):
        read_value_label(tmp_path / "mask.png", COLORS, VALUES)


def test_masks_are_turned_by_their_own_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6  # to be shown a quarter turn clockwise
    Image.fromarray(FEW).save(tmp_path / "mask.png", exif=exif)
    for ids in readers(tmp_path / "mask.png"):
        np.testing.assert_array_equal(ids, np.rot90(FEW, -1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "it is a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><title>404</title>", "it is a web page"),
        (b"something else altogether", "cannot identify image file"),
    ],
)
def test_what_is_no_image_is_told(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.jpg: cannot be decoded \({reason}"):
        read_image(tmp_path / "a.jpg")


def test_a_file_shorter_than_what_formats_look_at_is_named(tmp_path):
    Image.init()  # all formats, as after a file of a rare one
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match=r"a\.jpg: cannot be decoded \(cannot identify image file\)"):
        read_image(tmp_path / "a.jpg")
