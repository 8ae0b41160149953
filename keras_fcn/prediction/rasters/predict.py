"""Predicting a GeoTIFF, of any size, in bounded memory."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from keras_fcn.drawing.palettes import picture_colors
from keras_fcn.errors import Remark, UserError, about, argument
from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.images.rasters import Raster, Window, opened_raster
from keras_fcn.images.several import SEVERAL, describe_several, pages_in
from keras_fcn.images.values.channels import shown
from keras_fcn.images.values.depth import DARK, dark_ones, describe_dark
from keras_fcn.inference.large import within_memory
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.annotations.tally import Tally
from keras_fcn.prediction.outputs import OUTPUTS, PICTURE_PIXELS, OutputStyle, Prediction, encode_table
from keras_fcn.prediction.photos import segment
from keras_fcn.prediction.plan import Task
from keras_fcn.prediction.rasters.geotiff import GeoTiff, new_layer, new_mask
from keras_fcn.prediction.rasters.outlines import write_outlines
from keras_fcn.prediction.to_label import Unsureness
from keras_fcn.system.files import replaced_file
from keras_fcn.system.text import json_bytes

_REDUCED = ("overlays", "panels")
"""The outputs that are pictures of a raster however large it is."""

_LAYERS = ("probabilities", "confidence")
"""The outputs of probabilities that are GeoTIFFs."""

_BY_BLOCKS = ("masks", *_LAYERS, "to_label", "geojson", "json")
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
    style = style or OutputStyle()
    with opened_raster(task.source.location, predictor.channels) as raster, contextlib.ExitStack() as stack:
        work = _Work(predictor, task, style, raster)
        work.require_whole()
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        paths = {output: stack.enter_context(replaced_file(Path(target))) for output, target in task.targets.items()}
        mask = paths.get("masks", scratch / "mask.tif")
        begin(1 if work.tiled is None else work.tiled.number(*raster.shape[:2]))
        with (
            within_memory(task.source.location, f"add {argument('tile', (1024, 1024))}"),
            new_mask(mask, raster, predictor.classes) as ids,
            _new_layers(paths, raster, predictor.classes) as layers,
        ):
            for _ in work.write_blocks(ids, layers):
                advance()
        for output, path in paths.items():
            if output != "masks" and output not in _LAYERS:
                work.write(output, path, mask, scratch)
        return work.remarks()


@contextlib.contextmanager
def _new_layers(paths: Mapping[str, Path], raster: Raster, classes: ClassTable) -> Iterator[dict[str, GeoTiff]]:
    """Creates the files of probabilities and confidence, those that there are to be, by the output's name."""
    with contextlib.ExitStack() as stack:
        bands = [(name, of) for name, of in zip(_LAYERS, (classes.names, ("confidence",))) if name in paths]
        yield {name: stack.enter_context(new_layer(paths[name], raster, of)) for name, of in bands}


