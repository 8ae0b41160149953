"""The server's batching and limit of pixels, without HTTP, with a network that records its batches."""

import asyncio
import contextlib
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from export.server.limits import PixelBudget
from export.server.model import segmentation
from export.server.model.batching import Batcher, BatchingOptions
from export.server.model.engine.process import EngineDiedError
from export.server.model.files.header import Header
from export.server.model.segmentation import Segmentation


class Network:
    """Stands for a model: the ids of an image are its first channel, in tiles of a row each. It runs when it is let."""

    def __init__(self, whole_pixels=1 << 21):
        self.batches, self.go, self.whole_pixels = [], threading.Event(), whole_pixels

    def goes_in_tiles(self, pixels):
        return pixels > self.whole_pixels

    def segment_in_tiles(self, image):
        for row in image:
            self.segment([row[None]])
            yield None
        yield image[..., 0]

    def segment(self, images):
        assert self.go.wait(60)
        self.batches.append([int(image[0, 0, 0]) for image in images])
        if any(image[0, 0, 0] == 99 for image in images):
            raise EngineDiedError("99")
        return np.stack(images)[..., 0]


def image(value, height=2, width=3):
    return np.full((height, width, 3), value, np.uint8)


@contextlib.asynccontextmanager
async def batcher(**options):
    with ThreadPoolExecutor(1) as pool:
        found = Batcher(pool, BatchingOptions(**options), lambda size, seconds: None)
        async with found.running():
            yield found


def run(max_batch, images, max_delay=0.0, whole_pixels=1 << 21):
    """Returns the batches that a network gets, and its answers, if all images but the first come while it is busy."""
    network = Network(whole_pixels)

    async def segment():
        async with batcher(max_batch=max_batch, max_delay=max_delay) as found:
            tasks = [asyncio.create_task(found.segment(network, one)) for one in images]
            for _ in range(10):
                await asyncio.sleep(0)
            network.go.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(segment()), network.batches


def test_images_of_one_size_that_wait_go_together_the_longest_waiting_first():
    images = [image(0), image(1), image(2, 4), image(3), image(4, 4), image(5), image(6), image(7)]
    answers, batches = run(3, images)
    assert sorted(number for batch in batches for number in batch) == list(range(8))
    assert max(map(len, batches)) == 3
    for batch in batches:
        assert len({images[number].shape for number in batch}) == 1
        assert batch == sorted(batch)
    firsts = [batch[0] for batch in batches]
    assert firsts == sorted(firsts)
    for given, ids in zip(images, answers, strict=True):
        np.testing.assert_array_equal(ids, given[..., 0])


def test_one_call_has_no_more_pixels_than_agreed():
    answers, batches = run(4, [image(number, 1024, 1025) for number in range(3)])
    assert batches == [[0], [1], [2]]
    assert [ids.shape for ids in answers] == [(1024, 1025)] * 3


def test_between_two_tiles_others_of_as_many_pixels_get_their_turn():
    large, small = image(50, 4, 6), [image(value) for value in range(7)]  # tiles of 6 pixels, images of 6
    answers, batches = run(1, [large, *small], whole_pixels=12)
    assert batches == [[50], [0], [50], [1], [50], [2], [50], [3], [4], [5], [6]]
    for given, ids in zip([large, *small], answers, strict=True):
        np.testing.assert_array_equal(ids, given[..., 0])
    _, batches = run(2, [large, *small], whole_pixels=12)
    assert batches == [[50], [0, 1], [50], [2, 3], [50], [4, 5], [50], [6]]


def test_large_images_go_one_after_the_other_and_what_fails_fails_alone():
    images = [image(50, 4, 6), image(60, 4, 6), image(0)]
    images[0][2] = 99
    answers, batches = run(4, images, whole_pixels=12)
    assert batches == [[50], [0], [50], [99], [60], [60], [60], [60]]
    assert isinstance(answers[0], EngineDiedError)
    np.testing.assert_array_equal(answers[1], images[1][..., 0])


def test_one_that_fails_fails_alone():
    answers, _ = run(4, [image(value) for value in (0, 1, 99, 3)])
    assert [isinstance(answer, RuntimeError) for answer in answers] == [False, False, True, False]


def test_with_a_delay_an_idle_network_waits_for_a_full_batch():
    answers, batches = run(4, [image(value) for value in range(4)], max_delay=60)
    assert (len(answers), batches) == (4, [[0, 1, 2, 3]])
    _, batches = run(4, [image(0)], max_delay=0.01)
    assert batches == [[0]]


