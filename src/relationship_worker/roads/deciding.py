"""Deciding: inputs in order of arrival, those of held relationships kept back, all of it in the caller's transaction."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.fetched_records import FetchedRecord
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.messages.dead_letters import Place
from relationship_worker.messages.envelope import data_hash, event_key, open_envelope
from relationship_worker.messages.incoming import (
    DECISION_TYPES,
    ID_PATTERN,
    REQUEST_TYPES,
    AnyInput,
    ErasureInput,
    SettingsInput,
    read_input,
)
from relationship_worker.messages.outgoing import CONNECTION_REQUESTS, RELATIONSHIP_DECISIONS, Message
from relationship_worker.roads.desk import Arrived, Desk
from relationship_worker.storage import held_back, outbox, personal_data
from relationship_worker.storage.database import Tx
from relationship_worker.storage.held_back import HeldInput
from relationship_worker.storage.relationships import Pair

log = structlog.get_logger()

TYPES = {CONNECTION_REQUESTS: REQUEST_TYPES, RELATIONSHIP_DECISIONS: DECISION_TYPES}


def read_arrived(kafka: Connection, record: FetchedRecord) -> Arrived:
    """A record of the relationship topics as an input. Raises InvalidMessage."""
    topic = kafka.plain(record.topic)
    event = open_envelope(record.headers, record.value, TYPES[topic])
    key = event_key(topic, event.source, event.id)
    return Arrived(item=read_input(event), record=record, key=key, hash=data_hash(event.data))


def of_one_relationship(item: AnyInput) -> Pair | None:
    """Whose later inputs an input holds back where the worker fails on it: its relationship's; of settings, the supplier's
    settings. None of an erasure at all suppliers, which is of no one relationship."""
    if isinstance(item, SettingsInput):
        return (item.supplier_id, held_back.SETTINGS)
    return None if item.supplier_id is None else (item.supplier_id, item.customer_id)


@dataclass(frozen=True, kw_only=True)
class Deciding:
    """Decides inputs, and posts what that makes. Both in the caller's transaction, under `personal_data.lock`."""

    kafka: Connection
    partitioner: Partitioner
    outbox_lanes: int

    async def decide(
        self,
        tx: Tx,
        new: Sequence[Arrived],
        *,
        like: int,
        now: datetime,
        let_go: Collection[Pair] = (),
        beside: Sequence[Message] = (),
    ) -> Counter[str]:
        """Decide inputs that are here for the first time; how many messages are told with it, by topic.

        `like`: the partition of an input, for messages that have neither key nor partition. `let_go`: relationships that
        are held, but whose inputs these are. `beside`: what else the transaction tells; posted apart, two transactions
        could wait for each other's lanes of the outbox.
        """
        about = {pair for a in new if (pair := of_one_relationship(a.item)) is not None}
        held = (await held_back.held(tx, about) if about else set()) - set(let_go)
        messages: list[Message] = []
        told: Counter[str] = Counter()
        for some, erasure in _up_to_each_erasure(new):
            waiting = [a for a in some if of_one_relationship(a.item) in held]
            if waiting:
                await self._keep_back(tx, waiting, now=now)
                some = [a for a in some if of_one_relationship(a.item) not in held]
            desk = await Desk.open(tx, [a.item for a in some], now=now)
            for a in some:
                desk.on_input(a, topic=self.kafka.plain(a.record.topic))
            await desk.remember(tx)
            messages += desk.messages
            if erasure is not None:
                # What waits in the outbox is erased as well. Nobody decides beside an erasure, so that posting apart is safe.
                told += await self.post(tx, messages, like=like)
                messages = []
                await personal_data.erase(
                    tx,
                    erasure.customer_id,
                    erasure.supplier_id,
                    up_to=erasure.event.time,
                    event_id=erasure.event.id,
                    event_source=erasure.event.source,
                    now=now,
                )
        return told + await self.post(tx, [*messages, *beside], like=like)

    async def post(self, tx: Tx, messages: Sequence[Message], *, like: int) -> Counter[str]:
        """Put messages into the outbox, each with its partition."""
        placed = [message.to(self.partitioner.place(message, like)) for message in messages]
        await outbox.post(tx, placed, lanes=self.outbox_lanes)
        return Counter(message.topic for message in messages)

    async def hold_back(self, tx: Tx, record: FetchedRecord, *, now: datetime) -> bool:
        """The worker itself fails on this record: from now on the later inputs of its relationship wait. Call it under
        `personal_data.lock(to_erase=True)`, which nobody decides beside.

        False where the relationship is held already: then the record is one of those that wait, and no dead letter yet.
        """
        pair = self._relationship_of(record)
        if pair is None:
            log.error("failed_record", holds_back="nothing: nobody knows of which relationship it is", **_where(record))
            return True
        failed = HeldInput(
            pair=pair,
            place=self._place(record),
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            event_key=None,
        )
        if await held_back.held(tx, [pair]):
            await held_back.keep(tx, [failed], now=now)
            return False
        await held_back.hold(tx, failed, now=now)
        log.error("held_back", supplier_id=pair[0], customer_id=pair[1] or None, **_where(record))
        return True

    def _relationship_of(self, record: FetchedRecord) -> Pair | None:
        """By its data; by its key where the worker fails already on reading these."""
        try:
            return of_one_relationship(read_arrived(self.kafka, record).item)
        except Exception:  # whatever it is: it was logged where the worker failed
            return relationship_by_key(record.key)

    def _place(self, record: FetchedRecord) -> Place:
        return Place(topic=self.kafka.plain(record.topic), partition=record.partition, offset=record.offset)

    async def _keep_back(self, tx: Tx, waiting: Sequence[Arrived], *, now: datetime) -> None:
        """They wait in order of arrival; without personal data where that was erased before."""
        pairs = {pair for a in waiting if (pair := of_one_relationship(a.item)) is not None}
        erased = await personal_data.erased_up_to(tx, pairs)
        kept = []
        for a in waiting:
            pair = of_one_relationship(a.item)
            assert pair is not None, "an erasure waits for nobody"
            value = a.record.value or b""
            if pair in erased and a.item.event.time <= erased[pair]:
                value = personal_data.erased_record(a.record.headers, value)
            kept.append(
                HeldInput(
                    pair=pair,
                    place=self._place(a.record),
                    key=a.record.key,
                    value=value,
                    headers=list(a.record.headers),
                    event_key=a.key,
                )
            )
        await held_back.keep(tx, kept, now=now)


_ID = re.compile(ID_PATTERN, re.ASCII)


def relationship_by_key(key: bytes | None) -> Pair | None:
    """The relationship that a record's key names as producers are to write it, or the supplier's settings."""
    supplier, _, customer = (key or b"").decode("latin-1").partition("/")
    if not _ID.fullmatch(supplier) or (customer and not _ID.fullmatch(customer)):
        return None
    return (supplier, customer or held_back.SETTINGS)


def _up_to_each_erasure(new: Sequence[Arrived]) -> Iterator[tuple[list[Arrived], ErasureInput | None]]:
    """What an erasure finds is what came before it; what comes behind it is told anew, and stays."""
    some: list[Arrived] = []
    for a in new:
        if isinstance(a.item, ErasureInput):
            yield some, a.item
            some = []
        else:
            some.append(a)
    yield some, None


def _where(record: FetchedRecord) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
