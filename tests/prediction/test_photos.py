"""Many images at once: the same files after any interruption, each written atomically."""

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from PIL import Image

from keras_fcn.errors import NoSpaceError
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction import outputs as outputs_module
from keras_fcn.prediction.outputs import OUTPUTS, OutputStyle, Prediction, describe
from keras_fcn.prediction.photos import batches, predict_all
from keras_fcn.prediction.plan import plan
from keras_fcn.prediction.sources import find_images
from keras_fcn.prediction.threads import THREADS, WAITING_BYTES, Job, in_order, thread_pool
from keras_fcn.runs import names

VOC = ClassTable.voc()
ALL = [name for name, entry in names.OUTPUTS.items() if not entry.packages]


def cheap_probabilities(images):
    """Probabilities of 21 classes by the red of a pixel: 0 to 255 in 21 steps."""
    ids = tf.cast(images[..., 0], tf.int32) // 13 + 1
    return tf.one_hot(tf.minimum(ids, 20), 21) * 0.75 + 0.25 / 21


def cheap_ids(images):
    return tf.cast(tf.argmax(cheap_probabilities(images), axis=-1), tf.uint8)


@pytest.fixture(scope="module")
def predictor():
    """A "model" of one operation."""
    signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
    return Predictor(*(tf.function(cheap_ids, signature), VOC, tf.function(cheap_probabilities, signature)))


