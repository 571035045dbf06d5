"""Trying: what a replay would make, by the worker's own rules and the facts of now, in a transaction that is rolled back."""

from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.dead_letters import CONFLICT
from relationship_worker.kafka.plain_records import FetchedRecord, head_of
from relationship_worker.messages.envelope import InvalidMessage, data_hash, event_key, open_envelope
from relationship_worker.messages.incoming import ErasureInput, RelationshipInput
from relationship_worker.messages.orders import ORDER_TYPES, read_answer, read_order
from relationship_worker.messages.outgoing import ORDERS
from relationship_worker.roads.answering import rule
from relationship_worker.roads.deciding import of_one_relationship, read_arrived
from relationship_worker.roads.desk import Arrived, Desk
from relationship_worker.roads.running import describe, is_own_fault
from relationship_worker.storage import answers, held_back, inbox, personal_data
from relationship_worker.storage.database import Tx
from relationship_worker.storage.dead_letter_cases import Case
from relationship_worker.storage.known_facts import KnownFacts

Would = dict[str, Any]
"""`outcome` and what belongs to it."""

AGAIN, IMPOSSIBLE = "dead letter again", "impossible"
FAILS = (AGAIN, IMPOSSIBLE)  # outcomes by which nothing is gained


async def would_make(kafka: Connection, database: AsyncEngine, case: Case) -> Would:
    """What the letter would make if it were replayed now, by itself. Changes nothing."""
    if case.lacks_value:
        return {"outcome": IMPOSSIBLE, "why": "its value was left out or erased"}
    async with database.connect() as tx:  # never committed
        try:
            return await _tried(tx, kafka, case)
        except InvalidMessage as why:
            return {"outcome": AGAIN, "why": str(why)}
        except Exception as error:
            if not is_own_fault(error):
                raise
            return {"outcome": AGAIN, "why": f"the worker fails on it ({describe(error)})"}
        finally:
            await tx.rollback()


async def _tried(tx: Tx, kafka: Connection, case: Case) -> Would:
    place = TopicPartition(kafka.topic(case.place.topic), case.place.partition)
    record = FetchedRecord(place, case.place.offset, case.letter.key, case.value, head_of(case.headers))
    if case.place.topic == ORDERS:
        return await _order(tx, record)
    return await _input(tx, read_arrived(kafka, record), case)


async def _order(tx: Tx, record: FetchedRecord) -> Would:
    event = open_envelope(record.headers, record.value, ORDER_TYPES)
    order = read_order(event)
    key = event_key(ORDERS, event.source, event.id)
    names = {"supplier_id": order.supplier_id, "order_id": order.order_id}
    known = (await answers.events_before(tx, {key})).get(key)
    if known is not None and known.data_hash != data_hash(event.data):
        raise CONFLICT
    if known is not None:
        return {"outcome": "no effect", "why": "the event was answered before", **names}
    told = (await answers.told_so_far(tx, {(order.supplier_id, order.order_id)})).get(
        (order.supplier_id, order.order_id)
    )
    if told is not None:
        return {"outcome": "told again", **names, "answer": _answer(told.last)}
    [ruled] = await rule(tx, KnownFacts(), [order], caught_up=True)
    return {"outcome": "answered", **names, "answer": _answer(ruled.answer(order.as_of))}


def _answer(text: str) -> dict[str, Any]:
    answer = read_answer(text)
    return {"number": answer.number, "source": answer.source, "reason": answer.reason, "rule": answer.rule}


async def _input(tx: Tx, arrived: Arrived, case: Case) -> Would:
    now = datetime.now(UTC)
    await personal_data.lock(tx)
    item, pair = arrived.item, of_one_relationship(arrived.item)
    names: Would = {"supplier_id": pair[0], "customer_id": pair[1] or None} if pair is not None else {}
    own = case.hold.pair if case.hold is not None else None
    before = await inbox.use_up(tx, {arrived.key: arrived.hash}, now=now)
    if before and before[arrived.key] != arrived.hash:
        raise CONFLICT
    if before and not (own and await held_back.forget_event(tx, own, arrived.key)):
        return {"outcome": "no effect", "why": "the event has had its effect before", **names}
    if pair is not None and pair != own and await held_back.held(tx, [pair]):
        return {"outcome": "held back", "why": "another dead letter holds back its relationship", **names}
    if isinstance(item, ErasureInput):
        return {"outcome": "erased", **names, "customer_id": item.customer_id}
    desk = await Desk.open(tx, [item], now=now)
    was = _state(desk, arrived)
    desk.on_input(arrived, topic=case.place.topic)
    await desk.remember(tx)
    told = [dict(message.headers).get("ce_type") or b"" for message in desk.messages]
    made: Would = {
        "outcome": "decided",
        **names,
        "before": was,
        "after": _state(desk, arrived),
        "events": [text.decode() for text in told],
        "behind": case.hold.behind if case.hold is not None else 0,
    }
    return made


def _state(desk: Desk, arrived: Arrived) -> Would | None:
    """How the relationship, or the supplier's settings, stand at the desk."""
    item = arrived.item
    if isinstance(item, RelationshipInput):
        kept = desk.kept[item.supplier_id, item.customer_id].relationship
        return {"state": kept.state, "version": kept.version, "customer_number": kept.customer_number}
    if isinstance(item, ErasureInput):
        return None
    return {"settings_change": desk.suppliers[item.supplier_id].change}
