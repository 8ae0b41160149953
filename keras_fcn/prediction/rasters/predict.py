"""Predicting a GeoTIFF, of any size, in bounded memory."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from keras_fcn.drawing.palettes import picture_colors
from keras_fcn.errors import Remark, UserError, argument
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.images.depth import DARK, dark_ones, describe_dark
from keras_fcn.images.rasters import Raster, Window, opened_raster
from keras_fcn.images.several import SEVERAL, describe_several, pages_in
from keras_fcn.inference.large import within_memory
from keras_fcn.inference.predictor import Predictor
from keras_fcn.inference.tiling import Tiled
from keras_fcn.prediction.annotations.tally import Tally
from keras_fcn.prediction.outputs import OUTPUTS, PICTURE_PIXELS, OutputStyle, Prediction, encode_table
from keras_fcn.prediction.photos import segment
from keras_fcn.prediction.plan import Task
from keras_fcn.prediction.rasters.geotiff import GeoTiff, new_mask, new_probabilities
from keras_fcn.prediction.rasters.outlines import write_outlines
from keras_fcn.runs import names
from keras_fcn.system.files import replaced_file

_REDUCED = ("overlays", "panels")
"""The outputs that are pictures of a raster however large it is."""

_BY_BLOCKS = ("masks", "probabilities", "geojson", "json")
"""The outputs that are made block by block, outlines unless objects are left out or filled; others of whole images."""


def predict_raster(
    predictor: Predictor,
    task: Task,
    style: OutputStyle | None = None,
    begin: Callable[[int], object] = lambda blocks: None,
    advance: Callable[[], object] = lambda: None,
) -> list[Remark]:
    """Predicts a GeoTIFF window by window, and writes all of its output files atomically, or none.

    Args:
        predictor: The model.
        task: The raster to read and the files to write.
        style: The style of pictures and annotations.
        begin: Called with the number of blocks.
        advance: Called after each block.

    Returns:
        What should be looked at.

    Raises:
        UserError: If the raster cannot be read or a file cannot be written.
    """
    location, targets, style = task.source.location, task.targets, style or OutputStyle()
    is_cleaned = style.annotations.min_area > 0 or style.annotations.fill_holes > 0
    by_blocks = tuple(output for output in _BY_BLOCKS if output != "geojson" or not is_cleaned)
    with opened_raster(location) as raster, contextlib.ExitStack() as stack:
        height, width = raster.shape[:2]
        step = _step(height, width)
        _require_whole(location, targets, step, by_blocks)
        paths = {output: stack.enter_context(replaced_file(Path(target))) for output, target in targets.items()}
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        paths.setdefault("masks", Path(scratch, "mask.tif"))
        tiled = predictor.tiles_of(height, width)
        begin(1 if tiled is None else tiled.number(height, width))
        drawn = any(output not in by_blocks for output in targets)
        pictures = _Reduced(raster, step) if drawn else None
        tally, missing = Tally(), 0
        with (
            within_memory(location, f"add {argument('tile', (1024, 1024))}"),
            _files(paths, raster, predictor) as files,
        ):
            for window, ids, probabilities in _blocks(predictor, raster, "probabilities" in paths):
                missing += _write(files, raster, window, ids, probabilities)
                tally.add(ids, window[0].start, window[1].start)
                if pictures is not None:
                    pictures.add(window, ids)
                advance()
        for output, path in paths.items():
            if output == "geojson":
                mask, pixels = paths["masks"], tally.pixels
                if pictures is not None and is_cleaned:
                    ids = pictures.prediction(task, output, predictor, style).annotated
                    mask, pixels = Path(scratch, "annotated.tif"), np.bincount(ids.ravel(), minlength=256)
                    with new_mask(mask, raster, predictor.classes) as file:
                        file.write((slice(0, height), slice(0, width)), ids[None])
                try:
                    write_outlines(path, mask, raster, predictor.classes, pixels)
                except UserError as error:
                    raise UserError(f"{location}: {error}") from None
            elif output == "json":
                path.write_bytes(encode_table(str(task.source.name), (height, width), tally, predictor.classes))
            elif output not in by_blocks:
                assert pictures is not None
                prediction = pictures.prediction(task, output, predictor, style)
                path.write_bytes(OUTPUTS[output].encode(prediction))
        share = missing / (height * width)
        return _remarks(location, raster, share, "geojson" in targets, None if predictor.is_tiled else tiled)


def _step(height: int, width: int) -> int:
    """Returns which of a raster's pixels make a picture: every one, second, third ..."""
    step = math.ceil(math.sqrt(height * width / PICTURE_PIXELS))
    return step + (-(-height // step) * -(-width // step) > PICTURE_PIXELS)


def _require_whole(location: str, outputs: dict[str, str], step: int, by_blocks: tuple[str, ...]) -> None:
    """Raises UserError if one of the outputs takes a whole image, and the raster is too large for that."""
    unknown = [name for name in outputs if names.OUTPUTS[name].of_probabilities and name not in _BY_BLOCKS]
    if unknown:
        raise UserError(
            f"{location}: is a GeoTIFF, for which there is no {unknown[0]}; choose {argument('write')} probabilities"
        )
    whole = [output for output in outputs if output not in (*_REDUCED, *by_blocks)]
    if whole and step > 1:
        least = " ".join(output for output in outputs if output not in whole) or "masks"
        cleaned = f"geojson with {argument('min_area')} or {argument('fill_holes')}"
        words = " and ".join(cleaned if output == "geojson" else output for output in whole)
        raise UserError(
            f"{location}: is too large for {words}, at most {PICTURE_PIXELS / 1e6:.0f} megapixels; choose "
            f"{argument('write')} {least}"
        )


@contextlib.contextmanager
def _files(paths: dict[str, Path], raster: Raster, predictor: Predictor) -> Iterator[dict[str, GeoTiff]]:
    with contextlib.ExitStack() as stack:
        files = {"masks": stack.enter_context(new_mask(paths["masks"], raster, predictor.classes))}
        if "probabilities" in paths:
            new = new_probabilities(paths["probabilities"], raster, predictor.classes)
            files["probabilities"] = stack.enter_context(new)
        yield files


def _blocks(
    predictor: Predictor, raster: Raster, needs_probabilities: bool
) -> Iterator[tuple[Window, np.ndarray, np.ndarray | None]]:
    """Yields windows that cover the raster once, their class ids uint8 [h, w] and probabilities float32 [h, w, C]."""
    height, width = raster.shape[:2]
    tiled = predictor.tiles_of(height, width)
    if tiled is None:
        whole = slice(0, height), slice(0, width)
        ids, probabilities = segment(predictor, [raster[whole]], needs_probabilities)
        yield whole, np.array(ids[0]), None if probabilities is None else np.array(probabilities[0])
        return
    for rows, columns, block in tiled.blocks(raster):
        yield (rows, columns), np.array(predictor.decide(block)), block if needs_probabilities else None


def _write(
    files: dict[str, GeoTiff], raster: Raster, window: Window, ids: np.ndarray, probabilities: np.ndarray | None
) -> int:
    """Writes a block; what is nodata in the raster becomes void in `ids`, and NaN in `probabilities`.

    Returns:
        The number of these pixels.
    """
    nodata = 0
    if raster.has_gaps:
        missing = ~raster.valid(window)
        nodata = int(missing.sum())
        ids[missing] = VOID_LABEL
        if probabilities is not None:
            probabilities[missing] = np.nan
    files["masks"].write(window, ids[None])
    if probabilities is not None:
        files["probabilities"].write(window, np.moveaxis(probabilities, 2, 0))
    return nodata


class _Reduced:
    """Every pixel of a raster and its class ids or, for pictures, every second, third ... of them.

    Args:
        raster: The raster.
        step: 1 for every pixel, 2 for every second ...
    """

    def __init__(self, raster: Raster, step: int) -> None:
        self._raster, self._step = raster, step
        height, width = (-(-length // step) for length in raster.shape[:2])
        self.image, self.ids = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.uint8)

    def add(self, window: Window, ids: np.ndarray) -> None:
        """Adds a block's class ids, uint8 [rows, columns]."""
        first = [-part.start % self._step for part in window]
        inner = tuple(slice(skipped, None, self._step) for skipped in first)
        chosen = ids[inner]
        top, left = ((part.start + skipped) // self._step for part, skipped in zip(window, first))
        place = slice(top, top + chosen.shape[0]), slice(left, left + chosen.shape[1])
        self.image[place], self.ids[place] = self._raster[window][inner], chosen

    def prediction(self, task: Task, output: str, predictor: Predictor, style: OutputStyle) -> Prediction:
        """Returns the prediction that an output is made of."""
        shown = picture_colors(predictor.classes, style.palette)
        return Prediction(
            str(task.source.name), self.image, self.ids, predictor.classes, shown, None, style.alpha,
            task.source.location, task.targets[output], style.annotations,
        )  # fmt: skip


def _remarks(location: str, raster: Raster, nodata: float, is_outlined: bool, tiled: Tiled | None) -> list[Remark]:
    """Returns remarks; `nodata` is the fraction of such pixels, `tiled` are tiles that nobody asked for."""
    remarks = []
    if tiled is not None:
        text = f"{location}: was predicted in tiles, as {argument('tile', tiled.tile)} does"
        remarks.append(Remark("tiles", text))
    if nodata:
        text = f"{location}: {nodata:.1%} of its pixels are nodata, and so void ({VOID_LABEL}) in what is written"
        remarks.append(Remark("nodata", text))
    if is_outlined and raster.crs is None:
        remarks.append(Remark("no CRS", f"{location}: says no CRS, so coordinates of its GeoJSON are pixels"))
    if raster.brightest is not None and dark_ones({location: raster.brightest}):
        remarks.append(Remark(DARK, describe_dark({location: raster.brightest})))
    if (pages := pages_in(location)) > 1:
        remarks.append(Remark(SEVERAL, describe_several({location: pages})))
    return remarks
