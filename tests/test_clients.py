"""The clients in export/clients: each asks an exported model for a mask, which is then the live model's."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from kinds_of_files import write_photo
from PIL import Image

from keras_fcn import Predictor, read_image

LIBRARIES = Path(tf.__file__).parent


@pytest.fixture(scope="module")
def segment(tmp_path_factory):
    """The client in C, compiled against the C API in TensorFlow's wheel."""
    compiler = shutil.which("cc")
    libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]
    if compiler is None or not all((LIBRARIES / name).is_file() for name in libraries):
        pytest.skip("needs a C compiler cc, and TensorFlow's libraries as its wheel for Linux has them")
    program = tmp_path_factory.mktemp("clients") / "segment"
    words = [compiler, "-Wall", "-Wextra", "-Werror", "-I", LIBRARIES / "include", ROOT / "export/clients/segment.c"]
    words += ["-L", LIBRARIES, *(f"-l:{name}" for name in libraries), f"-Wl,-rpath,{LIBRARIES}", "-o", program]
    subprocess.run(words, check=True)
    return program


def test_the_client_in_c_writes_the_live_models_mask(segment, trained, exported, tmp_path):
    photo = write_photo(tmp_path, "turned 6.jpg")
    call = subprocess.run([segment, exported / "1", photo, tmp_path / "mask.png"], capture_output=True, text=True)
    assert call.returncode == 0, call.stderr
    expected = Predictor.open(trained)(read_image(photo))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), expected)


def test_the_client_in_c_says_what_is_wrong(segment, exported, tmp_path):
    (tmp_path / "photo.gif").write_bytes(b"GIF89a")
    model, mask = exported / "1", tmp_path / "mask.png"
    for words, complaint in [
        ([model, tmp_path / "photo.gif", mask], "image_bytes[0] is a GIF; send a JPEG or PNG"),
        ([model, tmp_path / "none", mask], "none: cannot be read"),
        ([tmp_path, tmp_path / "photo.gif", mask], "Could not find SavedModel"),
        ([], "give SAVED_MODEL PHOTO MASK.png"),
    ]:
        call = subprocess.run([segment, *words], capture_output=True, text=True)
        assert call.returncode == 2
        assert complaint in call.stderr
    assert not mask.exists()
