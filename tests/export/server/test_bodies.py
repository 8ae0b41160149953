"""Bodies of requests as they arrive, piece by piece, within limits of size, memory and time."""

import asyncio

import pytest
from servers import DEADLINE, needs_server

from export.server.limits import Admission, LimitError

pytestmark = needs_server


class Body:
    """A request whose pieces arrive when the test says so."""

    def __init__(self, admission, headers=(), **limits):
        from starlette.requests import Request

        from export.server.http.bodies import BodyLimits, read_body

        self._pieces = asyncio.Queue()
        request = Request({"type": "http", "headers": headers}, self._pieces.get)
        usual = {"max_bytes": 100, "pause": DEADLINE, "min_rate": 1.0, "timeout": DEADLINE, **limits}
        end = asyncio.get_running_loop().time() + usual.pop("timeout")

        async def answered():
            with admission.request() as admitted:
                body = await read_body(request, BodyLimits(**usual), admitted, end)
                await self.answer.wait()
                return body

        self.answer = asyncio.Event()
        self.task = asyncio.create_task(answered())

    async def send(self, piece, more=True):
        """Lets a piece arrive, and returns when it has been read or the request has an answer."""
        self._pieces.put_nowait({"type": "http.request", "body": piece, "more_body": more})
        while not self._pieces.empty() and not self.task.done():
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def refusal(self):
        """Returns the limit, the status and the message of a refused request."""
        with pytest.raises(LimitError) as caught:
            await asyncio.wait_for(self.task, DEADLINE)
        return caught.value.limit, caught.value.status, str(caught.value)


def run(test):
    asyncio.run(asyncio.wait_for(test(), DEADLINE))


def test_bodies_that_only_announce_themselves_take_nothing_from_others():
    async def test():
        admission = Admission(max_requests=2, max_bytes=100)
        announced = [Body(admission, [(b"content-length", b"100")]) for _ in range(9)]
        for _ in range(3):
            other = Body(admission)
            await other.send(b"x" * 60, more=False)
            other.answer.set()
            assert await other.task == b"x" * 60
        assert (admission.requests, admission.bytes) == (0, 0)
        for body in announced:
            body.task.cancel()

    run(test)


def test_the_oldest_body_gives_way_when_memory_is_full():
    async def test():
        admission = Admission(max_requests=9, max_bytes=100)
        empty, older, old, new = (Body(admission) for _ in range(4))
        await older.send(b"x" * 40)
        await old.send(b"x" * 40)
        await new.send(b"x" * 40)
        expected = ("max_waiting_mb", 503, "0 MiB of requests wait already; try again later (--max-waiting-mb)")
        assert await older.refusal() == expected
        assert admission.bytes == 80
        await new.send(b"y", more=False)
        await old.send(b"x" * 40)  # itself the oldest now: what has arrived entirely stays
        assert await old.refusal() == expected
        new.answer.set()
        assert await new.task == b"x" * 40 + b"y"
        assert admission.bytes == 0
        empty.task.cancel()

    run(test)


def test_the_memory_of_every_body_is_noted_as_free_whatever_became_of_it():
    async def test():
        freed = []
        admission = Admission(max_requests=9, max_bytes=100, freed=freed.append)
        given_up, gone, answered = (Body(admission) for _ in range(3))
        await given_up.send(b"x" * 50)
        await gone.send(b"x" * 40)
        await answered.send(b"x" * 30, more=False)
        await given_up.refusal()
        assert freed == [50]
        gone.task.cancel()
        await asyncio.wait([gone.task])
        assert freed == [50, 40]
        answered.answer.set()
        await answered.task
        assert freed == [50, 40, 30]

    run(test)


def test_requests_that_have_arrived_wait_in_a_limited_number():
    async def test():
        admission = Admission(max_requests=1, max_bytes=100)
        first, second = Body(admission), Body(admission)
        for body in (first, second):
            await body.send(b"x", more=False)
        expected = ("max_waiting", 503, "1 requests wait already; try again later (--max-waiting)")
        assert await second.refusal() == expected
        assert await Body(admission).refusal() == expected
        first.answer.set()
        assert await first.task == b"x"

    run(test)


@pytest.mark.parametrize(
    ("limits", "piece", "expected"),
    [
        ({"pause": 0.02}, b"", ("read_timeout", "no byte of the body arrived for 0.02 seconds (--read-timeout)")),
        ({"timeout": 0.02}, b"x", ("timeout", "the request did not arrive in time (--timeout)")),
        (
            {"pause": 0.02, "min_rate": 1e6},
            b"x",
            ("min_rate", "the body arrived at less than 1e+06 bytes per second (--min-rate)"),
        ),
    ],
)
def test_bodies_that_take_too_long(limits, piece, expected):
    async def test():
        body = Body(Admission(1, 100), **limits)
        if piece:
            await body.send(piece)
        limit, message = expected
        assert await body.refusal() == (limit, 408, message)

    run(test)


@pytest.mark.parametrize("headers", [[(b"content-length", b"101")], [(b"content-length", b"9" * 5000)], []])
def test_bodies_that_are_too_large(headers):
    async def test():
        body = Body(Admission(1, 1000), headers)
        if not headers:
            for _ in range(2):
                await body.send(b"x" * 51)
        limit, status, message = await body.refusal()
        assert (limit, status) == ("max_body_mb", 413)
        assert message.startswith("the body is longer than 100 bytes")

    run(test)