class _Work:
    """The prediction of a raster.

    Args:
        predictor: The model.
        task: The raster's place and the files to write.
        style: The style of pictures and annotations.
        raster: The raster.

    Attributes:
        tiled: The tiles in which it is predicted; None if as a whole.
    """

    def __init__(self, predictor: Predictor, task: Task, style: OutputStyle, raster: Raster) -> None:
        self._predictor, self._task, self._style, self._raster = predictor, task, style, raster
        self._location, self._size = task.source.location, raster.shape[:2]
        self._is_cleaned = style.annotations.min_area > 0 or style.annotations.fill_holes > 0
        self._by_blocks = tuple(output for output in _BY_BLOCKS if output != "geojson" or not self._is_cleaned)
        self._step = _step(*self._size)
        self._pictures: _Reduced | None = None
        self._tally, self._nodata = Tally(), 0
        counted = Unsureness(*self._size, predictor.classes.num_classes)
        self._unsureness = counted if "to_label" in task.targets else None
        self.tiled = predictor.tiles_of(*self._size)

    def require_whole(self) -> None:
        """Raises UserError if one of the outputs takes a whole image, and the raster is too large for that."""
        outputs = self._task.targets
        whole = [output for output in outputs if output not in (*_REDUCED, *self._by_blocks)]
        if whole and self._step > 1:
            least = " ".join(output for output in outputs if output not in whole) or "masks"
            cleaned = f"geojson with {argument('min_area')} or {argument('fill_holes')}"
            words = " and ".join(cleaned if output == "geojson" else output for output in whole)
            raise UserError(
                f"{self._location}: is too large for {words}, at most {PICTURE_PIXELS / 1e6:.0f} megapixels; choose "
                f"{argument('write')} {least}"
            )

    def write_blocks(self, mask: GeoTiff, layers: Mapping[str, GeoTiff]) -> Iterator[None]:
        """Writes class ids, probabilities and confidence, block by block; yields after each.

        What is nodata in the raster is void in the mask, and NaN in the others.
        """
        if any(output not in self._by_blocks for output in self._task.targets):
            self._pictures = _Reduced(self._raster, self._step)
        for window, ids, scores in self._blocks(bool(layers) or self._unsureness is not None):
            if self._raster.has_gaps:
                missing = ~self._raster.valid(window)
                self._nodata += int(missing.sum())
                ids[missing] = VOID_LABEL
                if scores is not None:
                    scores[missing] = np.nan
            mask.write(window, ids[None])
            if scores is not None:
                for name, file in layers.items():
                    file.write(window, scores.max(axis=2)[None] if name == "confidence" else np.moveaxis(scores, 2, 0))
            if self._unsureness is not None and scores is not None:
                self._unsureness.add(*window, shown(self._raster[window]), scores)
            self._tally.add(ids, window[0].start, window[1].start)
            if self._pictures is not None:
                self._pictures.add(window, ids)
            yield

    def _blocks(self, needs_scores: bool) -> Iterator[tuple[Window, np.ndarray, np.ndarray | None]]:
        """Yields windows that cover the raster once, class ids uint8 [h, w] and probabilities float32 [h, w, C]."""
        if self.tiled is None:
            whole = slice(0, self._size[0]), slice(0, self._size[1])
            ids, scores = segment(self._predictor, [self._raster[whole]], needs_scores)
            yield whole, np.array(ids[0]), None if scores is None else np.array(scores[0])
            return
        for rows, columns, block in self.tiled.blocks(self._raster):
            yield (rows, columns), np.array(self._predictor.decide(block)), block if needs_scores else None

    def write(self, output: str, path: Path, mask: Path, scratch: Path) -> None:
        """Writes an output that is made of the mask.

        Args:
            output: Its name.
            path: The file.
            mask: The GeoTIFF of class ids.
            scratch: A folder for files that are needed meanwhile.

        Raises:
            UserError: If it cannot be encoded.
        """
        classes, name = self._predictor.classes, str(self._task.source.name)
        with about(self._location):
            if output == "to_label":
                assert self._unsureness is not None
                path.write_bytes(json_bytes(self._unsureness.described(self._location)))
            elif output == "json":
                path.write_bytes(encode_table(name, self._size, self._tally, classes))
            elif output in self._by_blocks:
                write_outlines(path, mask, self._raster, classes, self._tally.pixels)
            elif output == "geojson":
                ids, annotated = self._prediction(output).annotated, scratch / "annotated.tif"
                with new_mask(annotated, self._raster, classes) as file:
                    file.write((slice(0, len(ids)), slice(0, ids.shape[1])), ids[None])
                write_outlines(path, annotated, self._raster, classes, np.bincount(ids.ravel(), minlength=256))
            else:
                path.write_bytes(OUTPUTS[output].encode(self._prediction(output)))

    def _prediction(self, output: str) -> Prediction:
        """Returns the prediction that an output is made of."""
        assert self._pictures is not None
        style, classes = self._style, self._predictor.classes
        return Prediction(
            str(self._task.source.name), self._pictures.image, self._pictures.ids, classes,
            picture_colors(classes, style.palette), None, style.alpha, self._location, self._task.targets[output],
            style.annotations,
        )  # fmt: skip

    def remarks(self) -> list[Remark]:
        """Returns what should be looked at."""
        location, remarks = self._location, []
        if self.tiled is not None and not self._predictor.is_tiled:
            text = f"{location}: was predicted in tiles, as {argument('tile', self.tiled.tile)} does"
            remarks.append(Remark("tiles", text))
        if self._nodata:
            share = self._nodata / math.prod(self._size)
            text = f"{location}: {share:.1%} of its pixels are nodata, and so void ({VOID_LABEL}) in what is written"
            remarks.append(Remark("nodata", text))
        if "geojson" in self._task.targets and self._raster.crs is None:
            remarks.append(Remark("no CRS", f"{location}: says no CRS, so coordinates of its GeoJSON are pixels"))
        brightest = self._raster.brightest
        if brightest is not None and dark_ones({location: brightest}):
            remarks.append(Remark(DARK, describe_dark({location: brightest})))
        if (pages := pages_in(location)) > 1:
            remarks.append(Remark(SEVERAL, describe_several({location: pages})))
        return remarks


def _step(height: int, width: int) -> int:
    """Returns which of a raster's pixels make a picture: every one, second, third ..."""
    step = math.ceil(math.sqrt(height * width / PICTURE_PIXELS))
    return step + (-(-height // step) * -(-width // step) > PICTURE_PIXELS)


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
        self.image[place], self.ids[place] = shown(self._raster[window][inner]), chosen
