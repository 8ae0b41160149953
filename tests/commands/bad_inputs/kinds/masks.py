"""Masks whose values are no class ids, are not exact, or do not fit their images; lists and files of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from commands.bad_inputs import material
from commands.bad_inputs.case import Case
from commands.bad_inputs.kinds.images import HTML, png
from commands.bad_inputs.material import encoded, ids, write
from PIL import Image

KIND = "Masks"
IDS = Image.fromarray(ids())
COLOR = np.stack([ids() * 50, ids(1) * 50, ids(2) * 50], -1)


def _grey(values: np.ndarray) -> bytes:
    return encoded(Image.fromarray(values))


def _with(value: int, kind: type = np.uint8) -> np.ndarray:
    """Returns ids with one pixel of another value."""
    values = ids().astype(kind)
    values[3, 4] = value
    return values


def _npy(values: np.ndarray) -> bytes:
    path = material.HELD / "mask.npy"
    np.save(path, values, allow_pickle=True)
    return path.read_bytes()


def _transparent() -> Image.Image:
    image = Image.fromarray(ids() * 40).convert("RGBA")
    image.putpixel((2, 2), (0, 0, 0, 0))
    return image


def _palette(order: list[int]) -> Image.Image:
    image = Image.fromarray(ids())
    image.putpalette([40 * index for index in order for _ in "rgb"])
    return image


ONE = {
    "an empty file": (".png", b"", "cannot"),
    "a web page": (".png", HTML, "cannot"),
    "cut off in its pixels": (".png", _grey(ids())[:60], "cannot"),
    "of another size than its image": (".png", _grey(ids(size=(20, 30))), "24x32"),
    "turned by a quarter": (".png", _grey(ids().T.copy()), "24x32"),
    "of one pixel": (".png", _grey(ids(size=(1, 1))), "24x32"),
    "an id that no class has": (".png", _grey(_with(9)), "9"),
    "an id of 254": (".png", _grey(_with(254)), "254"),
    "16 bits with the value 300": (".png", _grey(_with(300, np.uint16)), "300"),
    "16 bits, all times 257": (".png", _grey(ids().astype(np.uint16) * 257), "771"),
    "saved as a JPEG": (".jpg", encoded(IDS, "JPEG"), "JPEG"),
    "a JPEG called .png": (".png", encoded(IDS, "JPEG"), "JPEG"),
    "saved as WebP": (".webp", encoded(IDS.convert("RGB"), "WEBP"), "WebP"),
    "a WebP called .png": (".png", encoded(IDS.convert("RGB"), "WEBP"), "WebP"),
    "colours among ids": (".png", _grey(COLOR.astype(np.uint8)), "colour"),
    "a transparent pixel": (".png", encoded(_transparent()), "transparent"),
    "fractions in a TIFF": (".tif", encoded(Image.fromarray(ids() + np.float32(0.5)), "TIFF"), "0.5"),
    "NaN in a TIFF": (".tif", encoded(Image.fromarray(np.full(material.SIZE, np.nan, np.float32)), "TIFF"), "nan"),
    "negative values in a TIFF": (".tif", encoded(Image.fromarray(ids().astype(np.int32) - 1), "TIFF"), "-1"),
    "two pages": (".tif", encoded(IDS, "TIFF", save_all=True, append_images=[IDS]), "2 pictures"),
    "JPEG in a TIFF": (".tif", encoded(IDS.convert("RGB"), "TIFF", compression="jpeg"), "JPEG"),
    "an animated GIF": (".gif", encoded(IDS, "GIF", save_all=True, append_images=[Image.fromarray(ids(1))]), "2"),
    "an array of objects": (".npy", _npy(np.array([{"a": 1}], object)), "object"),
    "an array of text": (".npy", _npy(np.full(material.SIZE, "cat")), "<U3"),
    "an array of three axes": (".npy", _npy(np.zeros((*material.SIZE, 4), np.uint8)), "4"),
    "an array of fractions": (".npy", _npy(np.full(material.SIZE, 0.25)), "0.25"),
    "an array of negative ids": (".npy", _npy(np.full(material.SIZE, -2)), "-2"),
    "an array of large ids": (".npy", _npy(np.full(material.SIZE, 70_000)), "class id 70 "),
    "an array cut off": (".npy", _npy(ids())[:200], "a.npy"),
    "an array that claims a terabyte": (".npy", _npy(ids()).replace(b"(24, 32)", b"(1 << 40)")[:128], "a.npy"),
    "a PNG that claims a gigapixel and more": (".png", png(1 << 16, 1 << 15, 8, 0), "a.png"),
    "a palette of 2 bits grey": (".png", png(32, 24, 2, 0, bytes(9 * 24)), "2"),
}  # fmt: skip
"""One mask of a data set: its suffix, its content, and what is said beside its name."""


def _replaced(suffix: str, content: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        root = material.data(folder)
        (root / "masks/a.png").unlink()
        write(root / f"masks/a{suffix}", content)

    return make


def _all(draw: Callable[[int], bytes], classes: str | None = "", suffix: str = ".png") -> Callable[[Path], None]:
    """Returns how to make a data set of which all masks are drawn alike; without a file of classes for None."""

    def make(folder: Path) -> None:
        root = material.data(folder)
        for seed, name in enumerate(material.NAMES):
            (root / f"masks/{name}.png").unlink()
            write(root / f"masks/{name}{suffix}", draw(seed))
        if classes is None:
            (root / "classes.txt").unlink()
        elif classes:
            write(root / "classes.txt", classes)

    return make


def _blurred(seed: int) -> bytes:
    image = Image.fromarray(np.array([(0, 0, 0), (200, 0, 0), (0, 200, 0), (0, 0, 200)], np.uint8)[_blocks(seed)])
    return encoded(image.resize((64, 48), Image.Resampling.BILINEAR).resize((32, 24), Image.Resampling.BILINEAR))


_TABLE = "floor:0,0,0::\nred:200,0,0::\ngreen:0,200,0::\nblue:0,0,200::\n"


def _labelmap(draw: Callable[[int], bytes], text: str = _TABLE):
    def make(folder: Path) -> None:
        _all(draw)(folder)
        (folder / "data/classes.txt").unlink()
        write(folder / "data/labelmap.txt", text)

    return make


def _blocks(seed: int) -> np.ndarray:
    rows, columns = np.indices(material.SIZE)
    return (rows // 12 * 2 + columns // 16 + seed) % 4


def _colored(seed: int, table: list[tuple[int, int, int]], draw: Callable[[int], np.ndarray] = ids) -> bytes:
    return encoded(Image.fromarray(np.array(table, np.uint8)[draw(seed)]))


_BGR = [(0, 0, 0), (0, 0, 200), (0, 200, 0), (200, 0, 0)]
_NEAR = [(0, 0, 0), (201, 0, 0), (0, 200, 0), (0, 0, 200)]
_MISSING = [(0, 0, 0), (200, 0, 0), (0, 200, 0), (9, 99, 9)]
WHOLE = {
    "colours and no file of classes": (_all(lambda seed: _colored(seed, _BGR), None), "labelmap.txt"),
    "ids with gaps and no file of classes": (_all(lambda seed: _grey(ids(seed) * 10), None), "10"),
    "black and white with four names": (_all(lambda seed: _grey((ids(seed) > 1) * np.uint8(255))), "255"),
    "a colour that the table lacks": (_labelmap(lambda seed: _colored(seed, _MISSING)), "(9, 99, 9)"),
    "colours of one more than the table's": (_labelmap(lambda seed: _colored(seed, _NEAR)), "(201, 0, 0)"),
    "outlines with anti-aliasing": (_labelmap(_blurred), "a.png: colour"),
    "colours through JPEG": (_labelmap(lambda seed: _through_jpeg(_colored(seed, _BGR, _blocks))), "JPEG"),
    "palettes in different orders": (_all(lambda seed: encoded(_palette([*range(seed % 2, 4), 0]))), "palette"),
    "32-bit values of instances": (_all(lambda seed: _npy(ids(seed) * np.int64(99_999)), suffix=".npy"), "99999"),
    "nothing but ids out of the table": (_all(lambda seed: _grey(ids(seed) + np.uint8(100))), "100"),
}  # fmt: skip
"""All masks of a data set, and what is said."""


def _through_jpeg(content: bytes) -> bytes:
    image = Image.open(material.HELD / write(material.HELD / "mask.png", content).name)
    write(material.HELD / "mask.jpg", encoded(image, "JPEG", quality=90))
    return encoded(Image.open(material.HELD / "mask.jpg"))


def cases() -> Iterator[Case]:
    """Yields each single mask by check and convert, each kind of all masks by check and train."""
    for what, (suffix, content, said) in ONE.items():
        make, name = _replaced(suffix, content), f"a{suffix}"
        if suffix in (".jpg", ".webp"):  # no suffixes of masks
            yield Case(f"{what}, checked", "check data", make, (), f"1 {suffix} file in it is not read", 1)
            yield Case(f"{what}, trained on", "train --data data --run-dir out", make, (), "2 files are left out")
            continue
        is_refused = what.startswith("16 bits")  # how masks are read cannot be chosen
        yield Case(f"{what}, checked", "check data", make, (name, said), None if is_refused else said, 1)
        yield Case(f"{what}, trained on", "train --data data --run-dir out", make, (name,))
    for what, (make, said) in WHOLE.items():
        yield Case(f"all: {what}", "train --data data --run-dir out", make, (said,))
