"""Messages on their way to Kafka: remembered with what they tell, in the order of commits."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from relationship_worker.messages.outgoing import Message
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.records import pack_headers, unpack_headers

REPLAYS = -1  # the lane of dead letters on their way back to where they came from: no relay's, but the command's


async def post(tx: Tx, messages: Sequence[Message], *, lanes: int) -> None:
    """Append messages, each with its partition, to their lanes; the last step of any transaction.

    Numbers are taken under the lane's row lock, which is held to the commit: their order is the order of commits, and
    none is missing. Lanes are locked in order, so that no two transactions wait for each other.
    """
    by_lane: dict[int, list[Message]] = defaultdict(list)
    for message in messages:
        assert message.partition is not None, "a message in the outbox knows its partition"
        by_lane[message.partition % lanes].append(message)
    for lane, some in sorted(by_lane.items()):
        await post_in(tx, lane, some)


async def post_in(tx: Tx, lane: int, messages: Sequence[Message]) -> None:
    """Append messages, each with its partition, to one lane."""
    [row] = await rows(
        tx,
        """INSERT INTO outbox_lanes (lane, last) VALUES (:lane, :count)
           ON CONFLICT (lane) DO UPDATE SET last = outbox_lanes.last + :count RETURNING last""",
        {"lane": lane, "count": len(messages)},
    )
    await run(
        tx,
        """INSERT INTO outbox (lane, number, topic, partition, key, value, headers)
           SELECT :lane, :before + i, topic, partition, key, value, headers
           FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:keys AS bytea[]),
                       CAST(:values AS bytea[]), CAST(:headers AS bytea[]))
                WITH ORDINALITY AS t (topic, partition, key, value, headers, i)""",
        {
            "lane": lane,
            "before": row.last - len(messages),
            "topics": [m.topic for m in messages],
            "partitions": [m.partition for m in messages],
            "keys": [m.key for m in messages],
            "values": [m.value for m in messages],
            "headers": [pack_headers(m.headers) for m in messages],
        },
    )


async def next_messages(tx: Tx, lane: int, *, after: int, limit: int) -> list[tuple[int, Message]]:
    """The lane's messages behind number `after`, with their numbers."""
    found = await rows(
        tx,
        """SELECT number, topic, partition, key, value, headers FROM outbox
           WHERE lane = :lane AND number > :after ORDER BY number LIMIT :limit""",
        {"lane": lane, "after": after, "limit": limit},
    )
    return [
        (
            row.number,
            Message(
                topic=row.topic,
                key=row.key,
                value=row.value,
                headers=unpack_headers(row.headers),
                partition=row.partition,
            ),
        )
        for row in found
    ]


async def forget(tx: Tx, lane: int, *, up_to: int) -> None:
    """Remove messages that Kafka has."""
    await run(tx, "DELETE FROM outbox WHERE lane = :lane AND number <= :up_to", {"lane": lane, "up_to": up_to})


class LastNumbers(NamedTuple):
    """The newest message of each lane of the outbox, and the newest correction of each partition of orders."""

    messages: dict[int, int]
    corrections: dict[int, int]


async def last_numbers(tx: Tx) -> LastNumbers:
    """In one statement: every process asks many times a second."""
    found = await rows(
        tx,
        """SELECT true AS message, lane, last FROM outbox_lanes
           UNION ALL SELECT false, partition, last FROM correction_lanes""",
    )
    return LastNumbers(
        messages={row.lane: row.last for row in found if row.message},
        corrections={row.lane: row.last for row in found if not row.message},
    )
