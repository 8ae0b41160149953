"""Images that are none, are cut off, claim too much, or hold what no rule turns into red, green and blue."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from commands.bad_inputs import material
from commands.bad_inputs.case import Case
from commands.bad_inputs.material import encoded, photo, write
from PIL import Image

KIND = "Images"
HTML = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"
GOOD, JPEG = encoded(photo()), encoded(photo(), "JPEG")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, bits: int = 8, color: int = 2, rows: bytes = b"") -> bytes:
    """Returns a PNG that claims a size, whatever pixels it has."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _tiff(values: np.ndarray) -> bytes:
    return encoded(Image.fromarray(values), "TIFF")


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def _jpeg_of(width: int, height: int) -> bytes:
    """Returns a JPEG whose header claims a size."""
    place = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:place] + struct.pack(">HH", height, width) + JPEG[place + 4 :]


FLOATS, SIGNED = np.ones(material.SIZE, np.float32), np.ones(material.SIZE, np.int32)
UNREADABLE = {
    "an empty file": ("bad.jpg", b""),
    "one byte": ("bad.png", b"\x89"),
    "a web page with the suffix .jpg": ("bad.jpg", HTML),
    "text with the suffix .png": ("bad.png", b"hello\n"),
    "bytes of chance": ("bad.jpg", np.random.default_rng(0).bytes(500)),
    "zeros of a failed download": ("bad.png", bytes(4096)),
    "a Git LFS pointer": ("bad.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"),
    "JSON of an error with the suffix .jpg": ("bad.jpg", b'{"error": "quota"}'),
    "a PDF with the suffix .jpg": ("bad.jpg", b"%PDF-1.4\n%\xe2\xe3\n1 0 obj<<>>endobj\n"),
    "an SVG with the suffix .png": ("bad.png", b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>'),
    "a zip archive with the suffix .png": ("bad.png", b"PK\x05\x06" + bytes(18)),
    "a JPEG cut off in its header": ("bad.jpg", JPEG[:20]),
    "a JPEG cut off in its tables": ("bad.jpg", JPEG[:200]),
    "a JPEG cut off in its pixels": ("bad.jpg", JPEG[: len(JPEG) * 3 // 4]),
    "a JPEG with 200 bytes before it": ("bad.jpg", b"\0" * 200 + JPEG),
    "a PNG cut off after its signature": ("bad.png", GOOD[:8]),
    "a PNG cut off in its header": ("bad.png", GOOD[:20]),
    "a PNG cut off in its pixels": ("bad.png", GOOD[: len(GOOD) // 2]),
    "a PNG with a turned byte in its header": ("bad.png", _flipped(GOOD, 19)),
    "a PNG with a turned byte in its pixels": ("bad.png", _flipped(GOOD, len(GOOD) // 2)),
    "a PNG without pixels": ("bad.png", png(8, 8)),
    "a PNG of width 0": ("bad.png", png(0, 8)),
    "a PNG of 16 bits cut off": ("bad.png", png(4, 4, 16, 2, b"\0" * 20)),
    "a PNG that claims 2 gigapixels": ("bad.png", png(1 << 16, 1 << 15)),
    "a PNG that claims 2^31 columns": ("bad.png", png((1 << 31) - 1, 1)),
    "a JPEG that claims 65,500 x 65,500": ("bad.jpg", _jpeg_of(65_500, 65_500)),
    "a JPEG of height 0": ("bad.jpg", _jpeg_of(8, 0)),
    "a GIF cut off": ("bad.gif", encoded(photo().quantize(), "GIF")[:40]),
    "a BMP cut off": ("bad.bmp", encoded(photo(), "BMP")[:100]),
    "a TIFF cut off": ("bad.tif", encoded(photo(), "TIFF")[:60]),
    "a WebP cut off": ("bad.webp", encoded(photo(), "WEBP")[:40]),
    "a TIFF of floating-point values": ("bad.tif", _tiff(FLOATS)),
    "a TIFF of 32 bits": ("bad.tif", _tiff(SIGNED)),
    "a TIFF of nothing but its first bytes": ("bad.tif", b"II*\0\xff\xff\xff\xff"),
    "an array of text in a .npy": ("bad.npy", b"\x93NUMPY\x01\0v\0{'descr': '<U3', 'fortran_order': False}"),
    "a file of another camera's raw photo": ("bad.cr2", b"II*\0\x10\0\0\0CR\x02\0" + bytes(40)),
    "a video called .jpg": ("bad.jpg", b"\0\0\0\x18ftypmp42" + bytes(40)),
}
"""What neither prediction nor training can use."""

MARKED = {
    "an animated GIF": ("many.gif", encoded(photo(), "GIF", save_all=True, append_images=[photo(1)]), "pictures"),
    "a TIFF of two pages": ("many.tif", encoded(photo(), "TIFF", save_all=True, append_images=[photo(1)]), "pictures"),
    "an animated WebP": ("many.webp", encoded(photo(), "WEBP", save_all=True, append_images=[photo(1)]), "pictures"),
    "an animated PNG": ("many.png", encoded(photo(), "PNG", save_all=True, append_images=[photo(1)]), "pictures"),
    "16 bits of which 12 are used": (
        "dark.png",
        encoded(Image.fromarray(np.full(material.SIZE, 4000, np.uint16))),
        "values of 12 bits",
    ),
}
"""What is read, with a line about what was not."""

PLAIN = {
    "grey": photo().convert("L"),
    "black and white": photo().convert("1"),
    "a palette": photo().quantize(8),
    "transparency": photo().convert("RGBA"),
    "grey and transparency": photo().convert("LA"),
    "16 bits": Image.fromarray(np.full(material.SIZE, 60_000, np.uint16)),
}
"""Unusual images that are read as they are."""


def _is_written(name: str):
    """Returns a check that the mask of an image is as large as it."""

    def proves(folder: Path) -> None:
        (path,) = (folder / "out/masks").glob(f"{Path(name).stem}*.png")
        with Image.open(path) as mask:
            assert mask.mode in ("P", "L")
            assert np.asarray(mask).max() < len(material.CLASSES)

    return proves


def _alone(name: str, content: bytes):
    return lambda folder: (material.network(folder), write(folder / "photos" / name, content))


def _among(name: str, content: bytes):
    return lambda folder: (material.network(folder), material.photos(folder, (name, content)))


def _in_data(name: str, content: bytes):
    def make(folder: Path) -> None:
        root = material.data(folder)
        (root / "images/a.png").unlink()
        write(root / f"images/a{Path(name).suffix}", content)

    return make


def _both_good(folder: Path) -> None:
    assert sorted(path.stem for path in (folder / "out/masks").iterdir()) == ["x", "y"]


def cases() -> Iterator[Case]:
    """Yields an unreadable image named, in a folder with good ones, and in a data set; and those that are marked."""
    for what, (name, content) in UNREADABLE.items():
        predict = f"predict net.onnx photos/{name} --out out --write masks"
        yield Case(f"{what}, named", predict, _alone(name, content), (name,))
        if Path(name).suffix not in (".npy", ".cr2"):
            predict = "predict net.onnx photos --out out --write masks"
            yield Case(f"{what}, in a folder", predict, _among(name, content), (name,), "2 of 3", 1, _both_good)
            found = f"a{Path(name).suffix}"
            kind = "1 x too many pixels" if "claims" in what else "1 x undecodable file"
            yield Case(f"{what}, in a data set", "check data", _in_data(name, content), (found,), kind, 1)
    for what, (name, content, said) in MARKED.items():
        predict = f"predict net.onnx photos/{name} --out out --write masks"
        is_video = name.endswith(".gif")
        predict = predict.replace(f"/{name}", "") if is_video else predict
        yield Case(what, predict, _alone(name, content), (name,), said, 0, _is_written(name))
        yield Case(f"{what}, in a data set", "check data", _in_data(name, content), (f"a{Path(name).suffix}",), said)
    for what, image in PLAIN.items():
        predict = "predict net.onnx photos/odd.png --out out --write masks"
        make = _alone("odd.png", encoded(image))
        yield Case(what, predict, make, (), "1 of 1 segmented", 0, _is_written("odd.png"))
