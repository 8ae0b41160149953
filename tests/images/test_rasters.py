"""GeoTIFFs as images: the pixels that Rasterio was given come back as the RGB that the documentation says."""

import importlib.util

import numpy as np
import pytest
from conftest import Call
from geotiffs import needs_rasterio, noise, write_geotiff
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import write_label
from keras_fcn.images.photos import decoded_bytes, displayed_size, inspect_image, orientation_of, read_image
from keras_fcn.images.rasters import is_raster, opened_raster
from keras_fcn.pipeline.batches import evaluation_dataset

RGB = noise(40, 50, 3)
DEEP = noise(40, 50, 3, dtype=np.uint16)


@needs_rasterio
def test_a_tiff_with_a_place_is_a_raster(tmp_path):
    plain, cut = tmp_path / "plain.tif", tmp_path / "cut.tif"
    Image.fromarray(RGB).save(plain)
    placed = write_geotiff(tmp_path / "placed.tif", RGB)
    cut.write_bytes(placed.read_bytes()[:100])
    assert is_raster(placed)
    assert is_raster(write_geotiff(tmp_path / "big.TIFF", RGB, bigtiff="yes"))
    assert is_raster(write_geotiff(tmp_path / "crs.tif", RGB, transform=None))
    assert not any(map(is_raster, (plain, cut, tmp_path / "missing.tif", placed.with_suffix(".png"))))
    plain.with_suffix(".tfw").write_text("0.5\n0\n0\n-0.5\n500000\n5000000\n")
    assert is_raster(plain)


@needs_rasterio
@pytest.mark.parametrize(
    ("pixels", "options", "expected"),
    [
        (RGB, {}, RGB),
        (RGB, {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}, RGB),
        (RGB, {"interleave": "band"}, RGB),
        (RGB[..., 0], {}, RGB[..., [0, 0, 0]]),
        (RGB[..., 0], {"photometric": "miniswhite"}, 255 - RGB[..., [0, 0, 0]]),
        (RGB[..., 0] % 2, {"colormap": {0: (1, 2, 3, 255), 1: (90, 80, 70, 255)}},
         np.array([[1, 2, 3], [90, 80, 70]], np.uint8)[RGB[..., 0] % 2]),
        (np.uint16(RGB[..., 0]) % 2 + 300, {"colormap": {300: (1, 2, 3, 255), 301: (90, 80, 70, 255)}},
         np.array([[1, 2, 3], [90, 80, 70]], np.uint8)[RGB[..., 0] % 2]),
        (DEEP, {}, (DEEP >> 8).astype(np.uint8)),
        (DEEP[..., 0], {"interleave": "band", "compress": "deflate"}, (DEEP[..., [0, 0, 0]] >> 8).astype(np.uint8)),
        (np.dstack([RGB, RGB[..., 0]]), {}, RGB),
        (np.dstack([DEEP[..., ::-1], DEEP]), {"colors": ["blue", "green", "red", *3 * ["undefined"]]},
         (DEEP >> 8).astype(np.uint8)),
    ],
    ids=["rgb", "tiled", "planes", "grey", "white is 0", "palette", "deep palette", "16 bits", "16 bits grey", "alpha",
         "six bands"],
)  # fmt: skip
def test_bands_become_rgb(tmp_path, pixels, options, expected):
    path = write_geotiff(tmp_path / "a.tif", pixels, **options)
    np.testing.assert_array_equal(read_image(path), expected)
    with opened_raster(path) as raster:
        np.testing.assert_array_equal(raster[3:17, 20:50], expected[3:17, 20:50])
    assert displayed_size(path) == inspect_image(path).size == (40, 50)
    is_8_bits = pixels.dtype == np.uint8 or "colormap" in options
    assert inspect_image(path).brightest == (None if is_8_bits else pixels.max())
    assert (orientation_of(path), decoded_bytes(path)) == (1, 40 * 50 * 3)


@needs_rasterio
def test_windows_cover_it_once(tmp_path):
    with opened_raster(write_geotiff(tmp_path / "a.tif", RGB)) as raster:
        seen = np.zeros((40, 50), int)
        for window in raster.windows(pixels=350):
            seen[window] += 1
        assert (seen == 1).all()


@needs_rasterio
@pytest.mark.parametrize(
    ("options", "has_gaps"), [({}, False), ({"nodata": 0}, True), ({"mask": np.uint8(255) * (RGB[..., 0] > 9)}, True)]
)
def test_nodata_is_what_the_file_says(tmp_path, options, has_gaps):
    pixels = RGB.copy()
    pixels[:5] = 0
    with opened_raster(write_geotiff(tmp_path / "a.tif", pixels, **options)) as raster:
        expected = pixels.any(axis=2) if "nodata" in options else RGB[..., 0] > 9 if has_gaps else np.ones((40, 50))
        assert raster.has_gaps is has_gaps
        np.testing.assert_array_equal(raster.valid(np.s_[0:40, 10:50]), expected[:, 10:])


