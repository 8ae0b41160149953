"""GeoTIFFs predicted window by window: the same classes as of the plain image, at the same place on the map."""

import dataclasses
import importlib.util
import json
from pathlib import PurePosixPath

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call
from geotiffs import needs_rasterio, noise, write_geotiff
from PIL import Image

from keras_fcn import Predictor
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.rasters import opened_raster
from keras_fcn.images.values.channels import Channels
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.prediction import outputs
from keras_fcn.prediction.annotations.geojson import geojson
from keras_fcn.prediction.annotations.mask import objects
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.prediction.outputs import OutputStyle
from keras_fcn.prediction.plan import plan
from keras_fcn.prediction.rasters.predict import predict_raster
from keras_fcn.prediction.sources import find_images
from keras_fcn.prediction.to_label import describe_unsureness

pytestmark = needs_rasterio
CLASSES = ClassTable.named(["background", "roof", "tree", "river"])


def blurred_probabilities(images):
    """Probabilities that depend on a pixel and its neighbours, so that tiles differ from the whole."""
    colors = tf.nn.avg_pool2d(tf.cast(images, tf.float32), 41, 1, "SAME")
    return tf.nn.softmax(tf.concat([colors, tf.fill([*colors.shape[:3], 1], 128.0)], -1))


@pytest.fixture
def predictor():
    return Predictor(
        lambda images: tf.cast(tf.argmax(blurred_probabilities(images), -1), tf.uint8), CLASSES, blurred_probabilities
    )


def predicted(predictor, path, out, *names, style=None):
    """Predicts a raster; returns the remarks."""
    (task,) = plan(find_images([str(path)]), str(out), names or ("masks",)).tasks
    return predict_raster(predictor, task, style)


def opened(path):
    import rasterio

    return rasterio.open(path)


