"""How a TIFF file lays out its values, and which files Pillow reads wrongly without an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a file, in both orders; the last two are BigTIFF's, for more than 4 GB."""

_WIDTH, _HEIGHT = 256, 257
_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _SAMPLES = 258, 259, 262, 274, 277
_PLANES, _EXTRA, _FORMAT = 284, 338, 339
"""TIFF's tags BitsPerSample to SampleFormat (TIFF 6.0)."""

_NONE = 1
_EXACT = {_NONE, 2, 3, 4, 5, 8, 32946, 32773, 34925, 50000}
"""Compressions that keep values: CCITT's, LZW, deflate, PackBits, LZMA, Zstandard; not JPEG, WebP and others."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE = 0, 1, 3
_APART = 2
_UNSIGNED = {1, 4}
"""The formats of values from 0: unsigned, and undefined, which is read as unsigned."""


class TiffLayout:
    """How a file lays out its values.

    Args:
        tags: The tags of its first picture.
        is_little_endian: The order of its bytes.

    Attributes:
        bits: The bits of a value, of each sample.
        samples: The number of bands.
    """

    def __init__(self, tags: Mapping[int, Any], is_little_endian: bool) -> None:
        self._tags, self._is_little_endian = tags, is_little_endian
        self.bits = set(tags.get(_BITS, (1,)))
        self.samples: int = tags.get(_SAMPLES, 1)

    @classmethod
    def read(cls, file: BinaryIO) -> TiffLayout:
        """Reads the tags of a file from its start, and goes back there; raises what Pillow does on damaged files."""
        header = file.read(8)
        if header.startswith(TIFF[3]):
            raise ValueError("a BigTIFF of big-endian values, which is not read; save it in the other order")
        header += file.read(8) if header.startswith(TIFF[2]) else b""
        tags = ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        file.seek(0)
        return cls(tags, header.startswith(b"II"))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as it is stored."""
        return self._tags[_HEIGHT], self._tags[_WIDTH]

    @property
    def is_exact(self) -> bool:
        """Whether its compression keeps values."""
        return self._compression in _EXACT

    @property
    def is_white_zero(self) -> bool:
        """Whether 0 is white."""
        return self._tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO

    @property
    def is_grey(self) -> bool:
        """Whether values are greys."""
        return self._tags.get(_PHOTOMETRIC) in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)

    @property
    def is_palette(self) -> bool:
        """Whether values are indices of a palette."""
        return self._tags.get(_PHOTOMETRIC) == _PALETTE

    @property
    def has_alpha(self) -> bool:
        """Whether its last band is said to be opacity."""
        return self.samples in (2, 4) and tuple(self._tags.get(_EXTRA, ())) in ((1,), (2,))

    @property
    def is_turned(self) -> bool:
        """Whether it has an orientation."""
        return self._tags.get(_ORIENTATION, 1) != 1

    @property
    def _compression(self) -> int:
        return self._tags.get(_COMPRESSION, _NONE)

    @property
    def _is_apart(self) -> bool:
        return self.samples > 1 and self._tags.get(_PLANES, 1) == _APART and (self.bits, self.samples) != ({8}, 3)

    @property
    def is_for_gdal(self) -> bool:
        """Whether GDAL shows an image rightly that Pillow does not: planes one after another."""
        return self._is_apart and self.bits in ({8}, {16}) and self._is_unsigned and not self.is_turned

    @property
    def _is_unsigned(self) -> bool:
        return _UNSIGNED.issuperset(self._tags.get(_FORMAT, (1,)))

    def fault(self, mode: str) -> str:
        """Returns why Pillow would show an image wrongly, and the fix; nothing if it is right.

        Args:
            mode: The mode in which Pillow opened it.
        """
        if self._is_apart:
            fix = "install Rasterio (requirements-extra.txt)" if self.is_for_gdal else "save it as a PNG"
            return f"its {self.samples} planes lie one after another; save it with interleaved pixels, or {fix}"
        if mode in ("L", "RGB") and not self._is_unsigned:
            return "its values have a sign; save it with values from 0 to 255"
        if mode == "L" and self.samples > 1:
            return f"it has {self.samples} bands; save it as grey or RGB"
        if mode.startswith("I;16") and (self.is_white_zero or self.bits != {16}):
            kind = "0 for white" if self.is_white_zero else f"values of {min(self.bits)} bits"
            return f"it has {kind}, which would be read wrongly; save it as a PNG of 16 bits"
        return ""

    def is_plain_mask(self, mode: str) -> bool:
        """Returns whether Pillow reads values, palette indices or colours as they are stored."""
        if mode in ("I", "F"):
            return self._is_little_endian or self._compression == _NONE  # else it leaves bytes in the wrong order
        has_bits = self.bits <= {1, 8} or self.is_palette or (self.bits == {16} and self.samples == 1)
        return has_bits and self._is_unsigned and not self._is_apart
