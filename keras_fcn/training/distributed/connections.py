"""A worker's connections to all others of its cluster, from the meeting to the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from concurrent.futures import Future
from typing import Any

from keras_fcn.errors import LostWorkerError, UserError
from keras_fcn.system.text import reason_of
from keras_fcn.training.distributed.agreement import Introduction, disagreement
from keras_fcn.training.distributed.cluster import Cluster, split_address
from keras_fcn.training.distributed.messages import LEFT, LONGEST, LOST, USER, ForeignError, encoded, read

BEAT, SILENCE = 1.0, 12.0
"""Seconds between two signs of life, and without any until a worker counts as lost: a link may be gone for less."""

WRONG_ADDRESS = 20.0
"""Seconds after which what is wrong at an address does not change any more."""

DIALLING, RETRY = 5.0, 0.5
"""Seconds for a connection to be made, and before the next attempt."""


class Peer:
    """Another worker, as this one sees it.

    Args:
        name: Its name.
        address: Its address in TF_CONFIG.

    Attributes:
        is_here: Whether this worker is connected to it.
        is_complete: Whether it is connected to all others itself.
        called: When it connected to this worker, by the loop's clock; None if it has not.
        foreign: Since when another program answers at its address; None if none does.
        has_left: Whether it left as workers do at the end.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.is_here = self.is_complete = self.has_left = False
        self.called: float | None = None
        self.foreign: float | None = None

    def __str__(self) -> str:
        return f"{self.name} at {self.address}"


