"""Blows from within that a true worker comes through: it dies, stops or is slow at a certain moment."""

import asyncio
import re
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaTimeoutError
from aiokafka.protocol.transaction import EndTxnRequest

from relationship_worker.kafka import transactions
from relationship_worker.kafka.transactions import Transactions
from relationship_worker.messages.outgoing import RELATIONSHIP_EVENTS
from relationship_worker.storage import positions
from system.sabotage.moments import die_once, first_time, stop_once

SLOW = 0.3  # seconds that a batch of decisions takes longer, so that whoever doesn't wait for it is seen
_LONG_MS = 60_000  # of a transaction: a worker that is stopped is missed after 6 s, and goes on before this is over


def tells_orders(told_by: Transactions) -> bool:
    """Whether this is the lane of a partition of orders."""
    return re.search(r"(^|\.)orders\.\d+$", told_by._id) is not None


def dies_before_it_commits_orders() -> None:
    """All of a transaction is sent, but its end."""
    send = Transactions._send

    async def sent(self: Transactions, producer: Any, messages: Any, records: Any) -> None:
        await send(self, producer, messages, records)
        if tells_orders(self) and any(records.values()):
            die_once()

    Transactions._send = sent


def dies_after_it_has_committed_orders() -> None:
    """What follows a transaction is not done any more."""
    tell = Transactions.tell

    async def told(self: Transactions, messages: Any, *, records: Any = None) -> None:
        await tell(self, messages, records=records)
        if tells_orders(self) and any((records or {}).values()):
            die_once()

    Transactions.tell = told


def dies_while_it_decides() -> None:
    """The position is moved, and nothing of it is committed."""
    advance = positions.advance

    async def advanced(tx: Any, tenure: Any, *, position: int) -> None:
        await advance(tx, tenure, position=position)
        die_once()

    positions.advance = advanced


def is_slow_to_decide() -> None:
    """A slow database: decisions that are published take their time to be applied."""
    advance = positions.advance

    async def advanced(tx: Any, tenure: Any, *, position: int) -> None:
        await asyncio.sleep(SLOW)
        await advance(tx, tenure, position=position)

    positions.advance = advanced


def stops_before_it_commits_orders() -> None:
    """Others take over; later it goes on as if nothing had been, and commits."""
    transactions.TRANSACTION_TIMEOUT_MS = _LONG_MS
    send = Transactions._send

    async def sent(self: Transactions, producer: Any, messages: Any, records: Any) -> None:
        await send(self, producer, messages, records)
        if tells_orders(self) and any(records.values()):
            assert self._moving is not None, "it was begun"
            await self._moving
            stop_once()

    Transactions._send = sent


def ends_a_transaction_late() -> None:
    """The request to commit is held up in the network, and comes while the next transaction is open, which fails too.

    Held up is one of a transaction with orders and complaints; of the next one it comes behind the orders.
    """
    tell = Transactions._tell
    held: dict[str, tuple[int, int]] = {}

    async def told(self: Transactions, producer: Any, messages: Any, records: Any) -> None:
        messages = list(messages)
        complains = any(message.topic == RELATIONSHIP_EVENTS for message, _ in messages)
        if not tells_orders(self) or not any(records.values()) or not complains:
            await tell(self, producer, messages, records)
        elif self._id in held:
            assert self._moving is not None, "it was begun"
            await self._send(producer, [], records)
            await self._moving
            await _end(producer, *held.pop(self._id))
            raise KafkaTimeoutError
        elif first_time("held up"):
            await self._send(producer, messages, records)
            held[self._id] = (producer._txn_manager.producer_id, producer._txn_manager.producer_epoch)
            raise KafkaTimeoutError
        else:
            await tell(self, producer, messages, records)

    Transactions._tell = told


async def _end(producer: AIOKafkaProducer, producer_id: int, epoch: int) -> None:
    sender = producer._sender
    manager = producer._txn_manager
    node = await sender._find_coordinator(CoordinationType.TRANSACTION, manager.transactional_id)
    request = EndTxnRequest(
        transactional_id=manager.transactional_id,
        producer_id=producer_id,
        producer_epoch=epoch,
        transaction_result=True,
    )
    await producer.client.send(node, request, group=ConnectionGroup.COORDINATION)
