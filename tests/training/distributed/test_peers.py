"""Workers that meet, disagree, and lose each other: their connections alone, without a training."""

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from keras_fcn.errors import LostWorkerError, UserError
from keras_fcn.training.distributed import connections, peers, telling
from keras_fcn.training.distributed.agreement import Introduction, disagreement
from keras_fcn.training.distributed.cluster import Cluster
from keras_fcn.training.distributed.messages import encoded

VERSIONS = {"keras_fcn": "1.0.0", "TensorFlow": "2.21.0"}
SETTINGS = {"seed": 1, "crop_size": (64, 96)}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Nobody waits long, but for those that are told before they listen, or would be waited for without end."""
    for name, seconds in {"BEAT": 0.02, "SILENCE": 0.5, "WRONG_ADDRESS": 0.3, "RETRY": 0.02}.items():
        monkeypatch.setattr(connections, name, seconds)
    monkeypatch.setattr(telling, "LINGERING", 3.0)
    monkeypatch.setattr(peers, "PATIENCE", 60.0)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Worker(peers.Peers):
    """One of several workers."""

    def __init__(self, ports, index, versions=VERSIONS, settings=SETTINGS, report=print):
        cluster = Cluster({"worker": tuple(f"127.0.0.1:{port}" for port in ports)}, "worker", index)
        super().__init__(cluster, Introduction.of(cluster, versions, settings), "restart all", report)


def ends(*workers, between=lambda: None):
    """How each of the workers ends, which all do something between their meeting and their end."""

    def work(worker):
        try:
            with worker:
                between()
        except Exception as error:
            return error
        return None

    with ThreadPoolExecutor(len(workers)) as threads:
        errors = list(threads.map(work, workers))
    assert not any(worker._thread.is_alive() for worker in workers), "connections that are not closed"
    return errors


@pytest.mark.parametrize("count", [1, 2, 4])
def test_workers_meet_and_part(count):
    ports, together = free_ports(count), threading.Barrier(count, timeout=30)
    assert ends(*(Worker(ports, index) for index in range(count)), between=together.wait) == [None] * count
    for port in ports:  # theirs no more
        socket.create_server(("127.0.0.1", port)).close()


def lines(errors, kind=UserError):
    """The lines of all errors, which are of one kind."""
    assert {type(error) for error in errors} == {kind}
    return [str(error) for error in errors]


@pytest.mark.parametrize(
    ("versions", "settings", "what", "differs", "fix"),
    [
        (
            {**VERSIONS, "keras_fcn": "0.9.0"},
            SETTINGS,
            "versions",
            "keras_fcn is 1.0.0 in worker 0 and 0.9.0 in worker 1",
            "install the same everywhere",
        ),
        (
            VERSIONS,
            {"seed": 2, "crop_size": (64, 96), "watch": "mean_iou"},
            "settings",
            "seed is 1 in worker 0 and 2 in worker 1, watch is None in worker 0 and mean_iou in worker 1",
            "start all of them with the same options",
        ),
    ],
)
def test_workers_that_differ_end_in_the_same_line(versions, settings, what, differs, fix):
    ports = free_ports(2)
    line = f"the workers have different {what}: {differs}; {fix}"
    assert lines(ends(Worker(ports, 0), Worker(ports, 1, versions, settings))) == [line] * 2


def test_a_list_without_a_worker_is_found():
    a, b, c = free_ports(3)
    of_one, of_other = (f"127.0.0.1:{first}, 127.0.0.1:{b}" for first in (a, c))
    line = f"have different lists of all workers: worker 0 has {of_one} and worker 1 has {of_other}; give all of them"
    for found in lines(ends(Worker((a, b), 0), Worker((c, b), 1))):
        assert found == f"TF_CONFIG: the workers {line} the same"


def test_an_index_is_given_once():
    a, b = free_ports(2)
    cluster = Cluster({"worker": (f"127.0.0.1:{a}", f"127.0.0.1:{b}")}, "worker", 0)
    one, other = (Introduction.of(cluster, VERSIONS, SETTINGS) for _ in range(2))
    assert disagreement(one, other) == disagreement(other, one)
    assert disagreement(one, other).startswith("TF_CONFIG: two processes are worker 0, on ")
    taken, told = sorted(lines(ends(Worker((a, b), 0), Worker((a, b), 0))))
    assert taken.startswith(f"TF_CONFIG: this worker cannot listen at 127.0.0.1:{a} (")
    assert told == f"worker 0: {taken}"


def test_a_worker_that_is_reached_at_the_address_of_another():
    """The second believes to be the first, and so would not think of telling it."""
    a, b = free_ports(2)
    second = Worker((a, b), 0)
    second._connections._cluster = Cluster({"worker": (f"127.0.0.1:{b}", f"127.0.0.1:{b}")}, "worker", 0)
    for line in lines(ends(second, Worker((a, b), 0))):
        assert "and answers at 127.0.0.1:" in line or "two processes are worker 0" in line
        assert "correct its index, or the addresses" in line or "give each worker an index of its own" in line


def test_a_worker_that_is_not_where_the_list_says():
    """The first listens at a, and the second, of which the list says b, at c."""
    a, b, c = free_ports(3)
    second = Worker((a, b), 1)
    second._connections._cluster = Cluster({"worker": (f"127.0.0.1:{a}", f"127.0.0.1:{c}")}, "worker", 1)
    found = lines(ends(Worker((a, b), 0), second))
    assert found[0].startswith("TF_CONFIG: worker 1 has started, but worker 0 does not reach it at 127.0.0.1:")
    assert found[1] == f"worker 0: {found[0]}"


def test_another_program_answers_at_an_address():
    (a,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].sendall(b"SSH-2.0-OpenSSH_10.0\r\n")

        threading.Thread(target=greet, daemon=True).start()
        found = lines(ends(Worker((a, server.getsockname()[1]), 0)))
        server.shutdown(socket.SHUT_RDWR)
    assert found[0].startswith("TF_CONFIG: another program answers at 127.0.0.1:")


def test_what_does_not_speak_as_workers_do_disturbs_no_meeting():
    ports, together = free_ports(2), threading.Barrier(2, timeout=30)
    first = Worker(ports, 0, report=None)
    with ThreadPoolExecutor(1) as thread:
        end = thread.submit(ends, first, between=together.wait)
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b"{" * 99 + b"\n", b"\xff\n", encoded({"hello": 3}), b""):
            while True:
                with (
                    contextlib.suppress(ConnectionRefusedError),
                    socket.create_connection(("127.0.0.1", ports[0])) as s,
                ):
                    s.sendall(noise)
                    break
        assert ends(Worker(ports, 1), between=together.wait) == [None]
        assert end.result() == [None]


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (UserError("a.png: is damaged"), UserError, "worker 1: a.png: is damaged"),
        (
            ValueError("bug"),
            LostWorkerError,
            "worker 1 at 127.0.0.1:{} failed (ValueError: bug), see its own output; restart all",
        ),
        (LostWorkerError("worker 2 is lost"), LostWorkerError, "worker 1: worker 2 is lost"),
        (None, LostWorkerError, "what TensorFlow knows"),
        (KeyboardInterrupt(), LostWorkerError, "what TensorFlow knows"),
    ],
)
def test_why_a_worker_ends_is_told_to_the_others(error, kind, line, monkeypatch):
    """The first waits, as TensorFlow does, until it notices that the second is gone."""
    monkeypatch.setattr(peers, "GRACE", 0.5)
    ports = free_ports(2)
    first, second, gone = Worker(ports, 0), Worker(ports, 1), threading.Event()

    def fail():
        with contextlib.suppress(BaseException), second:
            if error:
                raise error
        gone.set()

    def wait():
        assert gone.wait(30)
        raise LostWorkerError("what TensorFlow knows")

    threading.Thread(target=fail).start()
    (found,) = ends(first, between=wait)
    assert type(found) is kind
    assert str(found) == line.format(ports[1])
