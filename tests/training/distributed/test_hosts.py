"""Several hosts, joined by cables that can be cut, and a worker on each: what they train, and how they end.

Every command is started in a folder of its host, so that the same words name other files there.
"""

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import hosts
import numpy as np
import pytest
from conftest import TINY
from hosts import Worker, configured, workers
from PIL import Image
from tiny_runs import assert_same_run

from keras_fcn.datasets.toy import draw_toy_dataset
from keras_fcn.runs.folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(hosts.why_not()), reason=hosts.why_not())]

PROMISED = 30
"""Seconds in which all workers end after what makes them end."""

OPTIONS = [*TINY[:-4], "--batch-size", "6", "--learning-rate", "1e-4", "--epochs"]


def ends(started, since=None):
    """Exit status and stderr of each, all in the time that is promised since something happened or the first ended."""
    with ThreadPoolExecutor(len(started)) as threads:
        found = list(threads.map(Worker.end, started))
    times = [when for _, _, when in found]
    if any(status for status, _, _ in found):
        assert max(times) - (since or min(times)) < PROMISED, found
    return [(status, err) for status, err, _ in found]


def assert_one_line(found, status, pattern):
    for its_status, err in found:
        assert re.fullmatch(rf"error: {pattern}\n", err), err
        assert its_status == status


@pytest.fixture(scope="module")
def three():
    with hosts.hosts(3) as net:
        yield net


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_toy_dataset(tmp_path_factory.mktemp("data") / "toy", {"train": 12, "val": 3})


