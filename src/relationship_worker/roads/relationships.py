"""Relationships: every request and decision is decided once, remembered, and told."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import ConsumerRecord
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain import relationship as rules
from relationship_worker.domain import supplier as supplier_rules
from relationship_worker.domain.relationship import Judged, Kind, Refusal, Refused, State, Version
from relationship_worker.domain.resubmission import due_at
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.dead_letters import CONFLICT, SetAside, dead_letters, read_all
from relationship_worker.kafka.lanes import Lane
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.messages.envelope import (
    Envelope,
    data_hash,
    event_key,
    open_envelope,
)
from relationship_worker.messages.incoming import (
    DECISION_TYPES,
    REQUEST_TYPES,
    AnyInput,
    ErasureInput,
    RelationshipInput,
    SettingsInput,
    read_input,
)
from relationship_worker.messages.outgoing import (
    CONNECTION_REQUESTS,
    RELATIONSHIP_DECISIONS,
    TRANSITIONS,
    Cause,
    CustomerNumberChanged,
    DecisionRefused,
    Event,
    Message,
    RelationshipAccepted,
    event_message,
)
from relationship_worker.roads.relay import Bell
from relationship_worker.roads.running import StopLane, check_position
from relationship_worker.storage import (
    deferrals,
    inbox,
    outbox,
    parked,
    personal_data,
    positions,
    relationships,
    suppliers,
)
from relationship_worker.storage.database import Tx, transaction
from relationship_worker.storage.deferrals import Deferral
from relationship_worker.storage.parked import ParkedDecision
from relationship_worker.storage.positions import Tenure
from relationship_worker.storage.relationships import HistoryRow, Kept, Pair
from relationship_worker.storage.suppliers import SettingsChange, Supplier

log = structlog.get_logger()

BATCH_RECORDS = 500  # the round trips of a transaction are spread thin by then, and locks are held for some 50 ms
BATCH_BYTES = 4 * 1024 * 1024  # of values: bounds the memory of a batch of large profiles

TYPES = {CONNECTION_REQUESTS: REQUEST_TYPES, RELATIONSHIP_DECISIONS: DECISION_TYPES}


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A readable input, where it lay, and what recognises its event."""

    item: AnyInput
    record: ConsumerRecord
    key: bytes
    hash: bytes

    @property
    def cause(self) -> Cause:
        """What its outputs say of it."""
        event = self.item.event
        return Cause(self.key, event.id, event.source, event.trace)


@dataclass(kw_only=True)
class RelationshipsRoad:
    """The careful lane of one partition of the two relationship topics."""

    lane: Lane
    kafka: Connection
    database: AsyncEngine
    partitioner: Partitioner
    outbox_lanes: int
    bell: Bell
    tenure: Tenure | None = None

    @property
    def topic(self) -> str:
        """The contract's name of the topic."""
        return self.kafka.plain(self.lane.place.topic)

    async def open(self) -> None:
        """Fence the former owner; the truth about the position is in PostgreSQL."""
        committed = await self.lane.committed()
        first, end = await self.lane.bounds()
        async with transaction(self.database) as tx:
            self.tenure, position = await positions.take_over(tx, self.topic, self.lane.place.partition, first=first)
            if committed is not None and committed > position:
                raise StopLane(
                    f"{self.topic}-{self.lane.place.partition}: the database is applied up to {position}, but the group "
                    f"has committed {committed}: it was restored to an earlier time, or is another one "
                    "(see the README, named stops)"
                )
            check_position(self.lane, position, first=first, end=end)
        if committed != position:
            await self.lane.commit(position)
        self.lane.start(position)

    async def run_once(self) -> int:
        """Decide what has piled up, in one PostgreSQL transaction with the position. Done again, it finds itself done."""
        batch = await self.lane.take(most=BATCH_RECORDS, most_bytes=BATCH_BYTES)
        if batch is None:
            return 0
        assert self.tenure is not None
        arrived, set_aside = read_all(self.lane, batch.records, self._read)
        messages: list[Message] = []
        async with transaction(self.database) as tx:
            await positions.advance(tx, self.tenure, position=batch.next_position)
            if batch.records:
                messages = await self._decide(tx, arrived, set_aside)
                await outbox.post(tx, messages, lanes=self.outbox_lanes)
        self.bell.ring()
        await self.lane.commit(batch.next_position)
        if batch.records:
            log.info(
                self.topic,
                partition=self.lane.place.partition,
                position=batch.next_position,
                inputs=len(batch.records),
                told=Counter(message.topic for message in messages),
                dead_letters=Counter(why.reason for _, why in set_aside),
            )
        return len(batch.records)

    async def close(self) -> None:
        """Nothing is held open between batches."""

    def _read(self, record: ConsumerRecord) -> Arrived:
        event = open_envelope(record.headers, record.value, TYPES[self.topic])
        key = event_key(self.topic, event.source, event.id)
        return Arrived(item=read_input(event), record=record, key=key, hash=data_hash(event.data))

    async def _decide(self, tx: Tx, arrived: Sequence[Arrived], set_aside: SetAside) -> list[Message]:
        now = datetime.now(UTC)
        new = await self._use_up(tx, arrived, set_aside, now=now)
        messages: list[Message] = []
        for some, erasure in _up_to_each_erasure(new):
            desk = await Desk.open(tx, [a.item for a in some], now=now)
            for a in some:
                desk.on_input(a, topic=self.topic)
            await desk.remember(tx)
            messages += desk.messages
            if erasure is not None:
                await personal_data.erase(tx, erasure.customer_id, erasure.supplier_id)
        messages += dead_letters(self.kafka, set_aside)
        like = self.lane.place.partition
        return [message.to(self.partitioner.place(message, like)) for message in messages]

    async def _use_up(self, tx: Tx, arrived: Sequence[Arrived], set_aside: SetAside, *, now: datetime) -> list[Arrived]:
        """Those that are here for the first time; an event that was here with other data is a dead letter."""
        firsts: dict[bytes, Arrived] = {}
        for a in arrived:
            firsts.setdefault(a.key, a)
        before = await inbox.use_up(tx, {key: a.hash for key, a in firsts.items()}, now=now)
        for a in arrived:
            if a.hash != before.get(a.key, firsts[a.key].hash):
                set_aside.append((a.record, CONFLICT))
        return [a for key, a in firsts.items() if key not in before]


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