@needs_rasterio
@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (np.float32(RGB), {}, "it holds values of float32, whose range nothing tells; scale them to 8 bits, 0 to 255"),
        (noise(40, 50, 5), {"photometric": "minisblack"},
         "it has 5 bands (gray, undefined, undefined, undefined, ...), not all of red, green and blue among them; "
         "channels='1,2,3' reads these three, channels='5' all"),
        (RGB[..., 0] % 2, {"nbits": 1}, "its values have 1 bits, where ids and shades look alike; save it with 8 bits"),
    ],
)  # fmt: skip
def test_others_are_refused_by_name(tmp_path, pixels, options, reason):
    path = write_geotiff(tmp_path / "a.tif", pixels, **options)
    for read in (read_image, inspect_image):
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: cannot be decoded ({reason})"


@needs_rasterio
def test_one_that_ends_early_is_one_line(tmp_path):
    path = write_geotiff(tmp_path / "a.tif", RGB)
    path.write_bytes(path.read_bytes()[:-2000])
    for read in (read_image, inspect_image):
        with pytest.raises(DataError, match=r"^.*a\.tif: cannot be decoded \(.+\); replace the file or remove it"):
            read(path)


@needs_rasterio
def test_without_the_extra_it_is_one_line(tmp_path, monkeypatch):
    path = write_geotiff(tmp_path / "a.tif", RGB)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        read_image(path)
    assert str(caught.value) == (
        f"{path} (a GeoTIFF): needs rasterio, which is not installed: pip install -r requirements-extra.txt, or "
        'pip install "keras-fcn[extra]"'
    )


@needs_rasterio
def test_a_folder_of_them_is_a_data_set(tmp_path):
    """The check, training and evaluation read it; what Pillow cannot even open, six bands of 16 bits, too."""
    deep = np.dstack([DEEP[..., ::-1], DEEP])
    bands = {"colors": ["blue", "green", "red", *3 * ["undefined"]]}
    for name, pixels, options in (("a", RGB, {}), ("b", RGB, {"compress": "deflate"}), ("c", deep, bands)):
        write_geotiff(tmp_path / "images" / f"{name}.tif", pixels, **options)
        (tmp_path / "masks").mkdir(exist_ok=True)
        write_label(tmp_path / "masks" / f"{name}.png", RGB[..., 0] % 3, ClassTable.numbered(3))
    pairs = open_pairs(tmp_path, "all")
    inspection = inspect_pairs(pairs)
    assert (inspection.findings, inspection.sizes.tolist()) == ((), [[40, 50]] * 3)
    whole = list(evaluation_dataset(pairs))
    for (images, labels), expected in zip(whole, (RGB, RGB, (DEEP >> 8).astype(np.uint8)), strict=True):
        np.testing.assert_array_equal(images[0], expected)
        np.testing.assert_array_equal(labels[0], RGB[..., 0] % 3)
    call = Call("keras_fcn/convert.py", tmp_path, tmp_path / "converted")
    assert call.status == 0, call.err
    converted = open_pairs(tmp_path / "converted", "train").images + open_pairs(tmp_path / "converted", "val").images
    assert sorted(path.name for path in converted) == ["a.tif", "b.tif", "c.tif"]
    assert all(map(is_raster, converted))


@needs_rasterio
@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("uint8", {"nodata": 0}),
        ("uint8", {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate", "predictor": 2}),
        ("uint16", {"compress": "lzw"}),
        ("int32", {}),
        ("float32", {"nodata": -9999}),
        ("uint8", {"colormap": {index: (*color, 255) for index, color in enumerate(ClassTable.numbered(3).colors)}}),
    ],
)
def test_masks_may_be_geotiffs(tmp_path, dtype, options):
    """As QGIS rasterizes them, say: in floats, and with 0 as nodata, which is the first class nevertheless."""
    ids = RGB[..., 0] % 3
    for name in "ab":
        write_geotiff(tmp_path / "images" / f"{name}.tif", RGB)
        write_geotiff(tmp_path / "masks" / f"{name}.tif", ids.astype(dtype), **options)
    pairs = open_pairs(tmp_path, "all")
    assert inspect_pairs(pairs).findings == ()
    np.testing.assert_array_equal(pairs.read_label(pairs.labels[0]), ids)


@pytest.mark.parametrize(
    ("name", "start", "kind"),
    [
        ("a.img", b"EHFA_HEADER_TAG\0\1", "an Erdas Imagine raster"),
        ("a.vrt", b'<VRTDataset rasterXSize="3" rasterYSize="2">', "a virtual raster, which names other files"),
    ],
)
def test_other_rasters_are_refused_by_name(tmp_path, name, start, kind):
    (tmp_path / name).write_bytes(start)
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / name)
    fix = "gdal_translate FILE FILE.tif makes a GeoTIFF of it"
    assert str(caught.value).startswith(f"{tmp_path}/{name}: cannot be decoded ({kind}; {fix})")
