"""GeoTIFFs for tests, written by Rasterio."""

import importlib.util

import numpy as np
import pytest

needs_rasterio = pytest.mark.skipif(
    importlib.util.find_spec("rasterio") is None,
    reason="Rasterio is not installed: pip install -r requirements-extra.txt",
)

UTM = {"crs": "EPSG:32633"}
"""A metric coordinate system in the middle of Europe."""


def write_geotiff(path, pixels, mask=None, colormap=None, colors=None, **options):
    """Writes pixels [H, W] or [H, W, bands]; half a metre wide unless options say otherwise; returns the path."""
    import rasterio
    from rasterio.transform import from_origin

    bands = np.atleast_3d(pixels)
    place = {"transform": from_origin(500_000, 5_000_000, 0.5, 0.5), **UTM}
    size = {"height": bands.shape[0], "width": bands.shape[1], "count": bands.shape[2], "dtype": bands.dtype}
    chosen = {key: value for key, value in {**place, **size, **options}.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", **chosen) as file:
        if colors is not None:
            file.colorinterp = [rasterio.enums.ColorInterp[name] for name in colors]
        if colormap is not None:
            file.write_colormap(1, colormap)
        file.write(np.moveaxis(bands, 2, 0))
        if mask is not None:
            file.write_mask(mask)
    return path


def noise(*shape, seed=0, dtype=np.uint8):
    """Returns random values of the whole range of a type."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype)
