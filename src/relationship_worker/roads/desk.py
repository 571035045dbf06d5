"""The desk: a batch of inputs is decided by the rules, each seeing what came before it, and written down at the end."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from msgspec.structs import replace as replace_struct

from relationship_worker import metrics
from relationship_worker.domain import own_rules
from relationship_worker.domain import relationship as rules
from relationship_worker.domain import supplier as supplier_rules
from relationship_worker.domain.customer_number_text import InvalidCustomerNumber
from relationship_worker.domain.relationship import Judged, Kind, Refusal, Refused, State, Version
from relationship_worker.domain.resubmission import due_at
from relationship_worker.kafka.fetched_records import FetchedRecord
from relationship_worker.messages.envelope import Envelope, derived_key, open_envelope
from relationship_worker.messages.incoming import (
    DECISION_TYPES,
    AnyInput,
    RelationshipInput,
    SettingsInput,
    asking,
    read_input,
)
from relationship_worker.messages.outgoing import (
    TRANSITIONS,
    Cause,
    CustomerNumberChanged,
    DecisionRefused,
    Event,
    Message,
    RelationshipAccepted,
    event_message,
)
from relationship_worker.messages.personal_data import profile_without_contacts
from relationship_worker.storage import (
    deferrals,
    parked,
    personal_data,
    refusals,
    relationships,
    suppliers,
)
from relationship_worker.storage import facts as new_facts
from relationship_worker.storage.database import Tx
from relationship_worker.storage.deferrals import Deferral
from relationship_worker.storage.facts import Fact
from relationship_worker.storage.parked import ParkedDecision
from relationship_worker.storage.refusals import RefusedInput
from relationship_worker.storage.relationships import HistoryRow, Kept, Pair
from relationship_worker.storage.suppliers import SettingsChange, Supplier

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A readable input, where it lay, and what recognises its event."""

    item: AnyInput
    record: FetchedRecord
    key: bytes
    hash: bytes

    @property
    def cause(self) -> Cause:
        """What its outputs say of it."""
        event = self.item.event
        return Cause(self.key, event.id, event.source, event.trace)


