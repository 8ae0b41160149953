"""What the page needs to know of an exported network, and which ones it can run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from export.web.graphics import for_graphics
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.engines.engine import IDS

_SQUARE = 13
"""Height and width of a square of the image that browsers check themselves with, in pixels."""


@dataclasses.dataclass(frozen=True)
class WebNetwork:
    """A network for the page.

    Attributes:
        name: The network's name.
        classes: Names and colours of the ids.
        content: The ONNX file, as `for_graphics` changes it.
        is_int8: Whether it computes in 8-bit integers.
        check: An image, uint8 [H, W, 3], and its class ids, uint8 [H, W]: what a browser must compute, too.
    """

    name: str
    classes: ClassTable
    content: bytes
    is_int8: bool
    check: tuple[np.ndarray, np.ndarray]


def read_network(path: Path) -> WebNetwork:
    """Reads a file of `python -m export.onnx`.

    Raises:
        UserError: If it is damaged, is none, or takes what the page does not give: images of one size, or of other
            channels than red, green and blue; or if it gives no class ids.
    """
    from keras_fcn.inference.engines.onnx_runtime import opened_onnx

    opened = opened_onnx(path, 1)
    again = "export it again: python -m export.onnx RUN DIR"
    if not opened.facts.channels.is_rgb:
        raise UserError(f"{path}: takes images of {opened.facts.channels.count} channels; browsers give photos in RGB")
    if opened.shape[1:3] != (None, None):
        size = " x ".join(map(str, opened.shape[1:3]))
        raise UserError(f"{path}: takes images of {size} pixels alone, and photos have any size; {again}")
    if opened.shape[0] not in (None, 1):
        raise UserError(f"{path}: takes {opened.shape[0]} images at once, and the page has one; {again}")
    if IDS not in opened.outputs:
        raise UserError(f"{path}: gives probabilities and no class ids; {again}")
    content, facts, image = for_graphics(_in_one_file(path)), opened.facts, _squares()
    ids = opened.run(image[None], IDS)[0]
    return WebNetwork(facts.name, facts.classes, content, b"QuantizeLinear" in content, (image, ids))


def _in_one_file(path: Path) -> bytes:
    """Returns an ONNX file with its weights, also those that lie in other files, which browsers do not get."""
    import onnx

    from keras_fcn.inference.engines.parts.onnx import has_weights_elsewhere

    content = path.read_bytes()
    return onnx.load(path).SerializeToString() if has_weights_elsewhere(memoryview(content)) else content


def _squares() -> np.ndarray:
    """Returns an image of squares in random colours."""
    colors = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    return colors.repeat(_SQUARE, axis=0).repeat(_SQUARE, axis=1)
