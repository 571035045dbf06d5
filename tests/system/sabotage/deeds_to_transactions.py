"""What may be wrong with transactions, their positions and their producers."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer, TopicPartition

from relationship_worker.app import Worker
from relationship_worker.kafka import lost_markers
from relationship_worker.kafka.lanes import Lane
from relationship_worker.kafka.transactions import Place, Transactions
from relationship_worker.messages.outgoing import DEAD_LETTERS
from relationship_worker.storage import corrections, outbox, positions
from relationship_worker.storage.database import transaction
from system.sabotage.blows_from_within import tells_orders
from system.sabotage.moments import die_once

OVERTAKEN = 2.0  # seconds; what is posted meanwhile is told, also on a busy machine


def commit_positions_first() -> None:
    """An order's position is committed before the order is told; a worker that dies in between loses it."""
    begin, tell = Transactions.begin, Transactions.tell

    async def wrong(
        self: Transactions,
        positions: Mapping[TopicPartition, int],
        *,
        note: str = "",
        places: Collection[Place] = (),
    ) -> None:
        await begin(self, positions, note=note, places=places)
        if tells_orders(self) and places:
            await tell(self, [])
            die_once()
            await _begin_without_positions(self)

    Transactions.begin = wrong


def commit_positions_last() -> None:
    """An order's position is committed once it was told; a worker that dies in between tells it again."""
    begin, tell = Transactions.begin, Transactions.tell
    done: dict[str, Mapping[TopicPartition, int]] = {}

    async def wrong_begin(
        self: Transactions,
        positions: Mapping[TopicPartition, int],
        *,
        note: str = "",
        places: Collection[Place] = (),
    ) -> None:
        if not tells_orders(self) or not places:
            await begin(self, positions, note=note, places=places)
            return
        done[self._id] = positions
        await _begin_without_positions(self)

    async def wrong_tell(self: Transactions, messages: Any, *, records: Any = None) -> None:
        await tell(self, messages, records=records)
        if self._id in done:
            die_once()
            await begin(self, done.pop(self._id))
            await tell(self, [])

    Transactions.begin, Transactions.tell = wrong_begin, wrong_tell


async def _begin_without_positions(told_by: Transactions) -> None:
    assert told_by._producer is not None, "it was opened"
    await told_by._producer.begin_transaction()
    told_by._moving = asyncio.create_task(asyncio.sleep(0))


def take_a_transactional_id_of_its_own() -> None:
    """Whoever takes a partition over does not fence whoever had it before, nor waits for the end of his transaction."""
    real = Worker._transactions

    async def is_none_of_its_own(*_: object) -> bool:
        return False

    lost_markers.is_position_open = is_none_of_its_own

    def wrong(self: Worker, lane: Lane, writes_to: Collection[str]) -> Transactions:
        made = real(self, lane, writes_to)
        made._id = f"{uuid4()}.{made._id}"
        return made

    Worker._transactions = wrong


def keep_the_producer_after_a_doubt() -> None:
    """Abort and go on: whatever the producer had sent before may still arrive."""
    open_, close = Transactions.open, Transactions.close

    async def wrong_open(self: Transactions) -> None:
        if self._producer is None:
            await open_(self)
        else:
            await self._producer.abort_transaction()

    async def wrong_close(self: Transactions) -> None:
        producer, moving = self._producer, self._moving
        if producer is None or moving is None:
            await close(self)
            return
        self._moving = None
        moving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await moving

    Transactions.open, Transactions.close = wrong_open, wrong_close


def tell_dead_letters_outside() -> None:
    """A dead letter is sent at once, whatever becomes of the transaction."""
    tell = Transactions.tell

    async def wrong(self: Transactions, messages: Any, *, records: Any = None) -> None:
        messages = list(messages)
        letters = [(message, partition) for message, partition in messages if message.topic == DEAD_LETTERS]
        if letters:
            async with AIOKafkaProducer(**self._kafka.client_options()) as producer:
                for message, partition in letters:
                    topic, headers = self._kafka.topic(message.topic), list(message.headers)
                    batch = producer.create_batch()
                    batch.append(key=message.key, value=message.value, timestamp=None, headers=headers)
                    await (await producer.send_batch(batch, topic, partition=partition))
            die_once()
        rest = [(message, partition) for message, partition in messages if message.topic != DEAD_LETTERS]
        await tell(self, rest, records=records)

    Transactions.tell = wrong


def number_messages_before_they_are_locked() -> None:
    """Numbers of the outbox are taken like those of a sequence: they say nothing of the order of commits.

    Of two transactions that post to one lane, the first is held up until the second has long been committed.
    """
    real = outbox.rows
    held: dict[int, asyncio.Event] = {}

    async def wrong(tx: Any, statement: str, values: Any = None) -> Any:
        if "INTO outbox_lanes" not in statement:
            return await real(tx, statement, values)
        async with transaction(tx.engine) as own:
            found = await real(own, statement, values)
        lane = values["lane"]
        if lane in held:
            held[lane].set()
            return found
        held[lane] = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(held[lane].wait(), OVERTAKEN)
            await asyncio.sleep(OVERTAKEN)
        del held[lane]
        return found

    outbox.rows = wrong


def move_the_position_before_the_work() -> None:
    """The position of a relationship topic is committed by itself; a worker that dies then decides nothing of it."""
    real = positions.advance

    async def wrong(tx: Any, tenure: Any, *, position: int) -> None:
        async with transaction(tx.engine) as own:
            await real(own, tenure, position=position)
        die_once()

    positions.advance = wrong


def note_corrections_after_they_are_told() -> None:
    """How far corrections are told is not part of their transaction; a worker that dies in between tells them again."""
    begin, told = Transactions.begin, corrections.told

    async def wrong_begin(self: Transactions, positions: Any, *, note: str = "", places: Any = ()) -> None:
        await begin(self, positions, places=places)

    async def wrong_told(tx: Any, partition: int, *, up_to: int) -> None:
        die_once()
        await told(tx, partition, up_to=up_to)

    Transactions.begin, corrections.told = wrong_begin, wrong_told
