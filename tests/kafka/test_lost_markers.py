"""A Kafka that calls a transaction complete and has not ended it everywhere, as one does that stops (KAFKA-20734)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from relationship_worker.kafka import lost_markers
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.group_positions import committed_now
from relationship_worker.kafka.transactions import TRANSACTION_TIMEOUT_MS, Doubt, Transactions
from relationship_worker.messages.outgoing import Message
from waiting import until


class Died(Exception):
    """As a worker does that is killed."""


VERIFICATION = "transaction.partition.verification.enable"


@pytest_asyncio.fixture
async def kafka(kafka: Connection) -> AsyncIterator[Connection]:
    """One that takes records of partitions which its coordinator was not told of: so these are left out at the end."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    await set_verification(admin, "false")
    await until("the broker to know of it", lambda: takes_what_was_not_added(kafka))
    yield kafka
    await set_verification(admin, "true")
    await admin.close()


async def set_verification(admin: AIOKafkaAdminClient, value: str) -> None:
    brokers = [
        ConfigResource(ConfigResourceType.BROKER, str(b["node_id"]), configs={VERIFICATION: value})
        for b in (await admin.describe_cluster())["brokers"]
    ]
    assert not any(error for answer in await admin.alter_configs(brokers) for error, *_ in answer.resources)


async def takes_what_was_not_added(kafka: Connection) -> bool:
    other = TopicPartition(kafka.topic("in"), 1)
    producer = AIOKafkaProducer(**kafka.client_options(), transactional_id=f"{kafka.group}.other")
    await producer.start()
    await producer.begin_transaction()
    producer._txn_manager._txn_partitions.add(other)
    try:
        await producer.send_and_wait(other.topic, b"taken", partition=1)
    except KafkaError:
        return False
    finally:
        with suppress(KafkaError):
            await producer.stop()
    return True


@pytest_asyncio.fixture
async def transactions(kafka: Connection) -> AsyncIterator[Transactions]:
    made = Transactions(kafka, place(kafka), writes_to=["out"])
    yield made
    await made.close()


def place(kafka: Connection) -> TopicPartition:
    return TopicPartition(kafka.topic("in"), 0)


async def left_open(
    kafka: Connection, *, commit: bool = True, position_alone: bool = False, and_begins_the_next: bool = False
) -> None:
    """A former owner tells `first` and position 1; the transaction ends everywhere but where these lie."""
    former = AIOKafkaProducer(
        **kafka.client_options(),
        transactional_id=f"{kafka.group}.{kafka.topic('in')}.0",
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
    )
    await former.start()
    await former.begin_transaction()
    manager, out = former._txn_manager, TopicPartition(kafka.topic("out"), 0)
    manager._txn_consumer_group = kafka.group
    if not position_alone:
        manager._txn_partitions.add(out)
    await former.send_offsets_to_transaction({place(kafka): OffsetAndMetadata(1, "")}, kafka.group)
    await former.send_and_wait(out.topic, b"first", partition=0)
    await former.send_and_wait(kafka.topic("in"), b"of which it is told", partition=1)
    await (former.commit_transaction() if commit else former.abort_transaction())
    if and_begins_the_next:
        await former.begin_transaction()
        await former.send_offsets_to_transaction({place(kafka): OffsetAndMetadata(2, "")}, kafka.group)
    await former.stop()


async def told(kafka: Connection) -> list[bytes]:
    """What a `read_committed` reader finds, once nothing is undecided any more."""
    out = TopicPartition(kafka.topic("out"), 0)
    async with reader(kafka, "read_uncommitted") as everything, reader(kafka, "read_committed") as decided:
        end = (await everything.end_offsets([out]))[out]
        assert (await decided.end_offsets([out]))[out] == end, "something is undecided"
        decided.assign([out])
        found: list[bytes] = []
        while await decided.position(out) < end:
            for records in (await decided.getmany(timeout_ms=100)).values():
                found += [record.value for record in records]
    return found


