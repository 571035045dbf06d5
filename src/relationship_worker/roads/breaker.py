"""The breaker: a partition of which most is bad stands still, instead of filling the dead letters. Off unless it is set."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.dead_letters import SetAside
from relationship_worker.kafka.fetched_records import FetchedRecord
from relationship_worker.roads.running import StopLane
from relationship_worker.storage import stopped_partitions
from relationship_worker.storage.database import transaction
from relationship_worker.storage.stopped_partitions import StoppedPartition


@dataclass(kw_only=True)
class Breaker:
    """Of one partition (`topic`: its name in the contract). Trips where more than `percent` of the last `of` records were
    dead letters; 0 is never. That it has tripped is remembered in PostgreSQL, for whoever has the partition next."""

    database: AsyncEngine
    topic: str
    partition: int
    percent: int
    of: int
    last: deque[bool] = field(default_factory=deque)

    async def check(self) -> None:
        """Call it before a lane starts. Raises StopLane as long as nobody has let the partition go on."""
        self.last = deque(maxlen=self.of)
        async with transaction(self.database) as tx:
            for one in await stopped_partitions.stopped(tx):
                if (one.topic, one.partition) == (self.topic, self.partition):
                    raise self._stop(one.bad, one.of)

    async def count(self, records: Sequence[FetchedRecord], set_aside: SetAside) -> None:
        """A batch is done, these of it are dead letters. Raises StopLane where it trips."""
        if not self.percent:
            return
        bad = {record.offset for record, _ in set_aside}
        self.last.extend(record.offset in bad for record in records)
        found = sum(self.last)
        if len(self.last) < self.of or found * 100 <= self.percent * self.of:
            return
        async with transaction(self.database) as tx:
            tripped = StoppedPartition(
                topic=self.topic, partition=self.partition, since=datetime.now(UTC), bad=found, of=self.of
            )
            await stopped_partitions.stop(tx, tripped)
        raise self._stop(found, self.of)

    def _stop(self, bad: int, of: int) -> StopLane:
        name = f"{self.topic}:{self.partition}"
        return StopLane(
            f"{name}: {bad} of the last {of} records were dead letters. Once who sends them is mended, "
            f"`relationship-worker dead-letters go-on {name}` (see the README, named stops)"
        )
