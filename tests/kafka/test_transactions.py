"""One Kafka transaction at a time, on a real Kafka: who is fenced, and what is in doubt."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import EndTxnRequest, TxnOffsetCommitRequest

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.transactions import Doubt, FencedOff, Transactions
from relationship_worker.messages.outgoing import Message
from waiting import until

Open = Callable[[], Awaitable[Transactions]]


@pytest_asyncio.fixture
async def opened(kafka: Connection) -> AsyncIterator[Open]:
    """Opens the same transactional id, as another worker does."""
    all_of_them: list[Transactions] = []

    async def open_() -> Transactions:
        made = Transactions(kafka, TopicPartition(kafka.topic("in"), 0), writes_to=["out"])
        all_of_them.append(made)
        await made.open()
        return made

    yield open_
    for made in all_of_them:
        await made.close()


async def begin(transactions: Transactions, kafka: Connection, position: int = 1) -> None:
    await transactions.begin({TopicPartition(kafka.topic("in"), 0): position}, places=[("out", 0)])


MESSAGE = (Message("out", b"k", b"v", []), 0)


async def test_who_was_fenced_while_his_messages_were_made_is_told_so(kafka: Connection, opened: Open):
    """And not that he may open again: that would fence the partition's new owner."""
    former = await opened()
    await opened()
    await begin(former, kafka)

    async def noticed() -> bool:
        assert former._moving is not None
        return former._moving.done()

    await until("the broker's no", noticed)

    with pytest.raises(FencedOff):
        await former.tell([MESSAGE])


def held_back(monkeypatch, kafka: Connection, kind: type) -> Callable[[], Awaitable[Any]]:
    """The next request of this kind is on its way when the connection is lost; it arrives when the result is called."""
    send, held = AIOKafkaConnection.send, []

    def lose_one(connection, request, **more):
        if isinstance(request, kind) and not held:
            held.append(request)
            connection.close()
        return send(connection, request, **more)

    async def arrive() -> Any:
        client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers)
        await client.bootstrap()
        try:
            return await client.send(client.get_random_node(), held[0])
        finally:
            await client.close()

    monkeypatch.setattr(AIOKafkaConnection, "send", lose_one)
    return arrive


async def test_an_end_of_which_no_answer_came_is_a_doubt_and_can_not_end_the_next_transaction(
    kafka: Connection, opened: Open, monkeypatch
):
    transactions = await opened()
    await begin(transactions, kafka)
    arrives = held_back(monkeypatch, kafka, EndTxnRequest)

    with pytest.raises(Doubt):
        await transactions.tell([MESSAGE])

    await transactions.open()
    await begin(transactions, kafka)
    assert (await arrives()).error_code != 0
    await transactions.tell([MESSAGE])


async def test_a_position_of_which_no_answer_came_is_a_doubt_and_can_not_come_behind_the_next(
    kafka: Connection, opened: Open, monkeypatch
):
    transactions = await opened()
    arrives = held_back(monkeypatch, kafka, TxnOffsetCommitRequest)
    await begin(transactions, kafka, 1)

    with pytest.raises(Doubt):
        await transactions.tell([MESSAGE])

    await transactions.open()
    await begin(transactions, kafka, 2)
    [(_, [(_, error)])] = (await arrives()).errors
    assert error != 0
    await transactions.tell([MESSAGE])


async def test_records_are_sent_once_the_positions_are_taken_in(kafka: Connection, opened: Open, monkeypatch):
    """A broker that is to check both at once refuses one of them, and the client rests before it asks again."""
    transactions = await opened()
    send, answered, seen = AIOKafkaConnection.send, [], []

    async def noted(connection, request, **more):
        if isinstance(request, ProduceRequest):
            seen.append(list(answered))
        answer = await send(connection, request, **more)
        answered.append(type(request))
        return answer

    monkeypatch.setattr(AIOKafkaConnection, "send", noted)
    await begin(transactions, kafka)
    await transactions.tell([MESSAGE])

    [answered_by_then] = seen
    assert TxnOffsetCommitRequest in answered_by_then
