"""The relay: what waits in the outbox is told to Kafka, in order, once."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.lanes import Lane
from relationship_worker.kafka.transactions import Transactions
from relationship_worker.messages.outgoing import DEAD_LETTERS, RELATIONSHIP_EVENTS, REMINDERS
from relationship_worker.roads.running import StopLane
from relationship_worker.storage import outbox
from relationship_worker.storage.database import statements, transaction
from relationship_worker.storage.outbox import LastNumbers

log = structlog.get_logger()

BATCH_MESSAGES = 1_000  # one produce request of small events; a transaction's fixed cost is spread thin by then
LOOK_EVERY = 0.05  # seconds between two looks into an outbox that other processes fill
LOOK_AGAIN = 1.0  # seconds after which a relay looks by itself, whatever the bell says
WRITES_TO = (RELATIONSHIP_EVENTS, REMINDERS, DEAD_LETTERS)


class Bell:
    """Says how far the outbox is filled: rung by who fills it in this process, and by a look for all others."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._rung = asyncio.Event()
        self._last = LastNumbers({}, {})

    def ring(self) -> None:
        """There are new messages: wake every relay of this process."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def look(self) -> int:
        """One look for all lanes; rings where there is something new. The lane's relay finds out what."""
        async with statements(self._database) as tx:
            last = await outbox.last_numbers(tx)
        if last != self._last:
            self._last = last
            self.ring()
        return 0

    def last_correction(self, partition: int) -> int:
        """The number of a partition's newest correction, as of the last look."""
        return self._last.corrections.get(partition, 0)

    def listen(self) -> "Ring":
        """The next ring, from now on: listen first, look then, wait last, and none is missed."""
        return Ring(self._rung)


class Ring:
    """One ring of the bell."""

    def __init__(self, rung: asyncio.Event) -> None:
        self._rung = rung

    async def wait(self, seconds: float) -> None:
        """Until the bell has rung, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), seconds)


@dataclass(kw_only=True)
class RelayRoad:
    """Tells one lane of the outbox. Its progress is the group's committed offset on the lane's partition of the outbox
    topic, committed with the messages."""

    lane: Lane
    transactions: Transactions
    database: AsyncEngine
    bell: Bell
    told: int = 0
    told_at: float = 0.0  # on the monotonic clock
    forgotten: int = 0  # in this worker's time

    async def open(self) -> None:
        """Fence the former relay, then read how far it came."""
        await self.transactions.open()
        committed = await self.lane.committed()
        async with transaction(self.database) as tx:
            last = (await outbox.last_numbers(tx)).messages.get(self.lane.place.partition, 0)
        self.told, self.forgotten = committed or 0, 0
        if self.told > last:
            raise StopLane(
                f"outbox lane {self.lane.place.partition}: Kafka was told up to message {self.told}, but the database "
                f"knows {last}: it was restored to an earlier time, or is another one (see the README, named stops)"
            )

    async def run_once(self) -> int:
        """Tell the next messages with the progress, in one Kafka transaction. They are forgotten once there is a later one, or
        a second has passed: a Kafka that stops may call the last one complete, and yet undo it (`kafka/lost_markers.py`)."""
        lane = self.lane.place.partition
        rung = self.bell.listen()
        async with transaction(self.database) as tx:
            waiting = await outbox.next_messages(tx, lane, after=self.told, limit=BATCH_MESSAGES)
        if not waiting:
            await self.transactions.check()
            if time.monotonic() > self.told_at + LOOK_AGAIN:
                await self._forget(self.told)
            await rung.wait(LOOK_AGAIN)
            return 0
        before, last = self.told, waiting[-1][0]
        placed = [(message, message.partition or 0) for _, message in waiting]
        places = {(message.topic, partition) for message, partition in placed}
        await self.transactions.begin({self.lane.place: last}, places=places)
        await self.transactions.tell(placed)
        self.told, self.told_at = last, time.monotonic()
        await self._forget(before)
        log.info("outbox", lane=lane, told=len(waiting), up_to=last)
        return len(waiting)

    async def _forget(self, up_to: int) -> None:
        if up_to > self.forgotten:
            async with transaction(self.database) as tx:
                await outbox.forget(tx, self.lane.place.partition, up_to=up_to)
            self.forgotten = up_to

    async def close(self) -> None:
        await self.transactions.close()