@dataclass(kw_only=True)
class Desk:
    """All that a batch of inputs needs to be decided, locked, and what was decided so far: each sees what came before."""

    now: datetime
    suppliers: dict[str, Supplier]
    kept: dict[Pair, Kept]
    waiting: dict[Pair, list[ParkedDecision]]
    erased: dict[Pair, datetime]
    carriers: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    _history: list[HistoryRow] = field(default_factory=list)
    _changes: list[SettingsChange] = field(default_factory=list)
    _facts: list[Fact] = field(default_factory=list)
    _refusals: list[RefusedInput] = field(default_factory=list)
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
        erased = await personal_data.erased_up_to(tx, pairs)
        desk = cls(now=now, suppliers=locked, kept=kept, waiting=waiting, erased=erased)
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
        for item in about:
            if item.told.kind in (Kind.REQUEST, Kind.PROFILE):
                named |= self._numbers_by_own_rules(item.supplier_id, item.customer_id)
        return {(supplier, number) for supplier, number in named if number is not None}

    def _numbers_by_own_rules(self, supplier: str, customer: str) -> set[tuple[str, str | None]]:
        """Whatever the supplier's rules make for the customer: which one fires is known only as the batch goes on."""
        actions = [rule.then for rule in self.suppliers[supplier].settings.rules]
        made = set()
        for template in {action.customer_number for action in actions if isinstance(action, own_rules.Accept)}:
            with suppress(InvalidCustomerNumber):
                made.add((supplier, own_rules.number_for(template, customer, max_length=64)))
        return made

    def on_input(self, arrived: Arrived, *, topic: str) -> None:
        """Decide one input."""
        item = arrived.item
        if isinstance(item, SettingsInput):
            self._on_settings_changed(item, arrived.cause)
        elif isinstance(item, RelationshipInput):
            erased = self._is_erased(item)
            self._on_relationship_input(_without_personal_data(item) if erased else item, arrived, topic)

    def _is_erased(self, item: RelationshipInput) -> bool:
        """The customer's personal data was erased since: what arrives late is kept and told without it."""
        up_to = self.erased.get((item.supplier_id, item.customer_id))
        return up_to is not None and item.event.time <= up_to

    def _on_settings_changed(self, item: SettingsInput, cause: Cause) -> None:
        supplier = self.suppliers[item.supplier_id]
        reason, detail = None, None
        new = supplier.settings
        if rules.is_from_the_future(item.event.time, now=self.now):
            reason = Refusal.FROM_THE_FUTURE
        else:
            try:
                new = supplier_rules.changed(supplier.settings, item.change)
            except supplier_rules.InvalidSettings as why:
                reason, detail = Refusal.INVALID_SETTINGS, str(why)
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
                detail=detail,
            )
            self._tell_refused(refused, cause, at=item.event.time)
            return
        changed = Supplier(
            supplier_id=item.supplier_id,
            change=supplier.change + 1,
            valid_from=item.event.time,
            settings=new,
            rules_since=supplier.rules_since if new.rules == supplier.settings.rules else item.event.time,
        )
        self.suppliers[item.supplier_id] = changed
        brings_default = "default_customer_number" in item.change and new.default_customer_number is not None
        self._changes.append(
            SettingsChange(
                supplier=changed, brings_default=brings_default, event_id=cause.id, event_source=cause.source
            )
        )
        self._note_fact(item.supplier_id, None, 0, item.event.time, cause)

    def _on_relationship_input(self, item: RelationshipInput, arrived: Arrived, topic: str) -> None:
        pair = (item.supplier_id, item.customer_id)
        before = self.kept[pair]
        settings = self.suppliers[item.supplier_id].settings
        judged = rules.judge_alone(item.told, now=self.now, max_length=settings.customer_number_max_length)
        if isinstance(judged, Refused):
            self._refuse(pair, judged.reason, item.event, arrived.cause)
            return
        if self._decide(pair, item, judged, arrived.cause, at=item.event.time):
            self._park(pair, arrived, topic)
        if before.relationship.state is State.NONE and self.kept[pair].relationship.state is not State.NONE:
            self._let_in(pair, requested_at=item.event.time)
        if judged.kind in (Kind.REQUEST, Kind.PROFILE) and self.kept[pair] is not before:
            self._decide_by_own_rules(pair, item, arrived.cause)

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

    def _decide_by_own_rules(self, pair: Pair, item: RelationshipInput, cause: Cause) -> None:
        """A request that is still open, and not older than the supplier's rules, is decided by the first that matches.

        Called where a request comes in, after the decisions that had waited for it, and where an open one's profile
        is told anew: what a rule asks for may come later.
        """
        supplier, relationship = self.suppliers[pair[0]], self.kept[pair].relationship
        settings = supplier.settings
        if relationship.state is not State.REQUESTED or relationship.valid_from is None or not settings.rules:
            return
        if supplier.rules_since is not None and relationship.valid_from < supplier.rules_since:
            return
        at = max(item.event.time, relationship.valid_from)
        decided = own_rules.decide_by_rule(
            settings.rules,
            asking(pair[1], self.kept[pair].profile),
            at=at,
            time_zone=settings.time_zone,
            max_length=settings.customer_number_max_length,
        )
        if isinstance(decided, own_rules.NumberNotMade):
            metrics.RULES_SKIPPED.inc()
            log.warning(
                "rule_skipped", supplier_id=pair[0], customer_id=pair[1], rule=decided.rule, why=f"number {decided.why}"
            )
        elif decided is not None:
            decision = replace(item, message=None, profile=None)  # what the request brought is kept with the request
            self._decide(pair, decision, decided, cause, at=at)

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
        value = record.value or b""
        if isinstance(arrived.item, RelationshipInput) and self._is_erased(arrived.item):
            value = personal_data.erased_record(record.headers, value)
        self._parked.append(
            ParkedDecision(
                pair=pair,
                arrived_at=self.now,
                event_key=arrived.key,
                topic=topic,
                partition=record.partition,
                offset=record.offset,
                key=record.key,
                value=value,
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
            detail=None,
        )
        self._tell_refused(refused, cause, at=event.time)

    def _tell_refused(self, refused: DecisionRefused, cause: Cause, *, at: datetime) -> None:
        self._refusals.append(
            RefusedInput(
                supplier_id=refused.supplier_id,
                customer_id=refused.customer_id,
                event_id=cause.id,
                event_source=cause.source,
                type=refused.decision_type,
                reason=refused.reason,
                state=refused.state,
                version=refused.version,
                event_time=at,
                recorded_at=self.now,
            )
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
                settings_change=self.suppliers[pair[0]].change,
                event_id=cause.id,
                event_source=cause.source,
            )
        )
        self._note_fact(*pair, version.version, version.valid_from, cause)
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

    def _note_fact(
        self, supplier_id: str, customer_id: str | None, version: int, valid_from: datetime, cause: Cause
    ) -> None:
        """Orders that were answered without it may have to be told another number: see `roads/corrections.py`.

        A request that a rule decides brings two facts; what follows from each has ids of its own.
        """
        if self._facts and self._facts[-1].cause.key == cause.key:
            cause = replace_struct(cause, key=derived_key(cause.key))
        self._facts.append(
            Fact(
                supplier_id=supplier_id,
                customer_id=customer_id,
                version=version,
                change=self.suppliers[supplier_id].change,
                valid_from=valid_from,
                cause=cause,
            )
        )

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
        if self._facts:
            await new_facts.remember_facts(tx, self._facts)
        if self._refusals:
            await refusals.remember(tx, self._refusals)
        if self._parked:
            await parked.park(tx, self._parked)
        if self._applied:
            await parked.forget(tx, self._applied)
        if self._deferrals:
            await deferrals.forget(tx, list(self._deferrals))
            await deferrals.remember(tx, [d for d in self._deferrals.values() if d is not None])
        for supplier_id in sorted({change.supplier.supplier_id for change in self._changes}):
            await deferrals.move(tx, supplier_id, self.suppliers[supplier_id].settings)


def _without_personal_data(item: RelationshipInput) -> RelationshipInput:
    profile = item.profile and profile_without_contacts(item.profile.encode()).decode()
    return replace(item, profile=profile, message=None, told=replace(item.told, reason=None))


def _told_again(decision: ParkedDecision) -> RelationshipInput:
    item = read_input(open_envelope(decision.headers, decision.value, DECISION_TYPES))
    assert isinstance(item, RelationshipInput)
    return item
