"""Did it go through? What was replayed is waited for, until the worker is done with it: decided, or a dead letter again."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.group_positions import committed
from relationship_worker.kafka.set_aside import letters
from relationship_worker.kafka.topics import partition_counts
from relationship_worker.messages.dead_letters import Place
from relationship_worker.storage import held_back, outbox
from relationship_worker.storage.database import transaction
from relationship_worker.storage.dead_letter_cases import Case
from relationship_worker.storage.held_back import Step

WAIT_SECONDS = 60.0  # for the worker: it takes a second, and some more where it restarts
STEP_SECONDS = 0.2
CLOCKS_APART = timedelta(minutes=5)  # of this machine and the worker's: letters are found by their time


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The ends of the partitions that letters go back to, and when that was."""

    ends: dict[TopicPartition, int]
    at: datetime


async def mark(kafka: Connection, found: Collection[Case]) -> Mark:
    """Call it before they are sent."""
    places = {TopicPartition(kafka.topic(c.place.topic), c.place.partition) for c in found}
    return Mark(ends=await _ends(kafka, places), at=datetime.now(UTC))


async def not_through(
    kafka: Connection, database: AsyncEngine, sent: Sequence[Case], before: Mark
) -> dict[Place, str] | None:
    """Which of the sent letters are dead letters again, and why; None where the worker was not done with them in time."""
    after = await _ends(kafka, before.ends)
    if not await _until_done(kafka, database, after):
        return None
    again: dict[Place, str] = {}
    async for piece in letters(kafka, since=before.at - CLOCKS_APART):
        for letter in piece.letters:
            place = TopicPartition(kafka.topic(letter.place.topic), letter.place.partition)
            if place not in after or not before.ends[place] <= letter.place.offset < after[place]:
                continue
            for case in sent:
                same = (case.place.topic, case.letter.key, case.value) == (letter.place.topic, letter.key, letter.value)
                if same and case.place.partition == letter.place.partition:
                    again[case.place] = f"{letter.reason}: {letter.detail}"
    return again


async def _until_done(kafka: Connection, database: AsyncEngine, ends: dict[TopicPartition, int]) -> bool:
    """The worker's group is past these ends, and what waited in the outbox by then is told."""
    if not await _until_committed(kafka, ends):
        return False
    lanes = (await partition_counts(kafka, kafka.outbox_topic))[kafka.outbox_topic]
    async with transaction(database) as tx:
        last = (await outbox.last_numbers(tx)).messages
    told = {TopicPartition(kafka.outbox_topic, lane): last[lane] for lane in range(lanes) if last.get(lane)}
    return await _until_committed(kafka, told)


async def _until_committed(kafka: Connection, ends: dict[TopicPartition, int]) -> bool:
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        patience = asyncio.get_running_loop().time() + WAIT_SECONDS
        while asyncio.get_running_loop().time() < patience:
            found = await committed(admin, kafka.group, list(ends)) if ends else {}
            if all(place in found and found[place].offset >= end for place, end in ends.items()):
                return True
            await asyncio.sleep(STEP_SECONDS)
        return False
    finally:
        await admin.close()


async def _ends(kafka: Connection, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(**kafka.client_options(), isolation_level="read_committed", enable_auto_commit=False)
    await consumer.start()
    try:
        return dict(await consumer.end_offsets(list(places))) if places else {}
    finally:
        await consumer.stop()


async def said_of_held(database: AsyncEngine, case: Case) -> str | None:
    """What came of a replay that the worker was asked for: empty where it went through, None where it takes too long."""
    assert case.hold is not None
    patience = asyncio.get_running_loop().time() + WAIT_SECONDS
    while asyncio.get_running_loop().time() < patience:
        async with transaction(database) as tx:
            hold = await held_back.of_relationship(tx, case.hold.pair)
        if hold is None or hold.place != case.place or hold.step is Step.FOLLOW:
            return ""
        if hold.step is Step.WAITS:
            return hold.said or "it waits again"
        await asyncio.sleep(STEP_SECONDS)
    return None