@pytest.mark.parametrize("options", [InferenceOptions(), InferenceOptions(tile=(64, 96), overlap=32)])
def test_the_mask_is_that_of_the_plain_image_and_lies_where_the_raster_does(tmp_path, predictor, options):
    pixels, predictor = noise(150, 210, 3), predictor.using(options)
    raster = write_geotiff(tmp_path / "a.tif", pixels, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    assert predicted(predictor, raster, tmp_path, "masks", "probabilities") == []
    with opened(raster) as source, opened(tmp_path / "masks" / "a.tif") as mask:
        np.testing.assert_array_equal(mask.read(1), predictor(pixels))
        assert len(np.unique(mask.read(1))) > 2
        assert (mask.crs, mask.transform, mask.shape) == (source.crs, source.transform, source.shape)
        assert (mask.dtypes, mask.nodata, mask.compression.name) == (("uint8",), 255, "deflate")
        assert mask.block_shapes == [(256, 256)]
        colors = [mask.colormap(1)[index][:3] for index in (0, 1, 2, 3, 255)]
        assert colors == [*CLASSES.colors, CLASSES.void_color]
        assert json.loads(mask.tags()["classes"]) == [*CLASSES.names]
    with opened(raster) as source, opened(tmp_path / "probabilities" / "a.tif") as found:
        np.testing.assert_allclose(np.moveaxis(found.read(), 0, 2), predictor.probabilities(pixels), atol=1e-3)
        assert (found.crs, found.transform, found.descriptions) == (source.crs, source.transform, CLASSES.names)


def test_large_ones_are_predicted_in_tiles_without_being_asked(tmp_path, predictor):
    pixels = noise(150, 210, 3)
    raster, predictor.limits = write_geotiff(tmp_path / "a.tif", pixels), WholeImages(tile=96, most_pixels=96 * 96)
    (remark,) = predicted(predictor, raster, tmp_path)
    assert str(remark) == f"{raster}: was predicted in tiles, as tile=(96, 96) does"
    with opened(tmp_path / "masks" / "a.tif") as mask:
        np.testing.assert_array_equal(mask.read(1), predictor.using(InferenceOptions(tile=(96, 96)))(pixels))


def test_nodata_becomes_void(tmp_path, predictor):
    pixels = noise(90, 120, 3)
    pixels[20:50, 30:90] = 0
    raster = write_geotiff(tmp_path / "a.tif", pixels, nodata=0)
    (remark,) = predicted(predictor, raster, tmp_path, "masks", "probabilities", "json", "geojson")
    assert str(remark) == f"{raster}: 16.7% of its pixels are nodata, and so void (255) in what is written"
    expected = predictor(pixels).copy()
    expected[20:50, 30:90] = 255
    with opened(tmp_path / "masks" / "a.tif") as mask, opened(tmp_path / "probabilities" / "a.tif") as probabilities:
        np.testing.assert_array_equal(mask.read(1), expected)
        np.testing.assert_array_equal(np.isnan(probabilities.read(2)), expected == 255)
    table = json.loads((tmp_path / "json" / "a.json").read_text())
    assert {row["name"]: row["pixels"] for row in table["classes"]} == {
        name: int((expected == index).sum()) for index, name in enumerate(CLASSES.names) if (expected == index).any()
    }
    features = json.loads((tmp_path / "geojson" / "a.geojson").read_text())["features"]
    assert [feature["properties"]["pixels"] for feature in features] == [
        int((expected == index).sum()) for index in (1, 2, 3) if (expected == index).any()
    ]


@pytest.mark.parametrize("tile", [None, (96, 96)])
def test_confidence_lies_where_the_raster_does(tmp_path, predictor, tile):
    pixels, predictor = noise(150, 210, 3), predictor.using(InferenceOptions(tile=tile))
    pixels[20:50, 30:90] = 0
    raster = write_geotiff(tmp_path / "a.tif", pixels, nodata=0)
    predicted(predictor, raster, tmp_path, "confidence")
    expected = predictor.probabilities(pixels).max(-1)
    with opened(raster) as source, opened(tmp_path / "confidence" / "a.tif") as found:
        assert (found.crs, found.transform, found.descriptions) == (source.crs, source.transform, ("confidence",))
        missing = np.isnan(found.read(1))
        assert missing[20:50, 30:90].all()
        assert missing.sum() == 30 * 60
        np.testing.assert_allclose(found.read(1)[~missing], expected[~missing], atol=1e-3)


def test_rasters_are_ranked_as_images_are(tmp_path, predictor):
    pixels = noise(160, 224, 3)
    raster = write_geotiff(tmp_path / "a.tif", pixels)
    tiled = predictor.using(InferenceOptions(tile=(96, 96)))
    predicted(tiled, raster, tmp_path, "to_label")
    found = json.loads((tmp_path / "to_label" / "a.json").read_text())
    expected = describe_unsureness(str(raster), pixels, tiled.probabilities(pixels))
    assert found["image"] == str(raster)
    assert found["entropy"] == pytest.approx(expected["entropy"], rel=1e-5)
    np.testing.assert_allclose(found["features"], expected["features"], atol=1e-3)


def test_rasters_of_one_channel_are_ranked_by_their_grey(tmp_path):
    pixels, classes = noise(60, 70, 3)[..., :1], ClassTable.named(["background", "roof"])
    grey = Predictor(lambda images: images[..., 0] // 128, classes, blurred_probabilities, channels=Channels("1"))
    raster = write_geotiff(tmp_path / "a.tif", pixels)
    predicted(grey, raster, tmp_path, "to_label")
    found = json.loads((tmp_path / "to_label" / "a.json").read_text())
    expected = describe_unsureness(str(raster), np.repeat(pixels, 3, axis=2), grey.probabilities(pixels))
    np.testing.assert_allclose(found["features"], expected["features"], atol=1e-2)


def test_nodata_is_not_the_brightest(tmp_path):
    """12 bits in 16 with 65535 where there is nothing: too dark to be scaled so."""
    pixels = noise(60, 70, 3).astype(np.uint16) << 4
    pixels[:, :9] = 65535
    with opened_raster(write_geotiff(tmp_path / "a.tif", pixels, nodata=65535)) as raster:
        for window in raster.windows():
            raster[window]
        assert raster.brightest == pixels[:, 9:].max()


def test_what_the_network_is_not_sure_of_is_void_and_no_nodata(tmp_path, predictor):
    pixels = noise(90, 120, 3)
    unsure = predictor.using(InferenceOptions(), Decision(unsure=0.45))
    raster = write_geotiff(tmp_path / "a.tif", pixels)
    assert predicted(unsure, raster, tmp_path) == []
    with opened(tmp_path / "masks" / "a.tif") as mask:
        np.testing.assert_array_equal(mask.read(1), unsure(pixels))
        assert 0 < (mask.read(1) == 255).mean() < 1


@pytest.mark.parametrize("zone", ["EPSG:32633", "EPSG:3857", "EPSG:4326", "EPSG:2193"])
def test_geojson_has_longitudes_and_latitudes_that_fill_the_mask_again(tmp_path, predictor, zone):
    """Whatever the raster's system: New Zealand's has its northing first."""
    from rasterio import features, transform
    from rasterio.warp import transform as to_crs

    size = 1e-5 if zone == "EPSG:4326" else 10
    origin = {"EPSG:32633": (500_000, 5_000_000), "EPSG:3857": (1_500_000, 6_000_000), "EPSG:4326": (15, 45.2),
              "EPSG:2193": (1_750_000, 5_950_000)}[zone]  # fmt: skip
    pixels = np.repeat(np.repeat(noise(10, 16, 3), 40, axis=0), 40, axis=1)  # edges much longer than 100 pixels
    place = transform.from_origin(*origin, size, size)
    raster = write_geotiff(tmp_path / "a.tif", pixels, crs=zone, transform=place)
    predicted(predictor, raster, tmp_path, "masks", "geojson")
    table = json.loads((tmp_path / "geojson" / "a.geojson").read_text())
    assert set(table) == {"type", "features"}
    shapes = []
    for feature in table["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            rings = [np.array(ring) for ring in polygon]
            areas = [(x[:-1] * y[1:] - x[1:] * y[:-1]).sum() for x, y in (ring.T - ring[:1].T for ring in rings)]
            assert areas[0] > 0 > max(areas[1:], default=-1)  # RFC 7946, 3.1.6
            back = [list(zip(*to_crs("EPSG:4326", zone, *ring.T.tolist()))) for ring in rings]
            shapes.append(({"type": "Polygon", "coordinates": back}, feature["properties"]["id"]))
    with opened(tmp_path / "masks" / "a.tif") as mask:
        ids = mask.read(1)
    np.testing.assert_array_equal(features.rasterize(shapes, ids.shape, transform=place), ids)
    longitude, latitude = rings[0][0]
    assert (170 < longitude < 180 and -40 < latitude < -35) if zone == "EPSG:2193" else 10 < longitude < 16


@pytest.mark.parametrize(
    ("zone", "left", "top", "size", "expected"),
    [("EPSG:3832", 3_330_000, 100, 100, (179.9, 180.1)), ("EPSG:4326", 190, 1, 0.001, (-170, -169.88)),
     ("EPSG:4326", -180, 60, 3, (-180, 180))],
)  # fmt: skip
def test_outlines_go_on_where_longitudes_begin_anew(tmp_path, predictor, zone, left, top, size, expected):
    from rasterio.transform import from_origin

    place = from_origin(left, top, size, size)
    raster = write_geotiff(tmp_path / "a.tif", noise(40, 120, 3), crs=zone, transform=place)
    predicted(predictor, raster, tmp_path, "masks", "geojson")
    features = json.loads((tmp_path / "geojson" / "a.geojson").read_text())["features"]
    rings = [np.array(ring) for f in features for polygon in f["geometry"]["coordinates"] for ring in polygon]
    first, last = (function(np.concatenate(rings)[:, 0]) for function in (np.min, np.max))
    assert expected[0] - 0.05 <= first < last <= expected[1] + 0.05
    assert all(np.abs(np.diff(ring[:, 0])).max() <= 100 * 3 for ring in rings)


def test_outlines_without_small_objects_are_those_of_the_image(tmp_path, predictor, monkeypatch):
    raster = write_geotiff(tmp_path / "a.tif", noise(90, 120, 3), crs=None)
    style = OutputStyle(annotations=AnnotationStyle(min_area=60, fill_holes=20))
    predicted(predictor, raster, tmp_path, "masks", "geojson", style=style)
    with opened(tmp_path / "masks" / "a.tif") as mask:
        ids = mask.read(1)
    cleaned = objects.cleaned(ids, CLASSES, style.annotations)
    assert (cleaned != ids).any()
    table = json.loads((tmp_path / "geojson" / "a.geojson").read_text())
    assert table == json.loads(json.dumps(geojson(cleaned, CLASSES)))
    monkeypatch.setattr(importlib.import_module("keras_fcn.prediction.rasters.predict"), "PICTURE_PIXELS", 10_000)
    with pytest.raises(UserError) as caught:
        predicted(predictor, raster, tmp_path / "large", "masks", "geojson", style=style)
    assert str(caught.value) == (
        f"{raster}: is too large for geojson with min_area or fill_holes, at most 0 megapixels; choose write masks"
    )


def test_without_crs_geojson_has_pixels(tmp_path, predictor):
    raster = write_geotiff(tmp_path / "a.tif", noise(90, 120, 3), crs=None)
    (remark,) = predicted(predictor, raster, tmp_path, "masks", "geojson")
    assert str(remark) == f"{raster}: says no CRS, so coordinates of its GeoJSON are pixels"
    (tmp_path / "b").mkdir()
    Image.fromarray(noise(90, 120, 3)).save(tmp_path / "b" / "a.png")
    with opened(raster) as source, opened(tmp_path / "masks" / "a.tif") as mask:
        assert mask.transform == source.transform
        table = geojson(mask.read(1), CLASSES)
    assert json.loads((tmp_path / "geojson" / "a.geojson").read_text()) == json.loads(json.dumps(table))


def test_control_points_are_kept(tmp_path, predictor):
    from rasterio.control import GroundControlPoint

    points = [
        GroundControlPoint(row, column, 15 + column / 1000, 45 - row / 1000) for row in (0, 60) for column in (0, 80)
    ]
    raster = write_geotiff(tmp_path / "a.tif", noise(60, 80, 3), transform=None, gcps=points, crs="EPSG:4326")
    (remark,) = predicted(predictor, raster, tmp_path, "masks", "geojson")
    assert remark.kind == "no CRS"
    with opened(tmp_path / "masks" / "a.tif") as mask:
        found, crs = mask.gcps
        assert [(p.row, p.col, p.x, p.y) for p in found] == [(p.row, p.col, p.x, p.y) for p in points]
        assert crs.to_epsg() == 4326


def test_pictures_are_reduced_and_other_files_have_a_largest_size(tmp_path, predictor, monkeypatch):
    pixels, predictor = noise(150, 210, 3), predictor.using(InferenceOptions(tile=(64, 64), overlap=32))
    raster = write_geotiff(tmp_path / "a.tif", pixels)
    for module in (outputs, importlib.import_module("keras_fcn.prediction.rasters.predict")):
        monkeypatch.setattr(module, "PICTURE_PIXELS", 150 * 210 // 4 - 1)
    given = {}
    monkeypatch.setitem(outputs.OUTPUTS, "panels", dataclasses.replace(
        outputs.OUTPUTS["panels"], encode=lambda prediction: given.update(found=prediction) or b""))  # fmt: skip
    predicted(predictor, raster, tmp_path, "panels")
    np.testing.assert_array_equal(given["found"].image, pixels[::3, ::3])
    np.testing.assert_array_equal(given["found"].ids, predictor(pixels)[::3, ::3])
    with pytest.raises(UserError) as caught:
        predicted(predictor, raster, tmp_path / "c", "masks", "cutouts")
    assert str(caught.value) == (f"{raster}: is too large for cutouts, at most 0 megapixels; choose write masks")
    assert not (tmp_path / "c").exists()


def test_a_failure_leaves_nothing(tmp_path, predictor, monkeypatch):
    raster = write_geotiff(tmp_path / "a.tif", noise(150, 210, 3))
    raster.write_bytes(raster.read_bytes()[:-40_000])
    with pytest.raises(UserError, match=r"a\.tif: cannot be decoded"):
        predicted(
            predictor.using(InferenceOptions(tile=(64, 64), overlap=32)), raster, tmp_path / "out", "masks", "json"
        )
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_rasters_are_found_among_images(tmp_path):
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "b.tif")
    write_geotiff(tmp_path / "a.tif", noise(4, 4, 3))
    found = find_images([str(tmp_path)])
    assert [(source.name, source.is_raster) for source in found] == [
        (PurePosixPath("a.tif"), True), (PurePosixPath("b.tif"), False)
    ]  # fmt: skip
    tasks = plan(found, "out", ("masks", "overlays", "probabilities")).tasks
    suffixes = [[target[-4:] for target in task.targets.values()] for task in tasks]
    assert suffixes == [[".tif", ".jpg", ".tif"], [".png", ".jpg", ".npz"]]


def test_the_command(trained, tmp_path):
    raster = write_geotiff(tmp_path / "a.tif", noise(64, 96, 3))
    call = Call("predict.py", trained, raster, "--out", tmp_path / "out", "--write", "masks", "geojson")
    assert (call.status, call.out) == (0, f"1 of 1 segmented: masks/, geojson/ in {tmp_path / 'out'}\n"), call.err
    with opened(tmp_path / "out" / "masks" / "a.tif") as mask:
        np.testing.assert_array_equal(mask.read(1), Predictor(trained)(noise(64, 96, 3)))
    for arguments in (["--ray", "--out", tmp_path / "out"], ["--out", "s3://bucket/out"]):
        call = Call("predict.py", trained, raster, *arguments)
        where = "--ray" if "--ray" in arguments else "--out s3://bucket/out"
        expected = f"error: {raster}: is a GeoTIFF, which is predicted on this machine, without {where}\n"
        assert (call.status, call.err) == (2, expected)
