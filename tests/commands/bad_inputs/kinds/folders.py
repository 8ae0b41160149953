"""Folders that hold no data set, or one of which parts are missing; inputs of prediction that lead nowhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from commands.bad_inputs import material
from commands.bad_inputs.case import Case
from commands.bad_inputs.material import encoded, photo, write

KIND = "Folders"


def _nothing(folder: Path) -> None:
    material.network(folder)


def _after(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        change(material.data(folder))

    return make


def _renamed(root: Path) -> None:
    for number, path in enumerate(sorted((root / "masks").iterdir())):
        path.rename(path.with_name(f"{number + 100}_{'xyz'[number % 3]}.png"))


def _emptied(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        shutil.rmtree(root / name)
        (root / name).mkdir()

    return change


def _kept(count: int) -> Callable[[Path], None]:
    """Returns how to keep the first images and masks alone."""

    def change(root: Path) -> None:
        for path in [*sorted((root / "images").iterdir())[count:], *sorted((root / "masks").iterdir())[count:]]:
            path.unlink()

    return change


def _volumes(root: Path) -> None:
    shutil.rmtree(root)
    for name in material.NAMES:
        write(root / f"imagesTr/{name}.nii.gz", b"\x1f\x8b")
        write(root / f"labelsTr/{name}.nii.gz", b"\x1f\x8b")


def _boxes(root: Path) -> None:
    shutil.rmtree(root / "masks")
    for name in material.NAMES:
        write(root / f"annotations/{name}.xml", "<annotation><object><bndbox/></object></annotation>")


def _parquet(root: Path) -> None:
    shutil.rmtree(root)
    write(root / "data/train-00000-of-00001.parquet", b"PAR1")


DATA = {
    "a folder that is missing": (_nothing, "data"),
    "a file instead of a folder": (lambda folder: write(folder / "data", "hello"), "data"),
    "an archive instead of a folder": (lambda folder: write(folder / "data", b"PK\x05\x06" + bytes(18)), "data"),
    "an empty folder": (lambda folder: (folder / "data").mkdir(), "data"),
    "a folder of text": (lambda folder: write(folder / "data/readme.md", "hello"), "data"),
    "images alone": (_after(lambda root: shutil.rmtree(root / "masks")), "mask"),
    "masks alone": (_after(lambda root: shutil.rmtree(root / "images")), "data"),
    "an empty folder of images": (_after(_emptied("images")), "images"),
    "an empty folder of masks": (_after(_emptied("masks")), "mask"),
    "masks of other names": (_after(_renamed), "masks"),
    "a single pair": (_after(_kept(1)), "1 pair"),
    "links that lead nowhere": (
        _after(lambda root: [(root / "images/a.png").unlink(), (root / "images/a.png").symlink_to("no.png")]), "a.png"
    ),
    "a folder called like an image": (
        _after(lambda root: [(root / "images/a.png").unlink(), (root / "images/a.png").mkdir()]), "a"
    ),
    "medical volumes": (_after(_volumes), "data"),
    "boxes instead of masks": (_after(_boxes), "data"),
    "Parquet files": (_after(_parquet), "parquet"),
}  # fmt: skip
"""What is given as a data set, and what the line must say."""

FOUND = {
    "links that lead nowhere": "1 x missing file",
    "a folder called like an image": "1 x mask alone",
}
"""What the check finds in data that are read nevertheless."""

INPUTS = {
    "an image that is missing": ("photos/nosuch.png", "photos/nosuch.png"),
    "a folder that is missing, as an input": ("nosuch/", "nosuch"),
    "a pattern that matches nothing": ("'photos/*.jpg'", "photos/*.jpg"),
    "an empty folder, as an input": ("empty", "empty"),
    "a sequence that is missing": ("photos/frame_%04d.png", "frame_%04d.png"),
    "a sequence in a folder that is missing": ("nosuch/frame_%04d.png", "nosuch"),
    "a text file": ("notes.txt", "notes.txt"),
    "an address of the web": ("https://example.org/a.png", "https://example.org"),
    "a bucket of an unknown store": ("nosuch://bucket/a.png", "nosuch"),
    "a link that leads nowhere": ("link.png", "link.png"),
    "a video that is cut off": ("clip.mp4", "clip.mp4"),
    "a video that is text": ("clip.avi", "clip.avi"),
}
OUTPUTS = {
    "an output that is a file": ("photos/x.png --out taken", "taken"),
    "an output below a file": ("photos/x.png --out taken/below", "taken"),
    "an output that exists": ("photos/x.png --out older", "older"),
    "an output that is not known": ("photos/x.png --out out --write maskz", "maskz"),
    "no output": ("photos/x.png --out out --write", "--write"),
    "an output twice": ("photos/x.png --out out --write masks masks", "masks"),
    "--overwrite and --skip-existing": ("photos/x.png --out out --overwrite --skip-existing", "--overwrite"),
    "--overlap without --tile": ("photos/x.png --out out --overlap 32", "--tile"),
    "tiles of no multiple of 32": ("photos/x.png --out out --tile 100 100", "96 96"),
    "--overlap of more than half a tile": ("photos/x.png --out out --tile 64 64 --overlap 64", "32"),
    "a threshold of an unknown class": ("photos/x.png --out out --threshold nosuch=0.5", "nosuch"),
    "a threshold above 1": ("photos/x.png --out out --threshold red=1.5", "red=1.5"),
    "a threshold without value": ("photos/x.png --out out --threshold red", "red"),
    "a threshold twice": ("photos/x.png --out out --threshold red=0.5 red=0.4", "red"),
    "channels that the model does not take": ("photos/x.png --out out --channels 4", "4"),
}


def _prepare(folder: Path) -> None:
    material.network(folder)
    material.photos(folder)
    write(folder / "taken", "a file")
    write(folder / "older/masks/x.png", encoded(photo()))
    write(folder / "other/x.png", encoded(photo(9)))
    write(folder / "notes.txt", "hello")
    write(folder / "clip.mp4", b"\0\0\0\x18ftypmp42" + bytes(40))
    write(folder / "clip.avi", "no video")
    (folder / "empty").mkdir()
    (folder / "link.png").symlink_to("nosuch.png")


def _two(folder: Path) -> None:
    assert len(list((folder / "out/masks").rglob("x*.png"))) == 2


def cases() -> Iterator[Case]:
    """Yields folders by check and train, and inputs and outputs by predict."""
    for what, (make, said) in DATA.items():
        found = FOUND.get(what)
        yield Case(f"{what}, checked", "check data", make, (said,), found, 1)
        if what == "a folder called like an image":
            yield Case(f"{what}, trained on", "train --data data --run-dir out", make, (), "1 file is left out")
            continue
        yield Case(f"{what}, trained on", "train --data data --run-dir out", make, (said,))
    for what, (words, said) in INPUTS.items():
        yield Case(what, f"predict net.onnx {words} --out out --write masks", _prepare, (said,))
    predict = "predict net.onnx photos/x.png"
    yield Case("one image twice", f"{predict} photos/x.png --out out --write masks", _prepare, (), "1 of 1 segmented")
    two = Case(
        "two images of one name", f"{predict} other/x.png --out out --write masks", _prepare, (), "2 of 2", 0, _two
    )
    yield two
    for what, (words, said) in OUTPUTS.items():
        yield Case(what, f"predict net.onnx {words}", _prepare, (said,))