@pytest.fixture(scope="module")
def undisturbed(three, data, tmp_path_factory):
    """The folder of a run of three workers, and the weights of each."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with workers(three, folder, "--data", data, *OPTIONS, 4, "--run-dir", folder / "run") as started:
        assert ends(started) == [(0, "")] * 3
    return RunFolder(folder / "run"), [worker.weights for worker in started]


def assert_same_as(undisturbed, run, started):
    """The run and the weights of each worker are those of the undisturbed one, to the last bit."""
    assert_same_run(undisturbed[0], RunFolder(run))
    for worker in started:
        for weight, expected in zip(worker.weights, undisturbed[1][0], strict=True):
            np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("count", [2, 3])
def test_all_workers_have_the_same_weights_which_are_those_of_one(data, tmp_path, count):
    """The last one starts when the first has said that it waits for it."""
    words = ["--data", data, *OPTIONS, 1, "--run-dir"]
    with hosts.hosts(count) as net, workers(net, tmp_path, *words, tmp_path / "run", indices=range(count - 1)) as early:
        assert early[0].after("Worker   still").endswith(f"worker {count - 1} at 10.77.0.{count}:2222\n")
        with workers(net, tmp_path, *words, tmp_path / "run", indices=[count - 1]) as late:
            assert ends([*early, *late]) == [(0, "")] * count
        with workers(net, tmp_path / "alone", *words, tmp_path / "one", indices=[0], config="") as alone:
            assert ends(alone) == [(0, "")]
    first, *others = ([weight.ravel() for weight in worker.weights] for worker in (*early, *late))
    for other in others:
        np.testing.assert_array_equal(np.concatenate(other), np.concatenate(first))
    np.testing.assert_allclose(np.concatenate(first), np.concatenate([w.ravel() for w in alone[0].weights]), atol=1e-5)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_killed_worker_ends_all_and_the_same_command_goes_on(three, data, undisturbed, tmp_path, lost):
    run = tmp_path / "run"
    words = ["--data", data, *OPTIONS, 4, "--run-dir", run]
    with workers(three, tmp_path, *words) as started:
        started[0].after("loss")
        killed = time.monotonic()
        started[lost].process.send_signal(signal.SIGKILL)
        found = ends([worker for worker in started if worker is not started[lost]], killed)
    fix = f"restart all of them with the same commands to resume {run}"
    assert_one_line(found, 138, rf"(worker \d: )?worker {lost} at 10.77.0.{lost + 1}:2222 has ended; {re.escape(fix)}")
    with workers(three, tmp_path, *words) as again:
        assert ends(again) == [(0, "")] * 3
    assert_same_as(undisturbed, run, again)


def test_a_link_that_is_cut_for_five_seconds_is_not_noticed(three, data, undisturbed, tmp_path):
    with workers(three, tmp_path, "--data", data, *OPTIONS, 4, "--run-dir", tmp_path / "run") as started:
        started[0].after("loss")
        three.cut(1)
        time.sleep(5)
        three.restore(1)
        assert ends(started) == [(0, "")] * 3
    assert_same_as(undisturbed, tmp_path / "run", started)


@pytest.mark.parametrize("cut", [0, 2])
def test_a_link_that_stays_cut_ends_all_and_the_same_command_goes_on(three, data, undisturbed, tmp_path, cut):
    """All have ended long before a minute is over, so that no worker is left whom the link could come back to."""
    run = tmp_path / "run"
    words = ["--data", data, *OPTIONS, 4, "--run-dir", run]
    with workers(three, tmp_path, *words) as started:
        started[0].after("loss")
        since = time.monotonic()
        three.cut(cut)
        try:
            found = ends(started, since)
        finally:
            three.restore(cut)
    assert_one_line(
        found, 138, r"(worker \d: )?worker \d at 10.77.0.\d:2222 has (not answered for 12 seconds|ended); .*"
    )
    with workers(three, tmp_path, *words) as again:
        assert ends(again) == [(0, "")] * 3
    assert_same_as(undisturbed, run, again)


def test_a_link_between_two_of_three_ends_all(data, tmp_path):
    words = ["--data", data, *OPTIONS, 400, "--run-dir", tmp_path / "run"]
    with hosts.hosts(3) as net, workers(net, tmp_path, *words) as started:
        started[0].after("loss")
        since = time.monotonic()
        net.part(1, 2)
        found = ends(started, since)
    assert_one_line(
        found, 138, r"(worker \d: )?worker \d at 10.77.0.\d:2222 has (not answered for 12 seconds|ended); .*"
    )


@contextlib.contextmanager
def two_copies(data, folder):
    """Copies the data for each of two hosts."""
    copies = [folder / f"host{index}" / "data" for index in range(2)]
    for copy in copies:
        shutil.copytree(data, copy)
    yield copies[1]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("image", "data: the workers see different images or masks there; give all of them the same"),
        ("classes", "data: the workers see different class tables there; give all of them the same"),
        ("missing", r"(worker 1: )?data: .*"),
        ("damaged", r"(worker 1: )?data/.*"),
    ],
)
def test_a_host_with_other_data_ends_all(data, tmp_path, change, line):
    with hosts.hosts(2) as net, two_copies(data, tmp_path) as copy:
        photo = min((copy / "JPEGImages").iterdir())
        if change == "image":
            turned = Image.open(photo).transpose(Image.Transpose.ROTATE_180)
            turned.save(photo)
        elif change == "classes":
            names = (copy / "classes.txt").read_text().splitlines()
            (copy / "classes.txt").write_text("\n".join(["nothing", *names[1:]]))
        elif change == "missing":
            shutil.rmtree(copy)
        else:
            photo.write_bytes(photo.read_bytes()[:50])
        words = ["--data", "data", *OPTIONS, 1, "--run-dir", tmp_path / "run"]
        with workers(net, tmp_path, *words) as started:
            assert_one_line(ends(started), 2, line)


def test_a_host_with_another_version_ends_all(data, tmp_path):
    words = ["--data", data, *OPTIONS, 1, "--run-dir", tmp_path / "run"]
    line = r"the workers have different versions: keras_fcn is .* in worker 0 and 0\.0\.9 in worker 1; .*"
    with (
        hosts.hosts(2) as net,
        workers(net, tmp_path, *words, indices=[0]) as first,
        workers(net, tmp_path, *words, indices=[1], VERSION="0.0.9") as second,
    ):
        assert_one_line(ends([*first, *second]), 2, line)
    assert not (tmp_path / "run").exists()


def another_list(net):
    return {"cluster": {"worker": [f"{net.addresses[0]}:2222", "10.77.0.9:2222"]}}


@pytest.mark.parametrize(
    ("mistake", "line"),
    [
        (lambda net: configured(net, 1)[:-1], "TF_CONFIG: is not JSON .*"),
        (lambda net: configured(net, 2), "TF_CONFIG: task must have .* index below .*"),
        (
            lambda net: configured(net, 0),
            "TF_CONFIG: two processes are worker 0, .*|TF_CONFIG: this process is worker 0.*",
        ),
        (lambda net: configured(net, 1, **another_list(net)), "TF_CONFIG: the workers have different lists .*"),
        (lambda net: configured(net, 1, task={"type": "master", "index": 1}), "TF_CONFIG: task must have a type .*"),
        (lambda net: configured(net, 1, task={"type": "ps", "index": 1}), "TF_CONFIG: the task 'ps' is not used, .*"),
        (
            lambda net: configured(net, 1, cluster={"master": [f"{a}:2222" for a in net.addresses]}),
            "TF_CONFIG: cluster .*",
        ),
    ],
    ids=["no JSON", "index", "index of another", "list", "type", "ps", "job"],
)
def test_a_wrong_tf_config_on_one_host_ends_all(data, tmp_path, mistake, line):
    words = ["--data", data, *OPTIONS, 1, "--run-dir", tmp_path / "run"]
    with hosts.hosts(2) as net, workers(net, tmp_path, *words, indices=[0]) as first:
        first[0].after("Worker")
        with workers(net, tmp_path, *words, indices=[1], config=mistake(net)) as second:
            assert_one_line(ends([*first, *second]), 2, rf"(on .*: |worker \d: )?({line})")


def test_a_port_that_is_taken_ends_all(data, tmp_path):
    words = ["--data", data, *OPTIONS, 1, "--run-dir", tmp_path / "run"]
    listen = "import socket; s = socket.create_server(('', 2222)); print(flush=True); s.accept(); input()"
    with hosts.hosts(2) as net:
        command = [*net.command(1), sys.executable, "-c", listen]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            other.stdout.readline()
            with workers(net, tmp_path, *words) as started:
                line = r"(worker 1: )?TF_CONFIG: this worker cannot listen at 10.77.0.2:2222 \(.*\); is its port free\?"
                assert_one_line(ends(started), 2, line)
