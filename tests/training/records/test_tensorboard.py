import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests
from servers import wait_until
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_fcn.training.records import tensorboard as tensorboard_log
from keras_fcn.training.records.tensorboard import TensorBoardLog

PIXELS = np.full((40, 60, 3), 100, np.uint8)


def read(folder):
    """All that TensorBoard finds there. The logs are not closed yet: what is found would survive `kill -9`."""
    everything = {"scalars": 0, "images": 0}
    return EventAccumulator(str(folder), size_guidance=everything, purge_orphaned_data=True).Reload()


def points(folder, tag):
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def test_tensorboard_reads_what_was_logged(tmp_path):
    log = TensorBoardLog(tmp_path / "runs/new")
    log.scalars({"loss": 0.5, "val_mean_iou": 0.25}, step=10)
    log.scalars({"loss": 0.125, "val_mean_iou": 0.5, "val_iou/cat": None, "val_iou/dog": float("nan")}, step=20)
    log.image("validation/0", PIXELS, step=20)
    events = read(tmp_path / "runs/new")
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 0.5), (20, 0.125)]
    assert [event.value for event in events.Scalars("val_mean_iou")] == [0.25, 0.5]
    assert events.Tags()["scalars"] == ["loss", "val_mean_iou"]
    (image,) = events.Images("validation/0")
    assert (image.step, image.width, image.height) == (20, 60, 40)


def test_a_resumed_run_has_every_step_once(tmp_path):
    """Interrupted after step 40, its checkpoint was of step 20; it resumes with other values, at the same steps."""
    first = TensorBoardLog(tmp_path)
    for step in (10, 20, 30, 40):
        first.scalars({"loss": 1.0, "only before": 1.0}, step)
        first.image("validation/0", PIXELS, step)
    second = TensorBoardLog(tmp_path, first_step=21)
    assert [step for step, _ in points(tmp_path, "loss")] == [10, 20]
    for step in (30, 40, 50):
        second.scalars({"loss": 2.0}, step)
        second.image("validation/0", PIXELS, step)
    third = TensorBoardLog(tmp_path, first_step=41)
    third.scalars({"loss": 3.0}, 50)
    assert points(tmp_path, "loss") == [(10, 1), (20, 1), (30, 2), (40, 2), (50, 3)]
    assert points(tmp_path, "only before") == [(10, 1), (20, 1)]
    assert [event.step for event in read(tmp_path).Images("validation/0")] == [10, 20, 30, 40]


def test_without_a_first_step_nothing_is_forgotten(tmp_path):
    TensorBoardLog(tmp_path).scalars({"loss": 1.0}, 10)
    TensorBoardLog(tmp_path).scalars({"loss": 2.0}, 20)
    assert points(tmp_path, "loss") == [(10, 1), (20, 2)]


@pytest.mark.parametrize("elapsed", [0, -3600, 60])
def test_event_files_are_read_in_the_order_in_which_they_were_begun(tmp_path, monkeypatch, elapsed):
    """In the same second, after the clock was set back, by a process of a lower number, on another host."""
    TensorBoardLog(tmp_path).scalars({"loss": 1.0}, 10)
    (before,) = tmp_path.iterdir()
    begun = int(before.name.split(".")[3])
    monkeypatch.setattr(tensorboard_log.time, "time", lambda: begun + elapsed + 0.5)
    monkeypatch.setattr(tensorboard_log.os, "getpid", lambda: 1)
    monkeypatch.setattr(tensorboard_log.socket, "gethostname", lambda: "a.b")
    TensorBoardLog(tmp_path, first_step=1).scalars({"loss": 2.0}, 10)
    TensorBoardLog(tmp_path, first_step=1).scalars({"loss": 3.0}, 10)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    assert files[0] == before
    assert points(tmp_path, "loss") == [(10, 3)]


@pytest.mark.slow  # it imports TensorFlow
def test_the_program_shows_the_curves_of_a_run(tmp_path):
    TensorBoardLog(tmp_path / "new/tensorboard").scalars({"loss": 0.5}, step=10)
    program = Path(sys.executable).parent / "tensorboard"
    command = [program, "--logdir", tmp_path, "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            page = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
            ask = f"{page}data/plugin/scalars/scalars?run=new%2Ftensorboard&tag=loss"
            wait_until(lambda: "new/tensorboard" in requests.get(f"{page}data/runs").json())
            assert [point[1:] for point in requests.get(ask).json()] == [[10, 0.5]]
        finally:
            process.kill()
