"""Partitions that stand still because most of what they bring is bad, until a person lets them go on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relationship_worker.storage.database import Tx, rows, run


@dataclass(frozen=True, kw_only=True)
class StoppedPartition:
    """A partition, since when it stands, and what it brought: so many bad ones of the last so many. `topic` is the
    contract's name."""

    topic: str
    partition: int
    since: datetime
    bad: int
    of: int


async def stop(tx: Tx, stopped: StoppedPartition) -> None:
    """It stands still, whoever has it, until `go_on`."""
    await run(
        tx,
        """INSERT INTO stopped_partitions (topic, partition, since, bad, of) VALUES (:topic, :partition, :since, :bad, :of)
           ON CONFLICT DO NOTHING""",
        {
            "topic": stopped.topic,
            "partition": stopped.partition,
            "since": stopped.since,
            "bad": stopped.bad,
            "of": stopped.of,
        },
    )


async def stopped(tx: Tx) -> list[StoppedPartition]:
    """All that stand still."""
    return [_read(row) for row in await rows(tx, "SELECT * FROM stopped_partitions ORDER BY topic, partition")]


async def go_on(tx: Tx, topic: str, partition: int) -> bool:
    """Let it go on. False where it does not stand still."""
    gone = "DELETE FROM stopped_partitions WHERE topic = :topic AND partition = :partition"
    return bool(await run(tx, gone, {"topic": topic, "partition": partition}))


def _read(row: Any) -> StoppedPartition:
    return StoppedPartition(topic=row.topic, partition=row.partition, since=row.since, bad=row.bad, of=row.of)
