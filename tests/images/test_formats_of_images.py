"""Images in GIF, AVIF and HEIC."""

import numpy as np
import pytest
from kinds_of_files import PIXELS
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images.photos import displayed_size, image_size, inspect_image, read_image
from keras_fcn.system import packages

FORMS = [".avif", ".heic"]


def write(path, pixels=PIXELS, orientation=1, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    if path.suffix == ".heic":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(path, quality=95, exif=exif.tobytes(), **options)
    else:
        Image.fromarray(pixels).save(path, quality=95, exif=exif, **options)
    return path


def test_the_first_picture_of_a_gif_is_read(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (5, 3), np.uint8)
    pixels = colors[np.random.default_rng(1).integers(0, 5, (7, 9))]
    Image.fromarray(pixels).save(tmp_path / "a.gif", save_all=True, append_images=[Image.fromarray(255 - pixels)])
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif"), pixels)
    assert inspect_image(tmp_path / "a.gif").size == (7, 9)


@pytest.mark.parametrize("suffix", FORMS)
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_turned_images_are_upright(tmp_path, suffix, orientation, turns):
    path = write(tmp_path / f"a{suffix}", orientation=orientation)
    expected = np.rot90(PIXELS, turns).astype(int)
    pixels = read_image(path)
    assert image_size(path) == displayed_size(path) == expected.shape[:2] == pixels.shape[:2]
    assert np.abs(pixels - expected).mean() < 8  # both are lossy; the next nearest turn is 80 away
    assert inspect_image(path).brightest is None


@pytest.mark.parametrize("suffix", FORMS)
def test_what_is_cut_off_is_one_line(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}")
    content = path.read_bytes()
    for size in (0, 12, 40, 200, len(content) // 2, len(content) - 9):
        path.write_bytes(content[:size])
        for read in (read_image, inspect_image):
            with pytest.raises(DataError, match=r"cannot be decoded \(.*\); replace the file") as caught:
                read(path)
            assert "\n" not in str(caught.value)


def test_a_heic_is_checked_by_its_pixels_and_not_by_a_thumbnail(tmp_path, monkeypatch):
    path = write(tmp_path / "a.heic", thumbnails=[16])
    heic = pytest.importorskip("pillow_heif").HeifImageFile
    monkeypatch.setattr(heic, "draft", lambda *_: pytest.fail("this would decode the thumbnail"))
    assert inspect_image(path).size == PIXELS.shape[:2]


def test_without_its_decoder_a_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"a.heic: is a HEIC: needs pillow_heif, which is not installed: pip install"):
        read_image(tmp_path / "a.heic")
