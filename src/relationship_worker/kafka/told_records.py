"""Where a record that was told lies: looked up by its id, near the time at which it was told."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.refusals import missing, refusal, says
from relationship_worker.kafka.rights import Right, Role

EARLIER = timedelta(milliseconds=500)  # by so much the broker's clock may be behind ours
POLL_MS = 50
ASK_SECONDS = 2.0  # for what the user may do, where nothing was found


class KafkaAway(Exception):
    """Kafka can't be asked, or not in time; the message says why, where more is known than that."""


@dataclass(frozen=True, kw_only=True)
class Sought:
    """A record of a topic, by its CloudEvents id. `told_at`: it lies there since then, or a little later."""

    id: str
    partition: int
    told_at: datetime


async def offsets(kafka: Connection, topic: str, sought: Sequence[Sought], *, seconds: float) -> dict[str, int]:
    """Id → offset, of those that are still there and found within so many seconds, all together. Raises KafkaAway.

    Joins no group and commits nothing.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say of a Kafka that is away, we say
    found: dict[str, int] = {}
    consumer = AIOKafkaConsumer(
        **kafka.client_options(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    started = False
    try:
        async with asyncio.timeout(seconds):
            await consumer.start()
            started = True
            for one in sought:
                offset = await _offset(consumer, TopicPartition(topic, one.partition), one)
                if offset is not None:
                    found[one.id] = offset
    except TimeoutError:
        if not started:
            raise KafkaAway from None
        lacking = await _lacking(kafka, topic)
        if lacking:  # the client waits for a topic that it may not see as for one that is about to be made
            raise KafkaAway(says(lacking)) from None
    except KafkaError as why:
        raise KafkaAway(await refusal(kafka, Role.DESK, why) or "") from None
    finally:
        await consumer.stop()
    return found


async def _lacking(kafka: Connection, topic: str) -> list[Right]:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return [right for right in await missing(kafka, Role.DESK) if right.name == topic]
    except (TimeoutError, KafkaError):
        return []


async def _offset(consumer: AIOKafkaConsumer, place: TopicPartition, sought: Sought) -> int | None:
    consumer.assign([place])
    since = int((sought.told_at - EARLIER).timestamp() * 1000)
    start = (await consumer.offsets_for_times({place: since}))[place]
    if start is None:
        return None
    end = (await consumer.end_offsets([place]))[place]
    consumer.seek(place, start.offset)
    wanted = ("ce_id", sought.id.encode())
    while await consumer.position(place) < end:
        for record in (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, ()):
            if wanted in record.headers:
                return int(record.offset)
    return None