@asynccontextmanager
async def reader(kafka: Connection, isolation_level: str) -> AsyncIterator[AIOKafkaConsumer]:
    made = AIOKafkaConsumer(**kafka.client_options(), isolation_level=isolation_level, auto_offset_reset="earliest")
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def position(kafka: Connection) -> int | None:
    found = await committed_now(kafka, kafka.group, place(kafka))
    return None if found is None else int(found.offset)


async def tell(transactions: Transactions, kafka: Connection, value: bytes, at: int) -> None:
    await transactions.begin({place(kafka): at}, places=[("out", 0)])
    await transactions.tell([(Message("out", b"k", value, []), 0)])


async def test_what_was_committed_and_left_open_is_told_before_the_next_owner_reads_how_far_it_came(
    kafka: Connection, transactions: Transactions
):
    await left_open(kafka, commit=True)
    with pytest.raises(AssertionError, match="undecided"):
        await told(kafka)

    await transactions.open()

    assert (await told(kafka), await position(kafka)) == ([b"first"], 1)


async def test_a_position_that_alone_was_left_open_is_ended_too(kafka: Connection, transactions: Transactions):
    """Else what it stands for, which everybody has read, was told twice."""
    await left_open(kafka, position_alone=True)
    assert (await told(kafka), await position(kafka)) == ([b"first"], None)

    await transactions.open()

    assert (await told(kafka), await position(kafka)) == ([b"first"], 1)


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("step", ["still_open", "open_anew", "begin_to_end", "end"])
async def test_who_dies_before_it_has_ended_what_was_left_open_leaves_it_to_the_next_who_decides_alike(
    kafka: Connection, transactions: Transactions, monkeypatch: pytest.MonkeyPatch, step: str, commit: bool
):
    await left_open(kafka, commit=commit)
    for moment in ("before", "after"):
        done = getattr(lost_markers, step)

        async def and_dies(*some: Any, moment: str = moment, done: Any = done, **more: Any) -> None:
            if moment == "after":
                await done(*some, **more)
            raise Died

        with monkeypatch.context() as dying:
            dying.setattr(lost_markers, step, and_dies)
            with suppress(Died):  # who aborts has no need of some of the steps
                await transactions.open()

    await transactions.open()
    if not commit:
        assert await position(kafka) is None
        await tell(transactions, kafka, b"first", 1)

    assert (await told(kafka), await position(kafka)) == ([b"first"], 1)


async def test_what_was_aborted_and_left_open_is_not_told_with_what_comes_next(
    kafka: Connection, transactions: Transactions
):
    await left_open(kafka, commit=False)

    await transactions.open()
    assert await position(kafka) is None
    await tell(transactions, kafka, b"again", 1)

    assert (await told(kafka), await position(kafka)) == ([b"again"], 1)


async def test_what_was_left_open_goes_with_the_next_transaction_where_that_was_begun_and_is_aborted(
    kafka: Connection, transactions: Transactions
):
    """Its position is aborted with the next one's: so all of it is done again, and none of it is told."""
    await left_open(kafka, commit=True, and_begins_the_next=True)

    await transactions.open()
    assert await position(kafka) is None
    await tell(transactions, kafka, b"again", 1)

    assert (await told(kafka), await position(kafka)) == ([b"again"], 1)


@pytest.mark.parametrize(
    ("reason", "is_doubt"), [(CloseReason.CONNECTION_BROKEN, True), (CloseReason.IDLE_DROP, False)]
)
async def test_a_transaction_begins_anew_where_kafka_was_away_since_the_last_one(
    kafka: Connection, transactions: Transactions, reason: CloseReason, is_doubt: bool
):
    """Then that one may have been left open; an idle connection is closed by the client itself."""
    await transactions.open()
    await tell(transactions, kafka, b"first", 1)
    for connection in transactions._producer.client._conns.values():
        connection.close(reason=reason)

    if is_doubt:
        with pytest.raises(Doubt):
            await transactions.begin({place(kafka): 2})
        await transactions.open()
    await tell(transactions, kafka, b"second", 2)

    assert (await told(kafka), await position(kafka)) == ([b"first", b"second"], 2)
