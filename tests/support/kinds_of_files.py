"""Images and masks of every kind that cameras, phones and programs write."""

import struct
import zlib

import numpy as np
from PIL import Image

rows, columns = np.mgrid[:61, :83]
PIXELS = (np.stack([columns * 3, rows * 4, (columns + rows) * 2], -1) % 256).astype(np.uint8)


def _exif(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return {"exif": exif}


# name: (mode to convert to, what to give to Pillow's save)
PHOTOS = {
    "plain.jpg": ("RGB", {}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "grey.jpg": ("L", {}),
    "grey progressive.JPG": ("L", {"progressive": True}),
    "cmyk.jpg": ("CMYK", {}),
    "full chroma.jpeg": ("RGB", {"subsampling": "4:4:4"}),
    "half chroma.jpg": ("RGB", {"subsampling": "4:2:2"}),
    "quarter chroma.jpg": ("RGB", {"subsampling": "4:1:1"}),
    "rgb inside.jpg": ("RGB", {"keep_rgb": True}),
    "bad exif.jpg": ("RGB", {"exif": b"Exif\0\0nothing that is any use"}),
    **{f"turned {orientation}.jpg": ("RGB", _exif(orientation)) for orientation in range(10)},
    "turned 6.png": ("RGB", _exif(6)),
    "rgba.PNG": ("RGBA", {}),
    "grey and alpha.png": ("LA", {}),
    "palette.png": ("P", {}),
    "black and white.png": ("1", {}),
    "16 bits.png": ("I;16", {}),
}


def write_photo(folder, name):
    mode, options = PHOTOS[name]
    if mode == "I;16":
        image = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256 + 77)
    else:
        image = Image.fromarray(PIXELS).convert(mode)
    image.save(folder / name, **options)
    return folder / name


def png(depth, color_type, passes, shape, interlaced=False):
    """Returns a PNG made of the packed rows of its passes, each row after its filter byte."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", shape[1], shape[0], depth, color_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, data)
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(passes))), (b"IEND", b""))
    )


def interlaced_png(values):
    """Returns an interlaced (Adam7) PNG of grey values uint8 [H, W] or RGB uint8 [H, W, 3]."""
    passes = []
    for top, left, down, right in [
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1),
    ]:  # fmt: skip
        part = values[top::down, left::right]
        passes += [b"\0" + row.tobytes() for row in part] if part.size else []
    return png(8, 0 if values.ndim == 2 else 2, passes, values.shape[:2], interlaced=True)
