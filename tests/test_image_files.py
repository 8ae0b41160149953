import numpy as np
import pytest
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.image_files import image_size, is_plain_jpeg, read_image, read_label, write_label
from keras_fcn.labels import ClassTable, voc_palette

VOC = ClassTable.voc()
IDS = np.array([[0, 1, 20, 255], [15, 15, 7, 0], [3, 2, 1, 0]], np.uint8)


def test_written_labels_are_palette_pngs_of_ids_in_the_classes_colors(tmp_path):
    write_label(tmp_path / "label.png", IDS, VOC)
    with Image.open(tmp_path / "label.png") as image:
        assert (image.format, image.mode) == ("PNG", "P")
        np.testing.assert_array_equal(np.asarray(image), IDS)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), voc_palette()[IDS])


def shuffled_palette(ids):
    """A palette PNG as drawing programs write it: the colours are right, the indices are their own."""
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
    with pytest.raises(UserError, match="mode RGBA"):
        read_label(tmp_path / "label.png", VOC)


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path):
    write_label(tmp_path / "label.png", IDS, VOC)
    before = (tmp_path / "label.png").read_bytes()
    with pytest.raises(TypeError):
        write_label(tmp_path / "label.png", IDS.astype(np.complex64), VOC)
    assert (tmp_path / "label.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["label.png"]


def test_photographs_become_rgb_whatever_their_mode(tmp_path):
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