class Connections:
    """Connects this worker to all others, and sends each of them a sign of life every second.

    Each worker listens at its address until all have met, which is when each is connected to each. It hears of another
    on the connection that it has made, and tells how it is on those that others have made.

    Args:
        cluster: The workers.
        introduction: What this one says of itself.
        fix: What to do when another worker is lost, human-readable.

    Attributes:
        others: The other workers, by index.
        met: Done when all workers have met; raises why they cannot, a `UserError` or `LostWorkerError`.
        loss: Why the workers cannot go on together, after they have met.
        end: The last message, to be set by whoever ends this worker.
        is_placed: Whether this worker listens at its address, as far as it knows.
    """

    def __init__(self, cluster: Cluster, introduction: Introduction, fix: str) -> None:
        self._cluster, self._own, self._fix = cluster, introduction, fix
        others = (number for number in range(cluster.num_workers) if number != cluster.index)
        self.others = {number: Peer(*cluster.workers[number]) for number in others}
        self.met: Future[None] = Future()
        self.loss: Future[UserError | LostWorkerError] = Future()
        self.end: Future[dict[str, str]] = Future()
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_placed = False

    def run(self) -> None:
        """Stays connected until `end` is set."""
        try:
            asyncio.run(self._run())
        except BaseException as error:
            if not self.met.done():
                self.met.set_exception(error)

    async def _run(self) -> None:
        self._loop, self._all_met = asyncio.get_running_loop(), asyncio.Event()
        end, meeting = asyncio.wrap_future(self.end), asyncio.create_task(self._all_met.wait())
        server = await asyncio.start_server(self._answer, sock=self._listening(), limit=LONGEST)
        self.is_placed = True
        tasks = [asyncio.create_task(work) for work in (self._beat(), *map(self._watch, self.others.values()))]
        first: list[asyncio.Future[Any]] = [meeting, end]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        server.close()  # TensorFlow listens there from now on; what is connected stays so
        if not self.met.done():
            self.met.set_result(None)
        self._broadcast(await end)
        with contextlib.suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(1):
                await asyncio.gather(*(writer.drain() for writer in self._writers))
        for writer in self._writers:
            writer.close()
        for task in tasks:
            task.cancel()

    def _listening(self) -> socket.socket:
        """Returns a socket at the own port, on all interfaces, as TensorFlow will have it."""
        address = self._cluster.address
        _, port = split_address(address)
        try:
            if socket.has_dualstack_ipv6():
                with contextlib.suppress(OSError):
                    return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
            return socket.create_server(("", port))
        except OSError as error:
            raise UserError(
                f"TF_CONFIG: this worker cannot listen at {address} ({reason_of(error)}); is its port free?"
            ) from None

    def _fail(self, error: UserError | LostWorkerError) -> None:
        """Makes known why the workers cannot meet or go on; the first reason counts."""
        if not self.met.done():
            self.met.set_exception(error)
        elif not self.loss.done():
            self.loss.set_result(error)

    def _broadcast(self, message: dict[str, Any]) -> None:
        for writer in self._writers:
            writer.write(encoded(message))

    def _update(self) -> None:
        """Tells the others whether this worker has met all; ends the meeting once all have."""
        complete = all(peer.is_here for peer in self.others.values())
        self._broadcast({"complete": complete})
        if complete and all(peer.is_complete for peer in self.others.values()):
            self._all_met.set()

    async def _beat(self) -> None:
        while True:
            if self._all_met.is_set():
                self._broadcast({"complete": True})
            else:
                self._update()
                self._judge()
            await asyncio.sleep(BEAT)

    def _judge(self) -> None:
        """Gives up on an address at which something is wrong for long."""
        for peer in (peer for peer in self.others.values() if not peer.is_here):
            if peer.foreign is not None and self._loop.time() - peer.foreign > WRONG_ADDRESS:
                found = (
                    f"another program answers at {peer.address}, the address of {peer.name}: an older version of this "
                    "one, a training that still runs, or something else; end it, or correct the address"
                )
            elif peer.called is not None and self._loop.time() - peer.called > WRONG_ADDRESS:
                found = (
                    f"{peer.name} has started, but {self._own.name} does not reach it at {peer.address}; correct the "
                    "address, or open the port"
                )
            else:
                continue
            self._fail(UserError(f"TF_CONFIG: {found}"))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes what a worker says that has connected, and keeps the connection to tell it how this one is."""
        peer = None
        try:
            message = await read(reader, SILENCE)
            if message.get("ended") == USER:
                self._fail(_told(UserError(str(message.get("line")))))
            if "hello" not in message:
                return
            caller = Introduction.from_json(message["hello"])
            writer.write(encoded({"hello": self._own.to_json()}))
            self._writers.add(writer)
            if caller.process != self._own.process:  # or `_greet` says so
                self._require_agreement(caller)
            if peer := self.others.get(caller.index):
                peer.called = self._loop.time()
            self._update()
            await reader.read()  # until it ends
        except (OSError, TypeError, ForeignError, asyncio.CancelledError):
            pass  # another program, a broken connection, or the end
        finally:
            self._writers.discard(writer)
            if peer:
                peer.called = None
            writer.close()

    async def _watch(self, peer: Peer) -> None:
        """Connects to a worker, again and again until all have met, and takes what it says."""
        while True:
            loss = "has ended"
            try:
                await self._listen_to(peer)
            except TimeoutError:
                loss = f"has not answered for {SILENCE:.0f} seconds"
            except (ForeignError, TypeError):
                peer.foreign = peer.foreign or self._loop.time()
            except OSError:
                peer.foreign = None
            if self._all_met.is_set():
                if not peer.has_left:
                    self._fail(LostWorkerError(f"{peer} {loss}; {self._fix}"))
                return
            peer.is_here = peer.is_complete = False
            await asyncio.sleep(RETRY)

    async def _listen_to(self, peer: Peer) -> None:
        """Connects to a worker and takes what it says, until it ends or falls silent."""
        async with asyncio.timeout(DIALLING):
            reader, writer = await asyncio.open_connection(*split_address(peer.address), limit=LONGEST)
        try:
            writer.write(encoded({"hello": self._own.to_json()}))
            while message := await read(reader, SILENCE):
                self._take(peer, message)
        finally:
            writer.close()

    def _take(self, peer: Peer, message: dict[str, Any]) -> None:
        if "hello" in message:
            self._greet(peer, Introduction.from_json(message["hello"]))
        elif "complete" in message and peer.is_complete != message["complete"]:
            peer.is_complete = bool(message["complete"])
            self._update()
        elif "ended" in message:
            self._take_end(peer, str(message["ended"]), str(message.get("line")))

    def _greet(self, peer: Peer, introduction: Introduction) -> None:
        if introduction.process == self._own.process:
            self.is_placed = False
            self._fail(
                UserError(
                    f"TF_CONFIG: this process is {self._own.name} at {self._cluster.address}, and answers at "
                    f"{peer.address}, too, the address of {peer.name}; correct its index, or the addresses"
                )
            )
        elif self._require_agreement(introduction):
            peer.is_here, peer.foreign = True, None
            self._update()

    def _take_end(self, peer: Peer, why: str, line: str) -> None:
        if why == LEFT:
            peer.has_left = True
        elif why in (USER, LOST):
            self._fail(_told((UserError if why == USER else LostWorkerError)(line)))
        else:
            self._fail(LostWorkerError(f"{peer} failed ({line}), see its own output; {self._fix}"))

    def _require_agreement(self, other: Introduction) -> bool:
        if line := disagreement(self._own, other):
            self._fail(_told(UserError(line)))
        return not line


def _told(error: Any) -> Any:
    """Returns an error of which all workers know: one has told it, or all find it alike."""
    error.is_told = True
    return error
