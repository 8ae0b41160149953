"""Images of any number of channels, read from files of every kind: exactly these, or refused by a line."""

import numpy as np
import pytest
import tifffile
from geotiffs import write_geotiff
from PIL import Image

from keras_fcn import open_pairs
from keras_fcn.datasets import inspect_pairs
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.photos import as_image, displayed_size, inspect_image, read_image
from keras_fcn.images.values.channels import RGB, Channels, shown

BANDS = np.random.default_rng(0).integers(0, 256, (30, 41, 8), np.uint8)
DEEP = BANDS.astype(np.uint16) * 256 + 77


def written(folder, name, values):
    path = folder / name
    if name.endswith(".npy"):
        np.save(path, values)
    elif name.startswith("geo"):
        write_geotiff(path, values)
    elif name.endswith(".tif"):
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", metadata=None)
    else:
        Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).save(path)
    return path


@pytest.mark.parametrize("values", [BANDS, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("name", ["a.npy", "a.tif", "geo.tif"])
@pytest.mark.parametrize(
    ("text", "places"), [("8", range(8)), ("1,2,3,8", (0, 1, 2, 7)), ("8,1", (7, 0)), ("4,", (3,))]
)
def test_any_channels_of_files_of_many(tmp_path, name, values, text, places):
    path, channels = written(tmp_path, name, values), Channels(text)
    np.testing.assert_array_equal(read_image(path, channels), BANDS[..., list(places)])
    found = inspect_image(path, channels=channels)
    assert (found.size, found.channels, channels.count) == ((30, 41), 8, len(places))
    assert (found.brightest is None) == (values is BANDS)
    assert displayed_size(path) == (30, 41)


@pytest.mark.parametrize(("count", "name"), [(1, "a.png"), (2, "a.png"), (3, "a.png"), (4, "a.png"), (1, "a.bmp")])
def test_all_channels_of_pictures(tmp_path, count, name):
    path = written(tmp_path, name, BANDS[..., :count])
    np.testing.assert_array_equal(read_image(path, Channels(f"{count}" if count != 3 else "1,2,3")), BANDS[..., :count])
    assert inspect_image(path).channels == count


def test_grey_of_16_bits_keeps_the_upper(tmp_path):
    Image.fromarray(DEEP[..., 0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", Channels("1")), BANDS[..., :1])


def test_arrays_are_images_without_channels_given(tmp_path):
    np.testing.assert_array_equal(read_image(written(tmp_path, "a.npy", BANDS[..., :3])), BANDS[..., :3])
    np.save(tmp_path / "grey.npy", BANDS[..., 0])
    np.testing.assert_array_equal(as_image(tmp_path / "grey.npy"), np.repeat(BANDS[..., :1], 3, axis=2))


@pytest.mark.parametrize(
    ("values", "text", "line"),
    [
        (BANDS, "4", "has 8 channels, channels='4' is for 4; channels='8' would read these"),
        (BANDS, "1,9", "has 8 channels, there is no 9 of channels='1,9'"),
        (BANDS, "3", "has 8 channels, red, green and blue are read; channels='8' would read these"),
        (BANDS[..., 0], "4", "has 1 channel, channels='4' is for 4; channels='1' would read these"),
        (BANDS.astype(np.float32), "8", "it holds float32, whose range nothing tells; scale it to uint8, 0 to 255"),
        (np.moveaxis(np.tile(BANDS, (2, 1, 4)), 2, 0)[:8, :30], "8", "channels first; save it with these last"),
        (BANDS[None], "8", "its shape is [1, 30, 41, 8]; save an array [height, width, channels]"),
    ],
)
def test_others_are_refused(tmp_path, values, text, line):
    np.save(tmp_path / "a.npy", values)
    for read in (read_image, lambda path, channels: inspect_image(path, channels=channels)):
        with pytest.raises(DataError) as caught:
            read(tmp_path / "a.npy", Channels(text))
        assert str(caught.value).startswith(f"{tmp_path}/a.npy: ")
        assert line in str(caught.value)


def test_values_of_bands_need_a_known_range(tmp_path):
    for kind in (np.float32, np.int16, np.uint32):
        path = written(tmp_path, "a.tif", BANDS.astype(kind))
        with pytest.raises(DataError, match=f"it holds values of {kind.__name__}, whose range nothing tells"):
            read_image(path, Channels("8"))


@pytest.mark.parametrize("text", ["0", "-1", "", ",", "1,,2", "1,0", "2,2", "a", "1.5", "4 ", "1000", "\u0664"])
def test_what_says_no_channels(text):
    with pytest.raises(UserError, match="channels takes a number of channels, such as 4, or the numbers"):
        Channels(text)


def test_pictures_show_the_first_three_or_grey():
    np.testing.assert_array_equal(shown(BANDS), BANDS[..., :3])
    np.testing.assert_array_equal(shown(BANDS[..., :2]), np.repeat(BANDS[..., :1], 3, axis=2))
    assert shown(BANDS[..., :4]).flags.c_contiguous
    assert RGB.is_rgb
    assert not Channels("1,2,3").is_rgb


def test_a_data_set_of_arrays_is_listed_read_and_counted(tmp_path):
    for number in range(3):
        (tmp_path / "images").mkdir(exist_ok=True), (tmp_path / "masks").mkdir(exist_ok=True)
        np.save(tmp_path / f"images/{number}.npy", BANDS[..., : 4 + (number == 2)])
        Image.fromarray(BANDS[..., 0] % 2).save(tmp_path / f"masks/{number}.png")
    pairs = open_pairs(tmp_path, "all", channels=4)
    found = inspect_pairs(pairs)
    assert found.is_sound.tolist() == [True, True, False]
    assert found.channels.tolist() == [4, 4, 0]
    assert "2.npy: has 5 channels, channels='4' is for 4" in str(found.findings[0])
    np.testing.assert_array_equal(read_image(pairs.images[0], pairs.channels), BANDS[..., :4])
    by_pattern = open_pairs(tmp_path, "all", channels="1,4", images="images/{name}.npy", masks="masks/{name}.png")
    assert inspect_pairs(by_pattern).channels.tolist() == [4, 4, 5]
