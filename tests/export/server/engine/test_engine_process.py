"""A network in a process of its own: what it computes, and what becomes of a process that ends."""

import io
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from fragile_engine import DEADLY, PROGRAM
from onnx_files import NAMES, ids_of, write_onnx
from PIL import Image

from export.server.model.engine import network, process, worker
from export.server.model.engine.network import LargeImages, Network
from export.server.model.engine.process import EngineDiedError, NetworkProcess
from export.server.model.files.header import BadImageError
from export.server.model.servable import Servable
from keras_fcn.errors import UserError
from keras_fcn.inference.engines.opening import open_engine
from keras_fcn.inference.options import InferenceOptions

pytest.importorskip("onnxruntime", reason="pip install -r requirements-formats.txt")
pytest.importorskip("onnx", reason="pip install -r requirements-formats.txt")
SMALL = LargeImages(InferenceOptions(tile=(64, 64)))
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 90, 100, 3), np.uint8)
IMAGES[:, 0, 0] = 0


@pytest.fixture
def fragile(tmp_path, monkeypatch):
    """A function that opens a file in a process that dies of certain images; and how often processes have ended."""
    monkeypatch.setattr(process, "_PROGRAM", PROGRAM)
    died = []
    opened = NetworkProcess(write_onnx(tmp_path / "model.onnx", both=True), SMALL, 60, lambda: died.append(1))
    yield opened, died
    opened.stop()


def tiles(opened, image):
    opened.start_tiles(image)
    while (ids := opened.next_tile()) is None:
        pass
    return ids


def test_it_computes_what_the_file_does_and_ends_with_its_last_user(fragile):
    opened, died = fragile
    facts = opened.facts
    assert (facts.program, facts.names, facts.whole_reason) == ("ONNX Runtime", list(NAMES), "")
    assert opened.warm_up(4, True) > 0
    np.testing.assert_array_equal(opened.segment(IMAGES), ids_of(IMAGES))
    np.testing.assert_array_equal(tiles(opened, IMAGES[0]), ids_of(IMAGES[0]))
    if (maps := Path(f"/proc/{opened.pid}/maps")).exists():  # Linux
        assert ("onnxruntime" in maps.read_text(), "tensorflow" in maps.read_text()) == (True, False)
    child = opened._child.process
    opened.stop()
    assert (child.returncode, died) == (0, [])


def test_an_image_that_ends_the_process_fails_alone(fragile):
    opened, died = fragile
    deadly = IMAGES[:1].copy()
    deadly[0, 0, 0] = DEADLY
    for count in (1, 2):
        with pytest.raises(EngineDiedError, match="ended by signal 9 while it computed this; try again"):
            opened.segment(deadly)
        assert len(died) == count
        np.testing.assert_array_equal(opened.segment(IMAGES), ids_of(IMAGES))


def test_a_process_that_ends_between_two_calls_is_not_noticed(fragile):
    opened, died = fragile
    os.kill(opened.pid, signal.SIGKILL)
    os.waitid(os.P_PID, opened.pid, os.WEXITED | os.WNOWAIT)
    np.testing.assert_array_equal(opened.segment(IMAGES), ids_of(IMAGES))
    assert died == [1]


def test_the_tiles_of_an_image_begin_again_if_another_one_ends_the_process(fragile):
    opened, _ = fragile
    opened.start_tiles(IMAGES[0])
    assert opened.next_tile() is None
    with pytest.raises(EngineDiedError):
        opened.segment(np.full_like(IMAGES[:1], DEADLY))
    while (ids := opened.next_tile()) is None:
        pass
    np.testing.assert_array_equal(ids, ids_of(IMAGES[0]))


def test_a_call_without_an_answer_ends_the_process(fragile):
    opened, died = fragile
    opened._timeout = 0.05
    os.kill(opened.pid, signal.SIGSTOP)
    with pytest.raises(EngineDiedError, match=r"did not answer within 0.05 seconds"):
        opened.segment(IMAGES)
    assert died == [1]


def test_an_engine_that_cannot_be_started_again_is_one_line(fragile):
    opened, _ = fragile
    with pytest.raises(EngineDiedError):
        opened.segment(np.full_like(IMAGES[:1], DEADLY))
    opened.path.write_bytes(opened.path.read_bytes()[:100])
    with pytest.raises(EngineDiedError, match=r"cannot be started again \(.*model.onnx: cannot be opened") as caught:
        opened.segment(IMAGES)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_opened_is_one_line(tmp_path):
    whole = write_onnx(tmp_path / "whole.onnx")
    (tmp_path / "cut.onnx").write_bytes(whole.read_bytes()[:100])
    write_onnx(tmp_path / "another.onnx", texts={"class_names": "none"})
    for name, line in [
        ("cut", "cut.onnx: cannot be opened by ONNX Runtime"),
        ("another", "another.onnx: holds no class names and colours, so it is no file of python -m export.onnx"),
    ]:
        with pytest.raises(UserError, match=line) as caught:
            NetworkProcess(tmp_path / f"{name}.onnx", SMALL)
        assert "\n" not in str(caught.value)


