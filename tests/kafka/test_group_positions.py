"""What a group has committed, asked of a coordinator that may not know yet."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.group_positions import committed, committed_now

LOADING, MOVED, REFUSED = 14, 16, 30  # error codes of https://kafka.apache.org/protocol.html


@pytest_asyncio.fixture
async def consumer(kafka: Connection) -> AsyncIterator[AIOKafkaConsumer]:
    made = AIOKafkaConsumer(**kafka.client_options(), group_id=kafka.group, enable_auto_commit=False)
    await made.start()
    made.assign([TopicPartition(kafka.topic("in"), 0)])
    yield made
    await made.stop()


def first_answers(monkeypatch: pytest.MonkeyPatch, *errors: int) -> list[int]:
    """The coordinator answers so at first, as a broker does that has just started. Which were not given yet."""
    left, send = list(errors), AIOKafkaConnection.send

    async def answered(connection, request, **more):
        if isinstance(request, OffsetFetchRequest) and left:
            return OffsetFetchResponse_v3(throttle_time_ms=0, topics=[], error_code=left.pop(0))
        return await send(connection, request, **more)

    monkeypatch.setattr(AIOKafkaConnection, "send", answered)
    return left


async def test_a_coordinator_that_still_loads_is_waited_for_and_not_taken_for_one_that_knows_nothing(
    kafka: Connection, consumer: AIOKafkaConsumer, monkeypatch
):
    place, other = (TopicPartition(kafka.topic("in"), partition) for partition in (0, 1))
    await consumer.commit({place: (7, "noted")})
    left = first_answers(monkeypatch, LOADING, MOVED, LOADING)

    found = await committed(consumer, kafka.group, [place, other])

    assert left == []
    assert {place: (at.offset, at.metadata) for place, at in found.items()} == {place: (7, "noted")}


async def test_a_note_is_not_lost_while_the_coordinator_loads(
    kafka: Connection, consumer: AIOKafkaConsumer, monkeypatch
):
    place = TopicPartition(kafka.topic("in"), 0)
    await consumer.commit({place: (7, "noted")})
    left = first_answers(monkeypatch, LOADING)

    found = await committed_now(kafka, kafka.group, place)

    assert left == []
    assert found is not None
    assert found.metadata == "noted"


async def test_who_may_not_ask_is_told_so_at_once(kafka: Connection, consumer: AIOKafkaConsumer, monkeypatch):
    first_answers(monkeypatch, REFUSED)

    with pytest.raises(GroupAuthorizationFailedError, match=kafka.group):
        await committed(consumer, kafka.group, [TopicPartition(kafka.topic("in"), 0)])


async def test_a_group_that_has_committed_nothing_says_so(kafka: Connection):
    assert await committed_now(kafka, kafka.group, TopicPartition(kafka.topic("in"), 0)) is None