def test_who_no_longer_waits_is_not_segmented():
    network = Network()

    async def segment():
        async with batcher(max_batch=1) as found:
            first, gone, last = (asyncio.create_task(found.segment(network, image(value))) for value in range(3))
            for _ in range(10):
                await asyncio.sleep(0)
            gone.cancel()
            network.go.set()
            await asyncio.gather(first, last)

    asyncio.run(segment())
    assert network.batches == [[0], [2]]


def test_a_large_image_that_nobody_waits_for_ends_with_its_tile():
    network = Network(whole_pixels=12)

    async def segment():
        async with batcher() as found:
            gone, last = (asyncio.create_task(found.segment(network, one)) for one in (image(50, 4, 6), image(1)))
            for _ in range(10):
                await asyncio.sleep(0)
            gone.cancel()
            network.go.set()
            await last

    asyncio.run(segment())
    assert network.batches == [[50], [1]]


def test_no_more_pixels_than_agreed_in_the_order_of_arrival():
    events = []

    async def hold(budget, name, pixels, release):
        async with budget.holding(pixels):
            events.append(name)
            await release.wait()

    async def several():
        budget, release = PixelBudget(10), {name: asyncio.Event() for name in "abcd"}
        wanted = {"a": 6, "b": 30, "c": 1, "d": 9}
        tasks = [asyncio.create_task(hold(budget, name, wanted[name], release[name])) for name in "abcd"]
        seen = []
        for name in "abcd":
            await asyncio.sleep(0.01)
            seen.append("".join(events))
            release[name].set()
        await asyncio.gather(*tasks)
        return seen

    # b is too large even alone, but goes when a is done; c and d wait behind it; c and d fit together.
    assert asyncio.run(several()) == ["a", "ab", "abcd", "abcd"]


def test_a_model_that_nobody_uses_is_kept_by_nobody():
    async def segment():
        network = Network(whole_pixels=12)
        network.go.set()
        reference = weakref.ref(network)
        async with batcher() as found:
            for one in (image(1), image(50, 4, 6), image(2)):
                await found.segment(network, one)
            await asyncio.sleep(0)
            del network
            gc.collect()
            return reference()

    assert asyncio.run(segment()) is None


class Model(Network):
    """Stands for a served model, whose files are a byte each: the value of an image of 2 x 3."""

    def __init__(self, whole_pixels=1 << 21):
        super().__init__(whole_pixels)
        self.go.set()

    def read_header(self, data):
        return Header(2, 3)

    def decode(self, data):
        return image(data[0])

    def encode(self, ids):
        return int(ids[0, 0])


def segment_requests(model, *requests, max_batch=1):
    """Returns the masks of several requests, each a sequence of files, that come at the same time."""

    async def run():
        found = Segmentation(1, BatchingOptions(max_batch), 1, lambda size, seconds: None)
        async with found.running():
            return await asyncio.gather(*(found.segment(model, [*map(bytes, zip(r))]) for r in requests))

    return asyncio.run(run())


def test_a_request_of_many_files_lets_others_between():
    model, many = Model(), range(20)
    assert segment_requests(model, many, [77]) == [[*many], [77]]
    assert model.batches[:3] == [[0], [1], [77]]


def test_of_a_request_of_large_files_no_more_pixels_are_under_way_than_one_call_has():
    model = Model(whole_pixels=12)
    assert segment_requests(model, range(6), [77], max_batch=4) == [[*range(6)], [77]]
    assert [number for batch in model.batches for number in batch][:3] == [0, 1, 77]


def test_memory_of_what_was_large_is_returned(monkeypatch):
    returned = threading.Event()
    monkeypatch.setattr(segmentation, "return_free_memory", returned.set)
    monkeypatch.setattr(segmentation, "RETURN_SECONDS", 0)
    for much, is_returned in ((19, False), (18, True)):  # an image of 6 pixels has 18 bytes
        monkeypatch.setattr(segmentation, "MUCH_MEMORY", much)

        async def run():
            found = Segmentation(1, BatchingOptions(), 1, lambda size, seconds: None)
            async with found.running():
                await found.segment(Model(), [b"5"])
                for _ in range(10):
                    await found.call(1 << 30, int)  # waits for the thread

        asyncio.run(run())
        assert returned.is_set() == is_returned


def test_little_is_done_at_once_and_much_in_a_thread_that_leaves_the_loop_free():
    async def run():
        found = Segmentation(1, BatchingOptions(), 1, lambda size, seconds: None)
        async with found.running():
            free = threading.Event()
            asyncio.get_running_loop().call_soon(free.set)
            here = threading.get_ident()
            assert await found.call(1000, threading.get_ident) == here
            assert await found.call(1 << 30, free.wait, 60)

    asyncio.run(run())