def test_a_fixed_batch_is_filled_and_divided(tmp_path):
    path = write_onnx(tmp_path / "model.onnx", batch=2)
    opened = Network(path, open_engine(path), SMALL)
    for count in (1, 2, 3):
        np.testing.assert_array_equal(opened.segment(IMAGES[:count]), ids_of(IMAGES[:count]))


def test_other_images_than_a_file_takes_are_the_clients_mistake(tmp_path):
    path = write_onnx(tmp_path / "model.onnx", size=(90, 100))
    servable = Servable(Network(path, open_engine(path), SMALL), "1", SMALL)
    for size, line in (((90, 100), None), ((100, 90), r"has 100 x 90 pixels, but the model takes 90 x 100 alone")):
        file = io.BytesIO()
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(file, "PNG")
        if line is None:
            assert servable.segment_file(file.getvalue()).fractions.tolist() == [1, 0, 0, 0]
        else:
            with pytest.raises(BadImageError, match=line):
                servable.segment_file(file.getvalue())


def test_files_of_class_ids_have_no_tiles_and_their_limit_says_why(tmp_path):
    path = write_onnx(tmp_path / "model.onnx")
    large = LargeImages(max_whole_pixels=100)
    servable = Servable(Network(path, open_engine(path), large), "1", large)
    assert not servable.goes_in_tiles(1 << 30)
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (50).to_bytes(4) * 2 + bytes(9)
    with pytest.raises(BadImageError, match=r"100 pixels for a file without probabilities, .* \(--max-whole-mp\)$"):
        servable.read_header(png)
    both = write_onnx(tmp_path / "both.onnx", both=True)
    servable = Servable(Network(both, open_engine(both), LargeImages(max_pixels=100)), "1")
    with pytest.raises(BadImageError, match=r"claims 50 x 50 pixels; the limit is 100 pixels \(--max-pixels\)$"):
        servable.read_header(png)


def test_it_is_warm_for_batches_and_the_largest_images(tmp_path, monkeypatch):
    path = write_onnx(tmp_path / "model.onnx", both=True)
    opened, shapes = Network(path, open_engine(path), SMALL), []
    segment, score = opened._engine.segment, opened._engine.score
    object.__setattr__(opened._engine, "segment", lambda images: shapes.append(images.shape[:3]) or segment(images))
    monkeypatch.setattr(
        opened._tiled, "_probabilities", lambda images: shapes.append(images.shape[:3]) or score(images)
    )
    monkeypatch.setattr(network, "MOST_WARM_LOGITS", 64 * 100 * 4)
    opened.warm_up(4, takes_memory=False)  # no tile: probabilities would take memory that no request may ask for
    assert set(shapes) == {(4, 320, 480), (1, 320, 480)}
    opened.warm_up(4, takes_memory=True)
    assert set(shapes) == {(4, 320, 480), (1, 320, 480), (1, 100, 64), (1, 64, 64)}


def test_a_process_that_ends_when_it_is_opened_or_warmed_is_one_line(fragile, tmp_path, monkeypatch):
    opened, _ = fragile
    os.kill(opened.pid, signal.SIGKILL)
    with pytest.raises(
        UserError, match=r"model.onnx: the process of the engine ended by signal 9 while it computed its"
    ):
        opened.warm_up(4, True)
    monkeypatch.setattr(process, "_PROGRAM", "raise SystemExit(3)")
    with pytest.raises(UserError, match=r"model.onnx: the process of the engine ended while it opened the file"):
        NetworkProcess(opened.path, SMALL)


def test_calls_of_several_threads_take_turns(fragile):
    opened, _ = fragile
    found = {}
    threads = [
        threading.Thread(target=lambda number=number: found.update({number: opened.segment(IMAGES[number, None])}))
        for number in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, ids in found.items():
        np.testing.assert_array_equal(ids[0], ids_of(IMAGES[number]))


def test_a_file_that_cannot_be_read_is_a_line_and_a_bug_a_traceback():
    try:
        raise ValueError("a bug")
    except ValueError as error:
        kind, text = worker.outcome_of(error)
    assert kind == worker.FAILED
    assert text.endswith("ValueError: a bug\n")
    refused = PermissionError(13, "Permission denied", "1/model.onnx")
    assert worker.outcome_of(refused) == (worker.MISTAKE, "1/model.onnx: cannot be read (Permission denied)")
