"""Good data, files and networks, which cases damage."""

from __future__ import annotations

import functools
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
from onnx_files import NAMES as CLASSES
from onnx_files import write_onnx
from PIL import Image

NAMES = "abcdefgh"
SIZE = (24, 32)
_HELD = tempfile.TemporaryDirectory()
HELD = Path(_HELD.name)
"""What takes seconds to make is made once, and copied."""


def photo(seed: int = 0, size: tuple[int, int] = SIZE) -> Image.Image:
    """Returns an image in which the brightest channel changes."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


def ids(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Returns the ids of all classes, in stripes."""
    return ((np.arange(size[0] * size[1]).reshape(size) // 5 + seed) % len(CLASSES)).astype(np.uint8)


def encoded(image: Image.Image, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def write(path: Path, content: bytes | str = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def data(folder: Path, name: str = "data") -> Path:
    """Writes eight pairs and their class names, and returns their folder."""
    for seed, stem in enumerate(NAMES):
        write(folder / name / f"images/{stem}.png", encoded(photo(seed)))
        write(folder / name / f"masks/{stem}.png", encoded(Image.fromarray(ids(seed))))
    write(folder / name / "classes.txt", "".join(f"{label}\n" for label in CLASSES))
    return folder / name


def photos(folder: Path, *bad: tuple[str, bytes]) -> Path:
    """Writes two good images, and others by name."""
    for seed, stem in enumerate("xy"):
        write(folder / f"photos/{stem}.png", encoded(photo(seed)))
    for name, content in bad:
        write(folder / "photos" / name, content)
    return folder / "photos"


@functools.cache
def _onnx() -> bytes:
    return write_onnx(HELD / "model.onnx", both=True).read_bytes()


def network(folder: Path, name: str = "net.onnx") -> Path:
    """Writes an ONNX file whose class is the red of a pixel: no TensorFlow is needed."""
    return write(folder / name, _onnx())


@functools.cache
def keras_bytes() -> bytes:
    """Returns a network of Keras with random weights."""
    import keras_fcn

    model = keras_fcn.build_fcn("fcn32s", "resnet18_v2", num_classes=len(CLASSES))
    model.save(HELD / "model.keras")
    return (HELD / "model.keras").read_bytes()


def keras_file(folder: Path, name: str = "net.keras") -> Path:
    """Writes a network of Keras with random weights."""
    return write(folder / name, keras_bytes())


@functools.cache
def _run() -> Path:
    from tiny_runs import eagerly, silent

    from keras_fcn.runs.config import TrainConfig
    from keras_fcn.training.train import run_training

    settings = {"model": "fcn32s", "crop_size": SIZE, "batch_size": 4, "epochs": 1, "xla": "off"}
    with eagerly():
        run_training(TrainConfig(data=str(data(HELD)), **settings), HELD / "run", report=silent)
    return HELD / "run"


def run(folder: Path, name: str = "run") -> Path:
    """Copies a finished run, whose data are the same as those of `data`."""
    shutil.copytree(_run(), folder / name)
    config = folder / name / "config.json"
    config.write_text(config.read_text().replace(str(HELD / "data"), "data"))
    return folder / name
