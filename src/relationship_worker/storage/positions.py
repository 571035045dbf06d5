"""How far each partition of the relationship topics is applied: the truth about positions, fenced by an epoch."""

from dataclasses import dataclass

from relationship_worker.storage.database import Tx, rows, run


class Fenced(Exception):
    """Another worker has taken the partition over: whatever this transaction holds must not be committed."""


@dataclass(frozen=True, kw_only=True)
class Tenure:
    """A partition in one worker's hands: valid until another raises the epoch."""

    topic: str
    partition: int
    epoch: int


async def take_over(tx: Tx, topic: str, partition: int, *, first: int) -> tuple[Tenure, int]:
    """Raise the epoch, which fences the former owner. Also returns the position; `first` where none was known yet."""
    [row] = await rows(
        tx,
        """INSERT INTO positions (topic, partition, position, epoch) VALUES (:topic, :partition, :first, 1)
           ON CONFLICT (topic, partition) DO UPDATE SET epoch = positions.epoch + 1
           RETURNING position, epoch""",
        {"topic": topic, "partition": partition, "first": first},
    )
    return Tenure(topic=topic, partition=partition, epoch=row.epoch), row.position


async def was_begun(tx: Tx, topic: str, partition: int) -> bool:
    """Whether a partition was ever in a worker's hands. For one whose position is kept by Kafka alone."""
    found = {"topic": topic, "partition": partition}
    return bool(await rows(tx, "SELECT 1 FROM positions WHERE topic = :topic AND partition = :partition", found))


async def begin(tx: Tx, topic: str, partition: int) -> None:
    """Remember that it was. The position beside it stays 0 and says nothing."""
    await run(
        tx,
        """INSERT INTO positions (topic, partition, position, epoch) VALUES (:topic, :partition, 0, 0)
           ON CONFLICT DO NOTHING""",
        {"topic": topic, "partition": partition},
    )


async def advance(tx: Tx, tenure: Tenure, *, position: int) -> None:
    """Move the position and keep its row locked to the commit. Raises Fenced where the partition has another owner."""
    moved = await run(
        tx,
        """UPDATE positions SET position = :position
           WHERE topic = :topic AND partition = :partition AND epoch = :epoch AND position <= :position""",
        {"topic": tenure.topic, "partition": tenure.partition, "epoch": tenure.epoch, "position": position},
    )
    if not moved:
        raise Fenced(f"{tenure.topic}-{tenure.partition} is another worker's now")


async def applied(tx: Tx) -> dict[tuple[str, int], int]:
    """The position of every partition. The transaction has its id from here on: see `facts.oldest_running`."""
    found = await rows(
        tx,
        """SELECT topic, partition, position, own.id
           FROM (SELECT pg_current_xact_id() AS id) AS own LEFT JOIN positions ON true""",
    )
    return {(row.topic, row.partition): row.position for row in found if row.topic is not None}
