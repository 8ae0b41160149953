"""Images too large to be evaluated as a whole: they are predicted in tiles without being asked."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from collections.abc import Iterator

import numpy as np

from keras_fcn.errors import UnfitSettingsError
from keras_fcn.inference.arrays import Array, ProbabilityFunction, Segment, likeliest
from keras_fcn.inference.options import TILE_MULTIPLE, InferenceOptions
from keras_fcn.inference.tiling import Tiled

_TILE, _LARGEST_TILE = 1024, 2048
_LOGITS = 1 << 27
"""Logits of an image that is predicted as a whole; they and what is made of them take some 11 bytes each."""


@dataclasses.dataclass(frozen=True)
class WholeImages:
    """The images that a network predicts as a whole, and the tiles for larger ones.

    Attributes:
        tile: Height and width of the tiles, in pixels, a multiple of 32.
        most_pixels: The largest image that is predicted as a whole.
    """

    tile: int
    most_pixels: int

    @classmethod
    def of(cls, num_classes: int, input_scale: float = 1.0) -> WholeImages:
        """Returns those of a network: up to 4 tiles of 1024 x 1024 pixels as the network sees them, or 2^27 logits."""
        tile = min(TILE_MULTIPLE * math.ceil(_TILE / input_scale / TILE_MULTIPLE), _LARGEST_TILE)
        return cls(tile, max(tile**2, min(4 * tile**2, _LOGITS // num_classes)))

    def tiled(self, probabilities: ProbabilityFunction, decide: Segment = likeliest) -> Tiled:
        """Returns the tiles in which larger images are predicted."""
        tile = (self.tile, self.tile)
        return Tiled(probabilities, tile, InferenceOptions(tile=tile).tile_overlap, decide)

    def segmenter(self, whole: Segment, probabilities: ProbabilityFunction, decide: Segment = likeliest) -> Segment:
        """Returns the function from images to class ids that predicts those up to `most_pixels` by `whole`.

        Args:
            whole: The function from images uint8 [N, H, W, 3] to class ids uint8 [N, H, W].
            probabilities: The function from the same images to probabilities.
            decide: The function from probabilities to class ids.
        """
        tiled = self.tiled(probabilities, decide)

        def segment(images: Array) -> Array:
            is_large = images.shape[1] * images.shape[2] > self.most_pixels
            return tiled.segment(images) if is_large else whole(images)

        return segment

    def describe(self, sizes: np.ndarray) -> str | None:
        """Returns a line on the images of these heights and widths, int [N, 2], that are larger; None without any."""
        larger = int((sizes.prod(axis=1) > self.most_pixels).sum())
        if not larger:
            return None
        return (
            f"{larger} of {len(sizes)} evaluated images are larger than {self.most_pixels / 1e6:.1f} megapixels: they "
            f"become what predict.py --tile {self.tile} {self.tile} makes of them, not to run out of memory"
        )


@contextlib.contextmanager
def within_memory(what: str, fix: str) -> Iterator[None]:
    """Turns an engine's error that a device's memory is used up into a line.

    Args:
        what: What the block does, for the line.
        fix: What takes less memory.

    Raises:
        UnfitSettingsError: If the memory does not suffice.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        device = "GPU" if "GPU" in str(error) else "device"
        raise UnfitSettingsError(f"{what}: the memory of the {device} does not suffice; {fix}") from None


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that the memory of a device is used up: as engines say it."""
    if isinstance(error, MemoryError):
        return True
    tf = sys.modules.get("tensorflow")
    if tf is None or not isinstance(error, tf.errors.OpError):
        return False
    # The second is how TensorFlow says that a batch does not fit onto a GPU.
    return isinstance(error, tf.errors.ResourceExhaustedError) or "Dst tensor is not init" in str(error)