def expected_ids(photo):
    with Image.open(photo) as image:
        red = np.asarray(image.convert("RGB"))[..., 0]
    return np.minimum(red // 13 + 1, 20)


def make_photos(folder, count, sizes=((9, 7), (12, 5))):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = rng.integers(0, 256, (*sizes[number % len(sizes)], 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.png")
    return folder


def tasks_of(photos, out, *outputs, existing="refuse"):
    return plan(find_images([str(photos)]), str(out), outputs, existing).left


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (31, 33), (375, 500)])
def test_masks_have_the_ids_of_images_of_any_size(predictor, tmp_path, size):
    make_photos(tmp_path / "in", 1, [size])
    assert predict_all(predictor, tasks_of(tmp_path / "in", tmp_path / "out", *ALL)) == {}
    with Image.open(tmp_path / "out/masks/0000.png") as mask:
        assert (mask.mode, mask.size) == ("P", size[::-1])
        np.testing.assert_array_equal(np.asarray(mask), expected_ids(tmp_path / "in/0000.png"))
        assert mask.getpalette() == VOC.palette().ravel().tolist()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(ALL)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_files_do_not_depend_on_batches(predictor, tmp_path, batch_size):
    photos = make_photos(tmp_path / "in", 25, [(9, 7), (12, 5), (9, 7), (3, 3)])
    predict_all(predictor, tasks_of(photos, tmp_path / "one", *ALL), batch_size=1)
    ticks = []
    tasks = tasks_of(photos, tmp_path / "many", *ALL)
    assert predict_all(predictor, tasks, batch_size=batch_size, advance=lambda: ticks.append(None)) == {}
    assert len(ticks) == 25
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    assert len(contents(tmp_path / "many")) == 25 * len(ALL)


def test_batches_are_of_one_size_and_none_waits_for_long():
    sizes = [(4, 4)] + [(2, 3)] * 9 + [(4, 4)] + [(5, 5)] * 3
    images = [(number, np.zeros((*size, 3), np.uint8)) for number, size in enumerate(sizes)]
    grouped = [numbers for numbers, _ in batches(iter(images), 2)]
    assert grouped == [[1, 2], [3, 4], [5, 6], [7, 8], [0, 10], [11, 12], [9], [13]]
    assert [numbers for numbers, _ in batches(iter(images[:1] * 1), 8)] == [[0]]
    different = [(number, np.zeros((1, number + 1, 3), np.uint8)) for number in range(40)]
    first = list(itertools.islice(batches(iter(different), 2), 30))
    assert [numbers for numbers, _ in first] == [[number] for number in range(30)]  # 8 wait at most
    large = [(number, np.zeros((2100, 2100, 3), np.uint8)) for number in range(2)]
    assert [numbers for numbers, _ in batches(iter(large), 8)] == [[0], [1]]


def test_results_keep_their_order_and_few_jobs_are_ahead():
    made, taken, most_ahead = [], [], 0
    first = threading.Event()

    def job(number):
        made.append(number)
        if number == 2 * THREADS - 1:
            first.set()  # the first to begin is the last to end
        return Job(1, lambda: (first.wait() if number == 0 else None, number)[1])

    with thread_pool() as pool:
        for number in in_order(pool, map(job, range(60))):
            most_ahead = max(most_ahead, len(made) - len(taken))
            taken.append(number)
    assert taken == list(range(60))
    assert most_ahead == 2 * THREADS + 1


def test_large_jobs_are_done_one_after_the_other():
    ended, seen = [], []

    def job(number):
        seen.append(len(ended))
        return Job(WAITING_BYTES + 1, lambda: ended.append(number))

    with thread_pool() as pool:
        list(in_order(pool, map(job, range(5))))
    assert seen == [0, 1, 2, 3, 4]


def test_one_that_cannot_be_decoded_or_written_stops_no_other(predictor, tmp_path, monkeypatch):
    photos = make_photos(tmp_path / "in", 9)
    (photos / "0003.png").write_bytes((photos / "0003.png").read_bytes()[:-30])
    (photos / "0005.png").write_text("not an image")
    (tmp_path / "out/masks/0007.png").mkdir(parents=True)
    tasks = tasks_of(photos, tmp_path / "out", "masks", existing="overwrite")
    failures = predict_all(predictor, tasks, batch_size=2)
    assert list(failures) == [3, 5, 7]
    for number, message in zip((3, 5, 7), ("cannot be decoded", "cannot be decoded", "cannot be written")):
        assert f"{number:04d}.png: {message}" in str(failures[number])
        assert "\n" not in str(failures[number])
    assert list(contents(tmp_path / "out")) == [f"masks/{n:04d}.png" for n in (0, 1, 2, 4, 6, 8)]


def test_one_that_the_device_has_no_room_for_is_named(tmp_path):
    def segment(images):
        if images.shape[1] > 10:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")
        return images[..., 0] // 13

    photos = make_photos(tmp_path / "in", 5)
    failures = predict_all(Predictor(segment, VOC), tasks_of(photos, tmp_path / "out", "masks"), batch_size=2)
    assert list(failures) == [1, 3]
    assert str(failures[1]) == f"{photos}/0001.png: does not fit into the device's memory; add tile=(1024, 1024)"
    assert list(contents(tmp_path / "out")) == [f"masks/000{number}.png" for number in (0, 2, 4)]


def test_a_full_disk_ends_the_prediction(predictor, tmp_path, monkeypatch):
    written = []

    def write_bytes(target, content):
        if len(written) == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(target)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    photos, ticks = make_photos(tmp_path / "in", 200), []
    with pytest.raises(NoSpaceError, match=r"\.png: cannot be written \(No space left on device\); free disk space$"):
        predict_all(predictor, tasks_of(photos, tmp_path / "out", "masks"), advance=lambda: ticks.append(None))
    assert len(ticks) < 100


def test_a_picture_that_jpeg_cannot_hold_is_named(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs_module, "_JPEG_SIDE", 20)
    photos = make_photos(tmp_path / "in", 1, [(4, 30)])
    failures = predict_all(predictor, tasks_of(photos, tmp_path / "out", "masks", "overlays"))
    assert "overlays/0000.jpg: pictures are JPEG files, at most 20 pixels" in str(failures[0])


def test_very_large_pictures_are_reduced(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs_module, "PICTURE_PIXELS", 100)
    photos = make_photos(tmp_path / "in", 1, [(40, 60)])
    assert predict_all(predictor, tasks_of(photos, tmp_path / "out", "masks", "overlays")) == {}
    with Image.open(tmp_path / "out/overlays/0000.jpg") as picture:  # 8 x 12 pixels, on white as wide as the legend
        upper = np.asarray(picture)[:8]
    assert (upper[:, 12 + 8 :] > 250).all()
    assert (upper[:, :12] < 250).any()
    assert Image.open(tmp_path / "out/masks/0000.png").size == (60, 40)


def test_probabilities_can_be_read_back(predictor, tmp_path):
    photos = make_photos(tmp_path / "in", 2)
    predict_all(predictor, tasks_of(photos, tmp_path / "out", "masks", "probabilities"))
    with np.load(tmp_path / "out/probabilities/0001.npz") as archive:
        probabilities, names = archive["probabilities"], archive["classes"]
    assert (probabilities.dtype, probabilities.shape) == (np.float16, (12, 5, 21))
    assert tuple(names) == VOC.names
    np.testing.assert_array_equal(probabilities.argmax(axis=-1), expected_ids(photos / "0001.png"))
    np.testing.assert_allclose(probabilities.max(axis=-1), 0.75 + 0.25 / 21, atol=1e-3)


def test_the_table_counts_pixels_and_boxes_them(predictor, tmp_path):
    """Worked by hand: a cat of three pixels in an L, a dog in the corner."""
    ids = np.array([[0, 8, 0, 0], [0, 8, 8, 12]], np.uint8)
    assert describe(ids, VOC) == [
        {"id": 0, "name": "background", "pixels": 4, "share": 0.5, "bounding_box": [0, 0, 4, 2]},
        {"id": 8, "name": "cat", "pixels": 3, "share": 0.375, "bounding_box": [1, 0, 2, 2]},
        {"id": 12, "name": "dog", "pixels": 1, "share": 0.125, "bounding_box": [3, 1, 1, 1]},
    ]
    prediction = Prediction("day/é.jpg", np.zeros((2, 4, 3), np.uint8), ids, VOC, VOC)
    table = json.loads(OUTPUTS["json"].encode(prediction))
    assert {key: table[key] for key in ("image", "height", "width")} == {"image": "day/é.jpg", "height": 2, "width": 4}
    assert table["classes"] == describe(ids, VOC)


def test_pictures_are_shown_in_the_palette_asked_for(predictor, tmp_path):
    photos = make_photos(tmp_path / "in", 1, [(64, 64)])
    for palette in ("classes", "colorblind"):
        tasks = tasks_of(photos, tmp_path / palette, "masks", "overlays")
        predict_all(predictor, tasks, OutputStyle(palette))
    one, other = (contents(tmp_path / palette) for palette in ("classes", "colorblind"))
    assert one["masks/0000.png"] == other["masks/0000.png"]
    assert one["overlays/0000.jpg"] != other["overlays/0000.jpg"]


CHEAP_RUN = """
import sys
sys.path[:0] = ["tests", "tests/support", "tests/support/served", "tests/prediction"]
import conftest
from test_photos import *
photos, out = sys.argv[1:]
signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
predictor = Predictor(tf.function(cheap_ids, signature), VOC)
tasks = tasks_of(photos, out, "masks", "json", existing="skip")
print(len(tasks), flush=True)
predict_all(predictor, tasks, batch_size=4, advance=lambda: print("done", flush=True))
"""


def cheap_run(photos, out):
    """Starts a process that predicts what is left to do, and prints how much that is."""
    words = [sys.executable, "-c", CHEAP_RUN, str(photos), str(out)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_folder_killed_and_continued_is_one_never_interrupted(predictor, tmp_path, count):
    photos = make_photos(tmp_path / "in", count, [(9, 7), (12, 5), (16, 16)])
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    predict_all(predictor, tasks_of(photos, whole, "masks", "json"))
    with cheap_run(photos, parts) as process:
        assert process.stdout.readline() == f"{count}\n"
        for _ in range(count // 3):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    names = set(contents(whole))
    left = contents(parts)
    done = {name: content for name, content in left.items() if name in names}
    assert 2 * (count // 3) <= len(done) < 2 * count
    assert all(content == (whole / name).read_bytes() for name, content in done.items())  # whole files only
    assert all(name.split("/")[1].startswith(".") for name in set(left) - names)
    with cheap_run(photos, parts) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    complete = sum(f"masks/{n:04d}.png" in done and f"json/{n:04d}.json" in done for n in range(count))
    assert out.count("done\n") == count - complete
    assert contents(parts) == contents(whole)


def test_ctrl_c_leaves_whole_files_only(predictor, tmp_path):
    photos = make_photos(tmp_path / "in", 200)
    tasks = tasks_of(photos, tmp_path / "out", "masks", "json")
    count = itertools.count()

    def stop():
        if next(count) == 20:
            raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        predict_all(predictor, tasks, batch_size=4, advance=stop)
    threads = [thread for thread in threading.enumerate() if "ThreadPoolExecutor" in thread.name]
    assert before.issuperset(threads)
    left = tasks_of(photos, tmp_path / "out", "masks", "json", existing="skip")
    assert 0 < len(left) < 180
    predict_all(predictor, left)
    predict_all(predictor, tasks_of(photos, tmp_path / "whole", "masks", "json"))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