@dataclass(kw_only=True)
class Desk:
    """All that a batch of inputs needs to be decided, locked, and what was decided so far: each sees what came before."""

    now: datetime
    suppliers: dict[str, Supplier]
    kept: dict[Pair, Kept]
    waiting: dict[Pair, list[ParkedDecision]]
    carriers: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    _history: list[HistoryRow] = field(default_factory=list)
    _changes: list[SettingsChange] = field(default_factory=list)
    _parked: list[ParkedDecision] = field(default_factory=list)
    _applied: list[ParkedDecision] = field(default_factory=list)
    _touched: set[Pair] = field(default_factory=set)
    _deferrals: dict[Pair, Deferral | None] = field(default_factory=dict)

    @classmethod
    async def open(cls, tx: Tx, items: Sequence[AnyInput], *, now: datetime) -> "Desk":
        """Lock what the inputs are about, suppliers first, and read it."""
        about = [item for item in items if isinstance(item, RelationshipInput)]
        changing = any(isinstance(item, SettingsInput) for item in items)
        pairs = {(item.supplier_id, item.customer_id) for item in about}
        ids = {item.supplier_id for item in items if isinstance(item, RelationshipInput | SettingsInput)}
        locked = await suppliers.lock(tx, ids, to_change=changing)
        kept = await relationships.lock(tx, pairs)
        asked_for_first = {
            (item.supplier_id, item.customer_id)
            for item in about
            if item.told.kind is Kind.REQUEST
            and kept[item.supplier_id, item.customer_id].relationship.state is State.NONE
        }
        waiting = await parked.parked_for(tx, asked_for_first) if asked_for_first else {}
        desk = cls(now=now, suppliers=locked, kept=kept, waiting=waiting)
        numbers = {(s, number) for s, number in desk._numbers_named(about)}
        if numbers:
            desk.carriers = await relationships.partners_by_number(tx, numbers)
        return desk

    def _numbers_named(self, about: Sequence[RelationshipInput]) -> set[tuple[str, str]]:
        """Every number that may come into force in this batch, in the form in which it would be kept."""
        named = {(supplier, kept.relationship.customer_number) for (supplier, _), kept in self.kept.items()}
        told = [(item.supplier_id, item.told.customer_number) for item in about]
        for decisions in self.waiting.values():
            told += [(d.pair[0], _told_again(d).told.customer_number) for d in decisions]
        for supplier, text in told:
            judged = rules.judge_alone(
                rules.Input(kind=Kind.NUMBER, at=self.now, customer_number=text), now=self.now, max_length=64
            )
            named.add((supplier, judged.customer_number if isinstance(judged, Judged) else None))
        return {(supplier, number) for supplier, number in named if number is not None}

    def on_input(self, arrived: Arrived, *, topic: str) -> None:
        """Decide one input."""
        item = arrived.item
        if isinstance(item, SettingsInput):
            self._on_settings_changed(item, arrived.cause)
        elif isinstance(item, RelationshipInput):
            self._on_relationship_input(item, arrived, topic)

    def _on_settings_changed(self, item: SettingsInput, cause: Cause) -> None:
        supplier = self.suppliers[item.supplier_id]
        reason = None
        new = supplier.settings
        if rules.is_from_the_future(item.event.time, now=self.now):
            reason = Refusal.FROM_THE_FUTURE
        else:
            try:
                new = supplier_rules.changed(supplier.settings, item.change)
            except supplier_rules.InvalidSettings:
                reason = Refusal.INVALID_SETTINGS
        if reason is None and supplier.valid_from is not None and item.event.time < supplier.valid_from:
            reason = Refusal.STALE
        if reason is not None:
            refused = DecisionRefused(
                supplier_id=item.supplier_id,
                customer_id=None,
                decision_id=item.event.id,
                decision_type=item.event.type,
                reason=reason,
                state=None,
                version=0,
            )
            self._tell(refused, cause, "refused")
            return
        changed = Supplier(
            supplier_id=item.supplier_id, change=supplier.change + 1, valid_from=item.event.time, settings=new
        )
        self.suppliers[item.supplier_id] = changed
        self._changes.append(SettingsChange(supplier=changed, event_id=cause.id, event_source=cause.source))

    def _on_relationship_input(self, item: RelationshipInput, arrived: Arrived, topic: str) -> None:
        pair = (item.supplier_id, item.customer_id)
        was_unknown = self.kept[pair].relationship.state is State.NONE
        settings = self.suppliers[item.supplier_id].settings
        judged = rules.judge_alone(item.told, now=self.now, max_length=settings.customer_number_max_length)
        if isinstance(judged, Refused):
            self._refuse(pair, judged.reason, item.event, arrived.cause)
            return
        if self._decide(pair, item, judged, arrived.cause, at=item.event.time):
            self._park(pair, arrived, topic)
        if was_unknown and self.kept[pair].relationship.state is not State.NONE:
            self._let_in(pair, requested_at=item.event.time)

    def _let_in(self, pair: Pair, *, requested_at: datetime) -> None:
        """The request is here: what waited for it is decided now, in order of arrival, as if it were not older."""
        arrived_in_this_batch = [decision for decision in self._parked if decision.pair == pair]
        self._parked = [decision for decision in self._parked if decision.pair != pair]
        waiting = self.waiting.pop(pair, [])
        self._applied += waiting
        for decision in [*waiting, *arrived_in_this_batch]:
            item = _told_again(decision)
            event = item.event
            cause = Cause(decision.event_key, event.id, event.source, event.trace)
            # Judged on arrival; a length that was allowed then is allowed now.
            judged = rules.judge_alone(item.told, now=decision.arrived_at, max_length=64)
            if isinstance(judged, Refused):
                self._refuse(pair, judged.reason, event, cause)
            else:
                self._decide(pair, item, judged, cause, at=max(event.time, requested_at))

    def _decide(self, pair: Pair, item: RelationshipInput, judged: Judged, cause: Cause, *, at: datetime) -> bool:
        """Decide by the table. True where the decision is to be parked."""
        outcome = rules.decide(self.kept[pair].relationship, judged, at=at)
        if isinstance(outcome, rules.Parked):
            return True
        if isinstance(outcome, Refused):
            self._refuse(pair, outcome.reason, item.event, cause)
            return False
        if isinstance(outcome, rules.Changed):
            self._change(pair, item, outcome.version, cause)
        self._keep_profile(pair, item)
        return False

    def _park(self, pair: Pair, arrived: Arrived, topic: str) -> None:
        record = arrived.record
        self._parked.append(
            ParkedDecision(
                pair=pair,
                arrived_at=self.now,
                event_key=arrived.key,
                topic=topic,
                partition=record.partition,
                offset=record.offset,
                key=record.key,
                value=record.value or b"",
                headers=list(record.headers),
            )
        )

    def _refuse(self, pair: Pair, reason: Refusal, event: Envelope, cause: Cause) -> None:
        met = self.kept[pair].relationship
        refused = DecisionRefused(
            supplier_id=pair[0],
            customer_id=pair[1],
            decision_id=event.id,
            decision_type=event.type,
            reason=reason,
            state=met.state,
            version=met.version,
        )
        self._tell(refused, cause, "refused")

    def _change(self, pair: Pair, item: RelationshipInput, version: Version, cause: Cause) -> None:
        before = self.kept[pair].relationship
        self.kept[pair] = replace(self.kept[pair], relationship=rules.after(version))
        self._touched.add(pair)
        self._move_carrier(pair, before)
        event = self._event(pair, version)
        self._history.append(
            HistoryRow(
                pair=pair,
                type=event.type,
                version=version,
                message=item.message,
                event_id=cause.id,
                event_source=cause.source,
            )
        )
        self._note_deferral(pair, version, item, cause)
        self._tell(event, cause, f"version-{version.version}")

    def _event(self, pair: Pair, version: Version) -> Event:
        shared = self._is_shared(pair, version.customer_number)
        if not version.is_transition:
            return CustomerNumberChanged(
                supplier_id=pair[0],
                customer_id=pair[1],
                version=version.version,
                customer_number=version.customer_number,
                previous=version.previous_number,
                shared=shared,
            )
        told: dict[str, Any] = {
            "supplier_id": pair[0],
            "customer_id": pair[1],
            "version": version.version,
            "state": version.state,
            "previous_state": version.previous_state,
            "decided_at": version.valid_from,
            "decided_by": version.decided_by,
            "reason": version.reason,
            "resubmission_date": version.resubmission_date,
            "customer_number": version.customer_number if version.state is State.PARTNER else None,
            "previously_rejected": version.previously_rejected,
        }
        if version.state is State.PARTNER:
            return RelationshipAccepted(**told, shared=shared)
        return TRANSITIONS[version.state](**told)

    def _note_deferral(self, pair: Pair, version: Version, item: RelationshipInput, cause: Cause) -> None:
        """A live deferral with a date waits for its day; anything that follows a deferral makes it void."""
        if version.state is State.DEFERRED and version.resubmission_date is not None:
            settings = self.suppliers[pair[0]].settings
            day = version.resubmission_date
            self._deferrals[pair] = Deferral(
                pair=pair,
                version=version.version,
                due_on=day,
                due_at=due_at(day, time_zone=settings.time_zone, reminder_time=settings.reminder_time),
                deferred_at=version.valid_from,
                reason=version.reason,
                event_key=cause.key,
                event_id=cause.id,
                event_source=cause.source,
                trace=list(item.event.trace),
            )
        elif version.previous_state is State.DEFERRED:
            self._deferrals[pair] = None

    def _keep_profile(self, pair: Pair, item: RelationshipInput) -> None:
        """Kept as last told; an older one than what is kept is ignored."""
        kept, at = self.kept[pair], item.event.time
        if item.profile is not None and (kept.profile_at is None or at >= kept.profile_at):
            kept = replace(kept, profile=item.profile, profile_at=at)
        if item.assortment is not None and (kept.assortment_at is None or at >= kept.assortment_at):
            kept = replace(kept, assortment=item.assortment, assortment_at=at)
        if kept is not self.kept[pair]:
            self.kept[pair] = kept
            self._touched.add(pair)

    def _move_carrier(self, pair: Pair, before: rules.Relationship) -> None:
        supplier, customer = pair
        if before.state is State.PARTNER and before.customer_number is not None:
            self.carriers.get((supplier, before.customer_number), set()).discard(customer)
        now = self.kept[pair].relationship
        if now.state is State.PARTNER and now.customer_number is not None:
            self.carriers.setdefault((supplier, now.customer_number), set()).add(customer)

    def _is_shared(self, pair: Pair, number: str | None) -> bool:
        """Another partner of the supplier carries the number, or it equals the default."""
        if number is None:
            return False
        supplier, customer = pair
        is_default = number == self.suppliers[supplier].settings.default_customer_number
        return is_default or bool(self.carriers.get((supplier, number), set()) - {customer})

    def _tell(self, event: Event, cause: Cause, suffix: str) -> None:
        self.messages.append(event_message(event, cause, suffix=suffix, now=self.now))

    async def remember(self, tx: Tx) -> None:
        """Write all that was decided."""
        if self._changes:
            await suppliers.remember_changes(tx, self._changes, now=self.now)
        if self._touched:
            await relationships.remember(tx, {pair: self.kept[pair] for pair in sorted(self._touched)})
        if self._history:
            await relationships.remember_history(tx, self._history, now=self.now)
        if self._parked:
            await parked.park(tx, self._parked)
        if self._applied:
            await parked.forget(tx, self._applied)
        if self._deferrals:
            await deferrals.forget(tx, list(self._deferrals))
            await deferrals.remember(tx, [d for d in self._deferrals.values() if d is not None])
        for supplier_id in sorted({change.supplier.supplier_id for change in self._changes}):
            await deferrals.move(tx, supplier_id, self.suppliers[supplier_id].settings)


def _told_again(decision: ParkedDecision) -> RelationshipInput:
    item = read_input(open_envelope(decision.headers, decision.value, DECISION_TYPES))
    assert isinstance(item, RelationshipInput)
    return item
