"""Images and masks of every kind that cameras, phones and programs write."""

import struct
import zlib

import numpy as np
from PIL import Image, ImageChops, PngImagePlugin

rows, columns = np.mgrid[:61, :83]
PIXELS = (np.stack([columns * 3, rows * 4, (columns + rows) * 2], -1) % 256).astype(np.uint8)


def _exif(orientation, order="<"):
    """EXIF data of two entries, by hand: a width, then the orientation."""
    entries = struct.pack(f"{order}HHIHHHHIHH", 0x0100, 3, 1, 7, 0, 0x0112, 3, 1, orientation, 0)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + start + struct.pack(f"{order}IH", 8, 2) + entries + bytes(4)


def _xmp(orientation):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def _png_xmp(orientation):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", _xmp(orientation).decode())
    return {"pnginfo": info}


# name: (mode to convert to, what to give to Pillow's save); "turned 5 ..." has that orientation in EXIF
PHOTOS = {
    "plain.jpg": ("RGB", {}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "grey.jpg": ("L", {}),
    "grey progressive.JPG": ("L", {"progressive": True}),
    "cmyk.jpg": ("CMYK", {}),
    "cmyk without Adobe's marker.jpg": ("CMYK", {}),
    "full chroma.jpeg": ("RGB", {"subsampling": "4:4:4"}),
    "half chroma.jpg": ("RGB", {"subsampling": "4:2:2"}),
    "quarter chroma.jpg": ("RGB", {"subsampling": "4:1:1"}),
    "rgb inside.jpg": ("RGB", {"keep_rgb": True}),
    "bad exif.jpg": ("RGB", {"exif": b"Exif\0\0nothing that is any use", "dpi": (72, 72)}),
    "exif cut off.jpg": ("RGB", {"exif": b"Exif\0\0II*\0", "dpi": (72, 72)}),
    "exif cut off.png": ("RGB", {"exif": b"Exif\0\0II*\0"}),
    **{f"turned {orientation}.jpg": ("RGB", {"exif": _exif(orientation)}) for orientation in range(10)},
    "turned 8 big-endian.jpg": ("RGB", {"exif": _exif(8, ">")}),
    "turned 3, in XMP 6.jpg": ("RGB", {"exif": _exif(3), "xmp": _xmp(6)}),
    "turned 1, in XMP 6.jpg": ("RGB", {"exif": _exif(1), "xmp": _xmp(6)}),
    "XMP alone.jpg": ("RGB", {"xmp": _xmp(6)}),
    **{f"turned {orientation}.png": ("RGB", {"exif": _exif(orientation)}) for orientation in (1, 5, 6, 9)},
    "turned 3, in XMP 6.png": ("RGB", {"exif": _exif(3), **_png_xmp(6)}),
    "XMP alone.png": ("RGB", _png_xmp(6)),
    "rgba.PNG": ("RGBA", {}),
    "grey and alpha.png": ("LA", {}),
    "palette.png": ("P", {}),
    "black and white.png": ("1", {}),
    "16 bits.png": ("I;16", {}),
    "16 bits in colour.png": ("RGB;16", {}),
}


def write_photo(folder, name):
    mode, options = PHOTOS[name]
    if mode == "RGB;16":
        values = (PIXELS.astype(">u2") * 256 + 77).reshape(len(PIXELS), -1)
        (folder / name).write_bytes(png(16, 2, [b"\0" + row.tobytes() for row in values], PIXELS.shape[:2]))
        return folder / name
    if mode == "I;16":
        image = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256 + 77)
    else:
        image = Image.fromarray(PIXELS).convert(mode)
    image.save(folder / name, **options)
    if "without Adobe" in name:
        data = (folder / name).read_bytes()
        marker = data.index(b"\xff\xee")
        (folder / name).write_bytes(data[:marker] + data[marker + 16 :])
    return folder / name


def shown(path):
    """Returns a photo of `PHOTOS` as a viewer shows it, uint8 [H, W, 3]: turned by NumPy, as its name says."""
    with Image.open(path) as image:
        pixels = np.asarray(image) >> 8 if image.mode == "I;16" else np.asarray(image.convert("RGB"))
        if "without Adobe" in path.name:
            pixels = np.asarray(ImageChops.invert(image).convert("RGB"))
    if pixels.ndim == 2:
        pixels = np.repeat(pixels.astype(np.uint8)[..., None], 3, axis=2)
    orientation = int(path.name.split()[1].split(".")[0].strip(",")) if path.name.startswith("turned") else 1
    columns_first = np.transpose(pixels, (1, 0, 2))
    turned = {
        2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: columns_first, 6: columns_first[:, ::-1],
        7: columns_first[::-1, ::-1], 8: columns_first[::-1],
    }  # fmt: skip
    return turned.get(orientation, pixels)


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
